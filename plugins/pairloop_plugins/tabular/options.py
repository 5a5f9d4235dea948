"""Options of the sources that read tables: CSV, Parquet, Hugging Face data sets."""

from pydantic import Field, model_validator

from pairloop_plugins.jsonl.options import RowOptions
from pairloop_plugins.tabular.presets import PRESETS
from pairloop_plugins.tabular.roles import CHOICES, ROLES

Columns = dict[str, str | tuple[str, ...]]


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


class CsvOptions(TableOptions):
    """``[data.options]`` of ``csv``."""

    encoding: str | None = None
    """Encoding of a file that is neither UTF-8 nor marked; unset: cp1252, where doubtful cells are refused."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """Separator of the cells; unset: that of comma, semicolon, tab and bar under which the header has most columns."""
    max_bytes: int = Field(default=1 << 30, ge=1)
    """Larger files (unpacked) are refused: they are read into memory. Parquet and JSON lines are not."""


class ParquetOptions(TableOptions):
    """``[data.options]`` of ``parquet``."""


class HubOptions(TableOptions):
    """``[data.options]`` of ``huggingface``."""

    name: str | None = None
    """Data set on the hub, e.g. "Anthropic/hh-rlhf". Unset: data.path is a local folder."""
    config: str | None = None
    """Configuration (subset) of the data set."""
    split: str | None = None
    """Which split; needed where there are several."""
    revision: str | None = None
    """Branch, tag or commit; it is resolved to a commit, which the digest names."""
    data_files: tuple[str, ...] = ()
    """Files of the data set or folder to read, where it should not be all; patterns are allowed."""
    streaming: bool = True
    """Read row by row. False downloads and converts the whole set into the cache of ``datasets`` first."""


__all__ = ["CsvOptions", "HubOptions", "ParquetOptions", "TableOptions"]
