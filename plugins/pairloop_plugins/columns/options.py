"""Options that all sources of rows share: how a row is read, and which column or key holds what."""

from pydantic import Field, model_validator

from pairloop.kit.options import Options
from pairloop.records import AnnotatorKind
from pairloop_plugins.columns.presets import PRESETS
from pairloop_plugins.columns.roles import CHOICES, ROLES

Columns = dict[str, str | tuple[str, ...]]


class RowOptions(Options):
    """How a row is read, whatever file it stands in."""

    group_key: str | None = None
    """Dotted path to what names a row's group, e.g. "topic" or "metadata.debate". Unset: the key "group", if any."""
    group_split: str | None = Field(default=None, min_length=1)
    """Cut the group at the last occurrence of this text, so that "debate_pro" and "debate_con" are one group."""
    keep: tuple[str, ...] = ()
    """Keys of a row that become metadata of its prompt, beside those in "metadata"."""
    chosen_votes: bool = True
    """Take "chosen" over "rejected" as a recorded vote, where the row has no "annotations"."""
    chosen_annotator: str = Field(default="dataset", min_length=1)
    """Who gave those votes."""
    chosen_kind: AnnotatorKind = AnnotatorKind.HUMAN
    """What kind of annotator that was."""
    empty_responses: bool = True
    """Accept empty responses: models do write them. False rejects their rows."""
    max_chars: int = Field(default=2_000_000, ge=1)
    """Most characters a text may have."""

    @model_validator(mode="after")
    def _split_needs_key(self) -> "RowOptions":
        if self.group_split is not None and self.group_key is None:
            raise ValueError("group_split cuts what group_key names: set group_key too")
        return self


class TableOptions(RowOptions):
    """What all sources of tables have in common."""

    dataset: str | None = None
    """A well-known public set whose columns are known, e.g. "hh-rlhf" (the table is in docs/data.md)."""
    columns: Columns = Field(default_factory=dict)
    """Which column holds what, e.g. {prompt = "question", response_a = "answer 1"}; dots go into nested values."""
    values: dict[str, str] = Field(default_factory=dict)
    """What the values of the preference column mean, e.g. {"1" = "a", "2" = "b"}: a, b, tie, both_bad or skip."""

    @model_validator(mode="after")
    def _known(self) -> "TableOptions":
        if self.dataset is not None and self.dataset not in PRESETS:
            raise ValueError(f"dataset {self.dataset!r} is not known; known are {', '.join(sorted(PRESETS))}")
        unknown = sorted(set(self.columns) - set(ROLES))
        if unknown:
            raise ValueError(f"columns: {unknown[0]!r} is nothing that a row has; possible are {', '.join(ROLES)}")
        listed = sorted(role for role, name in self.columns.items() if not isinstance(name, str))
        if any(role != "responses" for role in listed):
            raise ValueError("columns: only responses may name several columns")
        wrong = sorted(set(self.values.values()) - set(CHOICES))
        if wrong:
            raise ValueError(f"values: {wrong[0]!r} is none of {', '.join(CHOICES)}")
        return self
