"""The pair source ``parquet``: a file, or a folder of them, read batch by batch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pairloop.errors import DataError
from pairloop.kit.extras import require
from pairloop.records import RejectedRow, SourceRow
from pairloop_plugins.tabular.files import digest_of, files_of
from pairloop_plugins.tabular.options import ParquetOptions
from pairloop_plugins.tabular.source import Record, Table, read_table, suggested_options

_BATCH = 256  # rows that are in memory at once


class ParquetSource:
    """Implements `pairloop.protocols.PairSource`."""

    def __init__(self, options: ParquetOptions, path: Path) -> None:
        """Nothing is read yet.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        self._options = options
        self._path = path
        self._parquet: Any = require("pyarrow.parquet", "parquet", "the source 'parquet'")
        self._broken: type[Exception] = require("pyarrow", "parquet", "the source 'parquet'").ArrowException

    def rows(self) -> Iterator[SourceRow | RejectedRow]:
        """All rows of all files, which are read by name; rows are numbered through.

        Raises:
            DataError: a file cannot be opened, or its columns do not say what a row is.
        """
        yield from read_table(self._table(), self._options)

    def digest(self) -> str:
        """sha256 of the file's bytes, or of those of all files of the folder with their names.

        Raises:
            DataError: a file cannot be opened.
        """
        return digest_of(self._path, ".parquet")

    def suggested_options(self) -> dict[str, Any]:
        """Options under which the files can be read, guesses written out."""
        return suggested_options(self._table(), self._options)

    def _table(self) -> Table:
        files = files_of(self._path, ".parquet")
        names = [str(name) for name in self._open(files[0]).schema_arrow.names]
        return Table(names, self._records(files), str(self._path))

    def _open(self, path: Path) -> Any:
        try:
            return self._parquet.ParquetFile(path)
        except (self._broken, OSError) as error:
            raise DataError(f"{path}: cannot be read as Parquet: {error}") from error

    def _records(self, files: list[Path]) -> Iterator[Record]:
        number = 0
        for path in files:
            in_file = 0
            file = self._open(path)
            place = "" if len(files) == 1 else f" ({path.name}, row {{}})"
            try:
                for batch in file.iter_batches(batch_size=_BATCH):
                    for values in batch.to_pylist():
                        number, in_file = number + 1, in_file + 1
                        yield Record(number, values, place=place.format(in_file))
            except (self._broken, OSError, UnicodeDecodeError) as error:
                number += 1
                reason = f"broken Parquet file: {error}; nothing behind this row of {path.name} could be read"
                yield Record(number, {}, reason)
