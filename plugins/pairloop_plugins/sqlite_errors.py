"""A SQLite file of a plugin's own: opened and written in one way, with SQLite's errors as pairloop's."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pairloop.errors import BackendUnavailable, CorruptionDetected, StorageFull

_FULL = ("full", "readonly", "read-only", "disk i/o", "unable to open")


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Translate what SQLite raises in the block about the file ``path``.

    Raises:
        StorageFull: the file cannot be written. BackendUnavailable: another process holds it. CorruptionDetected: it
            cannot be read.
    """
    try:
        yield
    except sqlite3.Error as error:
        text = str(error).lower()
        if any(word in text for word in _FULL):
            raise StorageFull(f"cannot write {path}: {error}", "Free space or mend the permissions.") from error
        if "locked" in text:
            raise BackendUnavailable(f"{path} is in use by another process: {error}") from error
        raise CorruptionDetected(
            f"{path} cannot be read: {error}", "Restore the campaign's folder from a backup."
        ) from error


class OwnFile:
    """A ledger in one SQLite file. What changes it happens inside `transaction`."""

    def __init__(self, path: Path, schema: str) -> None:
        """Open or create ``path``; the statements of ``schema`` are run at every opening.

        Raises:
            StorageFull: it cannot be written. CorruptionDetected: it is no SQLite file.
        """
        self._path = path
        with sqlite_errors(path):
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            try:
                self._db.execute("PRAGMA journal_mode=DELETE")
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.executescript(schema)
            except sqlite3.Error:
                self._db.close()
                raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Committed at the end of the block, rolled back when it raises."""
        with sqlite_errors(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._db.close()
