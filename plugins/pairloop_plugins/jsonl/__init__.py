"""The pair source ``jsonl``: JSON lines, plain or gzip, in the shapes in which preference data is published."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pairloop.errors import ConfigError
from pairloop.hookspecs import hookimpl
from pairloop.protocols import PairSource, SourceSpec
from pairloop_plugins.jsonl.options import JsonlOptions

__all__ = ["JsonlOptions", "pairloop_sources"]


def _factory(options: Any, path: Path | None) -> PairSource:
    from pairloop_plugins.jsonl.source import JsonlSource

    if path is None:
        raise ConfigError("the source 'jsonl' needs a file, and data.path is not set", 'Set path = "…" in [data].')
    return JsonlSource(options or JsonlOptions(), path)


@hookimpl
def pairloop_sources() -> Sequence[SourceSpec]:
    """Offer the source ``jsonl``."""
    return [SourceSpec("jsonl", _factory, JsonlOptions, "JSON lines: prompts with responses, ready pairs, preferences")]
