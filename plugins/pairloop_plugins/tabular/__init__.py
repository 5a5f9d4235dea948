"""The pair sources ``csv``, ``parquet`` and ``huggingface``: tables whose columns are mapped to what a row needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pairloop.errors import ConfigError
from pairloop.hookspecs import hookimpl
from pairloop.protocols import PairSource, SourceSpec
from pairloop_plugins.tabular.options import CsvOptions, HubOptions, ParquetOptions

__all__ = ["CsvOptions", "HubOptions", "ParquetOptions", "pairloop_sources"]


def _csv(options: Any, path: Path | None) -> PairSource:
    from pairloop_plugins.tabular.csv_source import CsvSource

    return CsvSource(options or CsvOptions(), _file(path, "csv"))


def _parquet(options: Any, path: Path | None) -> PairSource:
    from pairloop_plugins.tabular.parquet_source import ParquetSource

    return ParquetSource(options or ParquetOptions(), _file(path, "parquet"))


def _hub(options: Any, path: Path | None) -> PairSource:
    from pairloop_plugins.tabular.hub_source import HubSource

    return HubSource(options or HubOptions(), path)


def _file(path: Path | None, name: str) -> Path:
    if path is None:
        raise ConfigError(f"the source '{name}' needs a file, and data.path is not set", 'Set path = "…" in [data].')
    return path


@hookimpl
def pairloop_sources() -> Sequence[SourceSpec]:
    """Offer the sources of tables."""
    return [
        SourceSpec("csv", _csv, CsvOptions, "a table as CSV, from a spreadsheet or a script"),
        SourceSpec("parquet", _parquet, ParquetOptions, "Parquet: a file or a folder of them (extra parquet)"),
        SourceSpec("huggingface", _hub, HubOptions, "data sets of the hub, or their local folders (extra huggingface)"),
    ]
