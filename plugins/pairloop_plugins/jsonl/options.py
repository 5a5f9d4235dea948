"""Options of the JSON lines source, and those that it shares with the other sources of rows."""

from pydantic import Field, model_validator

from pairloop.kit.options import Options
from pairloop.records import AnnotatorKind


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


class JsonlOptions(RowOptions):
    """``[data.options]`` of ``jsonl``."""

    max_line_bytes: int = Field(default=64 * 2**20, ge=1024)
    """Longer lines are rejected without being read into memory."""
