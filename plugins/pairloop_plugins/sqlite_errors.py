"""SQLite's errors as pairloop's, for the plugins that keep a file of their own."""

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
