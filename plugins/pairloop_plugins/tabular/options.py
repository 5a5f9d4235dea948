"""Options of the sources that read tables: CSV, Parquet, Hugging Face data sets."""

from pydantic import Field

from pairloop_plugins.columns.options import TableOptions


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
