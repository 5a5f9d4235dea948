"""Options of the JSON lines source."""

from pydantic import Field

from pairloop_plugins.columns.options import TableOptions


class JsonlOptions(TableOptions):
    """``[data.options]`` of ``jsonl``."""

    max_line_bytes: int = Field(default=64 * 2**20, ge=1024)
    """Longer lines are rejected without being read into memory."""
