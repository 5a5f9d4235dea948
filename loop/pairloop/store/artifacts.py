"""Content-addressed folders: models and policies, whole or not at all.

An artifact is a folder; its name is the sha256 of its list of (file name, sha256 of the file). Bytes come before the
row: temporary folder → fsync → rename to the hash → fsync of the parent → database row. An orphan is garbage, a row
without bytes cannot happen. The hash is checked before every load.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pairloop.errors import CorruptionDetected
from pairloop.kit.atomic import disk_errors, empty_folder, fsync_folder, fsync_tree
from pairloop.kit.canonical import canonical_json
from pairloop.kit.canonical import digest as digest_of
from pairloop.kit.failpoints import failpoint
from pairloop.store.database import Database

_BLOCK = 1 << 20


def _mend(kind: str) -> str:
    """What helps when an artifact is damaged or gone."""
    if kind != "reward":
        return "Restore the campaign's folder from a copy."
    return "Restore the folder from a copy, or train again: pairloop reopen, then pairloop run."


def folder_digest(folder: Path, *, without: frozenset[str] = frozenset()) -> tuple[str, int]:
    """(sha256, bytes) of a folder: the hash of its sorted list of relative names and file hashes.

    ``without``: names of files directly in the folder that do not count.
    """
    entries: list[tuple[str, str]] = []
    total = 0
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.parent == folder and path.name in without:
            continue
        hasher = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                hasher.update(block)
                total += len(block)
        entries.append((path.relative_to(folder).as_posix(), hasher.hexdigest()))
    return digest_of(entries), total


class Artifacts:
    """The artifact folders of a campaign and their rows."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._db = database
        self._folder = folder

    def store_bytes(self, kind: str, write: Callable[[Path], None]) -> tuple[str, int]:
        """Let ``write`` fill a temporary folder and move it to its hash; no row yet.

        Returns:
            (sha256, bytes); give both to `add_row` inside the transaction that uses the artifact.

        Raises:
            StorageFull: nothing is left behind.
        """
        parent = self._folder / kind
        with disk_errors(parent):
            parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = empty_folder(parent / ".incoming")
            try:
                write(temporary)
                fsync_tree(temporary)
                sha256, size = folder_digest(temporary)
                target = parent / sha256
                failpoint("artifact.before_rename")
                if target.exists() and folder_digest(target)[0] != sha256:
                    shutil.rmtree(target)  # a damaged copy of the same content: replace it
                if not target.exists():
                    temporary.rename(target)
                    fsync_folder(parent)
                failpoint("artifact.after_rename")
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        return sha256, size

    def add_row(self, sha256: str, kind: str, size: int, meta: Mapping[str, Any]) -> None:
        """Record stored bytes; a repeat changes nothing."""
        self._db.write(
            "INSERT OR IGNORE INTO artifacts (sha256, kind, bytes, meta) VALUES (?, ?, ?, ?)",
            (sha256, kind, size, canonical_json(dict(meta))),
        )
        failpoint("artifact.after_row")

    def path(self, sha256: str) -> Path:
        """The verified folder of an artifact.

        Raises:
            CorruptionDetected: the folder is missing or does not match its hash.
        """
        kind = self._db.value("SELECT kind FROM artifacts WHERE sha256 = ?", (sha256,))
        folder = self._folder / str(kind) / sha256
        if kind is None or not folder.is_dir():
            raise CorruptionDetected(f"the artifact {sha256[:12]} is missing ({folder})", _mend(str(kind)))
        found = folder_digest(folder)[0]
        if found != sha256:
            raise CorruptionDetected(
                f"the artifact {folder} does not match its hash (found {found[:12]})",
                _mend(str(kind)),
            )
        return folder

    def meta(self, sha256: str) -> dict[str, Any]:
        """What was recorded with the artifact."""
        found: dict[str, Any] = json.loads(self._db.value("SELECT meta FROM artifacts WHERE sha256 = ?", (sha256,)))
        return found

    def all(self) -> Iterator[tuple[str, str]]:
        """(sha256, kind) of every recorded artifact."""
        for row in self._db.rows("SELECT sha256, kind FROM artifacts ORDER BY sha256"):
            yield row["sha256"], row["kind"]
