"""The pair source ``huggingface``: data sets of the hub, or folders that ``datasets`` saved or can load.

Loading scripts are not run: ``datasets`` 4 and later, which the extra asks for, has none.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pairloop.errors import ConfigError, DataError
from pairloop.kit.canonical import digest as json_digest
from pairloop.kit.extras import require
from pairloop.records import RejectedRow, SourceRow
from pairloop_plugins.tabular.files import digest_of
from pairloop_plugins.tabular.options import HubOptions
from pairloop_plugins.tabular.source import Record, Table, read_table, suggested_options

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PURPOSE = "the source 'huggingface'"


class HubSource:
    """Implements `pairloop.protocols.PairSource`."""

    def __init__(self, options: HubOptions, path: Path | None) -> None:
        """Nothing is read yet.

        Raises:
            ConfigError: neither a folder nor a name, or both.
            MissingExtra: ``datasets`` is not installed.
        """
        if (options.name is None) == (path is None):
            raise ConfigError(
                "the source 'huggingface' needs either a data set on the hub or a local folder",
                'Set name = "…" under [data.options], or path = "…" in [data].',
            )
        self._options = options
        self._path = path
        self._datasets: Any = require("datasets", "huggingface", _PURPOSE)
        self._commit: str | None = None

    def rows(self) -> Iterator[SourceRow | RejectedRow]:
        """All rows of the split in its order, numbered from 1.

        Raises:
            DataError: the set cannot be loaded, has several splits and none is named, or its columns say nothing.
        """
        yield from read_table(self._table(), self._options)

    def digest(self) -> str:
        """sha256 of the folder's files, or of name, commit, configuration and files of the set on the hub; and split.

        Raises:
            DataError: the folder cannot be read, or the hub cannot be asked.
        """
        content = digest_of(self._path) if self._path is not None else self._resolved()
        chosen = self._options.model_dump(mode="json", include={"name", "config", "split", "data_files"})
        return hashlib.sha256(f"{content}\n{json_digest(chosen)}".encode()).hexdigest()

    def suggested_options(self) -> dict[str, Any]:
        """Options under which the set can be read, guesses written out."""
        return suggested_options(self._table(), self._options)

    def _table(self) -> Table:
        where = self._options.name or str(self._path)
        try:
            rows = self._one_split(self._load(), where)
            names = rows.column_names or list(next(iter(rows), {}))
        except self._faults() as error:
            raise _unreadable(where, error) from error
        return Table([str(name) for name in names], self._records(rows, where), where)

    def _load(self) -> Any:
        options = self._options
        if self._path is not None and _saved(self._path):
            return self._datasets.load_from_disk(str(self._path))
        if self._path is not None and not self._path.is_dir():
            raise DataError(f"{self._path} is not a folder", "For a single file take csv, parquet or jsonl.")
        files = list(options.data_files) or None
        revision = None if self._path is not None else self._resolved()
        return self._datasets.load_dataset(
            str(self._path.absolute()) if self._path is not None else options.name,
            options.config,
            data_files=files,
            revision=revision,
            streaming=options.streaming,
        )

    def _one_split(self, loaded: Any, where: str) -> Any:
        """The rows of the split that is meant.

        Raises:
            DataError: there is no such split, or several and none is named.
        """
        wanted = self._options.split
        if not isinstance(loaded, Mapping):
            if wanted is not None and str(loaded.split) != wanted:
                raise DataError(f"{where}: there is no split {wanted!r}; the folder holds a single one, {loaded.split}")
            return loaded
        if wanted is None and len(loaded) == 1:
            return next(iter(loaded.values()))
        if wanted is None or wanted not in loaded:
            what = "there are several splits" if wanted is None else f"there is no split {wanted!r}"
            raise DataError(
                f"{where}: {what}; found {', '.join(map(str, loaded))}",
                'Name one in campaign.toml: split = "…" under [data.options].',
            )
        return loaded[wanted]

    def _records(self, rows: Any, where: str) -> Iterator[Record]:
        number = 0
        try:
            for number, values in enumerate(rows, 1):
                yield Record(number, values)
        except self._faults() as error:
            yield Record(
                number + 1, {}, f"broken data set: {_first_line(error)}; nothing behind this row could be read"
            )

    def _faults(self) -> tuple[type[Exception], ...]:
        """What ``datasets``, pyarrow and the connection below them raise for data that cannot be read."""
        arrow = require("pyarrow", "huggingface", _PURPOSE)
        return (
            OSError,
            ValueError,
            KeyError,
            RuntimeError,
            self._datasets.exceptions.DatasetsError,
            arrow.ArrowException,
        )

    def _resolved(self) -> str:
        """The commit that is read: the given one, or what the branch points to when it is first asked.

        Raises:
            DataError: the hub cannot be asked, or has no such data set.
        """
        revision = self._options.revision
        if self._commit is None and revision is not None and _COMMIT.fullmatch(revision):
            self._commit = revision
        if self._commit is None:
            hub = require("huggingface_hub", "huggingface", _PURPOSE)
            try:
                self._commit = str(hub.HfApi().dataset_info(self._options.name, revision=revision).sha)
            except (OSError, ValueError, RuntimeError, hub.errors.HFValidationError) as error:
                raise _unreadable(str(self._options.name), error) from error
        return self._commit


def _unreadable(where: str, error: Exception) -> DataError:
    return DataError(
        f"{where}: the data set cannot be loaded: {_first_line(error)}",
        "Check the name, the split and the connection; without one, use a local folder or a cached set with its commit"
        " as revision.",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _saved(path: Path) -> bool:
    """What ``Dataset.save_to_disk`` leaves."""
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()
