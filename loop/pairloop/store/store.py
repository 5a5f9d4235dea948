"""The store of one campaign: opening, locking, transactions, and the repositories."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pairloop.errors import StoreError
from pairloop.kit.atomic import TEMPORARY, disk_errors
from pairloop.kit.canonical import canonical_json
from pairloop.records import Event
from pairloop.store.annotation_log import AnnotationLog
from pairloop.store.artifacts import Artifacts
from pairloop.store.database import FILE_NAME, Database, check_schema, create_schema
from pairloop.store.events import EventStore
from pairloop.store.lock import CampaignLock
from pairloop.store.models import ModelStore
from pairloop.store.pool import PoolStore
from pairloop.store.quality import QualityStore
from pairloop.store.rounds import RoundStore

REFUSED_FILES = "refused_files"
"""The fact under which refused files of answers are kept."""


class Store:
    """All that a campaign remembers.

    Every change happens inside `transaction`, by the one process that holds the lock. Readers (`open_readonly`) may
    look at any time and never block the writer for longer than a read.
    """

    def __init__(self, folder: Path, database: Database, lock: CampaignLock | None) -> None:
        self.folder = folder
        self._db = database
        self._lock = lock
        self.pool = PoolStore(database)
        self.rounds = RoundStore(database)
        self.annotations = AnnotationLog(database)
        self.models = ModelStore(database)
        self.events = EventStore(database)
        self.quality = QualityStore(database)
        self.artifacts = Artifacts(database, folder / "artifacts")
        self.on_event: Callable[[Event], None] = lambda _event: None

    # ------------------------------------------------------------------------------------------ opening

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open for writing; a missing database is created.

        Raises:
            CampaignLocked: another process is writing. SchemaTooOld, SchemaTooNew, StorageFull, CorruptionDetected.
        """
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = CampaignLock(folder)
        lock.acquire()
        try:
            database = Database(folder / FILE_NAME)
            try:
                create_schema(database)
                check_schema(database)
                store = cls(folder, database, lock)
                store._take_over()
                for left in folder.glob(TEMPORARY):
                    left.unlink()  # by a kill: nobody else writes here
            except BaseException:
                database.close()
                raise
        except BaseException:
            lock.release()
            raise
        return store

    @classmethod
    def open_readonly(cls, folder: Path) -> "Store":
        """Open for looking only.

        Raises:
            StoreError: there is no campaign in the folder yet.
        """
        if not (folder / FILE_NAME).is_file():
            raise StoreError(
                f"{folder} holds no campaign database yet", "Start it with: pairloop run, or pairloop step"
            )
        _finish_rollback(folder / FILE_NAME)
        database = Database(folder / FILE_NAME, readonly=True)
        try:
            check_schema(database)
        except BaseException:
            database.close()
            raise
        return cls(folder, database, None)

    def _take_over(self) -> None:
        """Raise the fencing epoch: any process that held the campaign before cannot write any more."""
        with self._db.transaction():
            epoch = int(self.get_meta("epoch") or 0) + 1
            self.set_meta("epoch", epoch)
        self._db.epoch = epoch

    def close(self) -> None:
        """Close the database and release the lock; may be called twice."""
        self._db.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------ writing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One atomic change. Events added inside reach observers after the commit."""
        self.events.uncommitted.clear()
        with self._db.transaction():
            yield
        committed = list(self.events.uncommitted)
        self.events.uncommitted.clear()
        for event in committed:
            self.on_event(event)

    # --------------------------------------------------------------------------------------------- meta

    def get_meta(self, key: str) -> Any:
        """A fact about the campaign, or None."""
        value = self._db.value("SELECT value FROM meta WHERE key = ?", (key,))
        return None if value is None else json.loads(value)

    def refused_files(self) -> list[dict[str, Any]]:
        """The files of answers that stand refused, as ``{"file": name, "problems": [sentence, …]}``."""
        return list(self.get_meta(REFUSED_FILES) or [])

    def set_meta(self, key: str, value: Any) -> None:
        """Store a fact; inside a transaction."""
        self._db.write(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, canonical_json(value)),
        )

    def cursor(self, backend: str) -> str | None:
        """Where the last committed page of a backend ended."""
        value: str | None = self._db.value("SELECT value FROM cursors WHERE backend = ?", (backend,))
        return value

    def set_cursor(self, backend: str, value: str) -> None:
        """Move a backend's cursor, in the transaction of its page."""
        self._db.write(
            "INSERT INTO cursors (backend, value) VALUES (?, ?)"
            " ON CONFLICT (backend) DO UPDATE SET value = excluded.value",
            (backend, value),
        )

    def add_import(self, digest: str, source: str, report: dict[str, Any], at: str) -> None:
        """Record what was read from where."""
        self._db.write(
            "INSERT OR REPLACE INTO imports (digest, source, report, at) VALUES (?, ?, ?, ?)",
            (digest, source, canonical_json(report), at),
        )

    def imports(self) -> list[dict[str, Any]]:
        """What was read, oldest first."""
        return [
            {"digest": r["digest"], "source": r["source"], "at": r["at"], **json.loads(r["report"])}
            for r in self._db.rows("SELECT * FROM imports ORDER BY at, digest")
        ]

    # -------------------------------------------------------------------------------------------- check

    def check(self) -> list[str]:
        """Invariants that always hold; returns the violations as sentences."""
        problems = [f"SQLite: {row[0]}" for row in self._db.rows("PRAGMA quick_check") if row[0] != "ok"]
        problems += [f"SQLite: foreign key of {row[0]}" for row in self._db.rows("PRAGMA foreign_key_check")]
        for sentence, sql in _INVARIANTS:
            count = self._db.value(sql)
            if count:
                problems.append(f"{sentence}: {count}")
        return problems

    def tables(self) -> list[str]:
        """The names of all tables."""
        return [row[0] for row in self._db.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]

    def dump(self, table: str) -> list[dict[str, Any]]:
        """A whole table, for tests and tools."""
        if table not in self.tables():
            raise StoreError(f"there is no table {table!r}")
        return [dict(row) for row in self._db.rows(f"SELECT * FROM {table} ORDER BY 1, 2")]  # noqa: S608 - name checked


def _finish_rollback(path: Path) -> None:
    """Let SQLite undo what a killed writer left half-written: a read-only connection could not, and would fail."""
    journal = path.with_name(path.name + "-journal")
    if journal.is_file() and os.access(path, os.W_OK):
        database = Database(path)
        try:
            database.rows("SELECT 1 FROM sqlite_master LIMIT 1")
        finally:
            database.close()


_INVARIANTS = (
    (
        "assignments that are sent without a remote id",
        "SELECT count(*) FROM assignments WHERE state = 'sent' AND remote_id IS NULL",
    ),
    (
        "holdout questions about training prompts",
        """SELECT count(*) FROM assignments a JOIN pairs q ON q.id = a.pair_id JOIN prompts p ON p.id = q.prompt_id
           JOIN groups g ON g.id = p.group_id WHERE a.arm <> 'gold' AND (a.arm = 'holdout') <> (g.split = 'holdout')""",
    ),
    (
        "gold questions about pairs without a known answer",
        "SELECT count(*) FROM assignments a LEFT JOIN gold_items g USING (pair_id)"
        " WHERE a.arm = 'gold' AND g.pair_id IS NULL",
    ),
    (
        "pairs across two prompts",
        """SELECT count(*) FROM pairs q JOIN responses r ON r.id = q.first JOIN responses s ON s.id = q.second
           WHERE r.prompt_id <> q.prompt_id OR s.prompt_id <> q.prompt_id""",
    ),
    (
        "open rounds besides the latest",
        "SELECT count(*) FROM rounds WHERE state NOT IN ('closed', 'abandoned')"
        " AND number < (SELECT max(number) FROM rounds)",
    ),
    (
        "annotations without a row in the log",
        "SELECT count(*) FROM annotations a LEFT JOIN annotation_log l USING (seq) WHERE l.seq IS NULL",
    ),
)
