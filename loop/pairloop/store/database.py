"""Opening the campaign's SQLite file, and the one kind of write transaction.

``journal_mode=DELETE, synchronous=EXTRA``: WAL has a corruption bug before SQLite 3.51.3, and one commit a page costs
about a millisecond. ``BEGIN IMMEDIATE``: a deferred transaction that reads and then writes fails with "database is
locked" when another connection writes in between.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlite_utils

from pairloop.errors import CampaignLocked, CorruptionDetected, SchemaTooNew, SchemaTooOld, StorageFull, StoreError
from pairloop.kit.failpoints import failpoint
from pairloop.store.migrations import migrations

T = TypeVar("T")
FILE_NAME = "campaign.sqlite3"
Row = sqlite3.Row
_PRAGMAS = (
    "PRAGMA journal_mode=DELETE",
    "PRAGMA synchronous=EXTRA",
    "PRAGMA foreign_keys=ON",
    "PRAGMA recursive_triggers=ON",  # else INSERT OR REPLACE would slip past the append-only trigger
    "PRAGMA trusted_schema=OFF",
)
_WRITTEN = re.compile(r"\s*(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|UPDATE|DELETE\s+FROM)\s+(\w+)", re.IGNORECASE)


class Database:
    """A connection with typed helpers; writes are possible inside `transaction` only."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self.readonly = readonly
        self.epoch: int | None = None
        self._writes: Counter[str] = Counter()  # by table
        self._rollbacks = 0
        self._kept: dict[str, tuple[tuple[int, ...], object]] = {}
        with self.errors():
            uri = f"{path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
            connection = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)
            connection.row_factory = sqlite3.Row
            self.raw = sqlite_utils.Database(connection, execute_plugins=False)
            for pragma in _PRAGMAS if not readonly else _PRAGMAS[2:]:
                connection.execute(pragma)

    # ------------------------------------------------------------------------------------------ reading

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        with self.errors():
            return list(self.raw.conn.execute(sql, parameters).fetchall())

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """The first row of a query."""
        with self.errors():
            found: Row | None = self.raw.conn.execute(sql, parameters).fetchone()
            return found

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.row(sql, parameters)
        return None if row is None else row[0]

    def stamp(self, *tables: str) -> tuple[int, ...]:
        """Numbers that change with every write to one of these tables, and whenever another process writes anything."""
        return (int(self.value("PRAGMA data_version")), self._rollbacks, *(self._writes[table] for table in tables))

    def kept(self, name: str, tables: Sequence[str], build: Callable[[], T]) -> T:
        """What ``build`` made of these tables, built again after any write to one of them, by whatever process.

        For what is read several times a round and takes seconds in a large campaign. ``build`` must read nothing else
        that can change, and nobody may change what it returns.
        """
        stamp = self.stamp(*tables)
        if name not in self._kept or self._kept[name][0] != stamp:
            self._kept[name] = (stamp, build())
        found: Any = self._kept[name][1]
        return found  # type: ignore[no-any-return]

    # ------------------------------------------------------------------------------------------ writing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One atomic write: BEGIN IMMEDIATE → check that we are still the writer → work → COMMIT.

        Raises:
            CampaignLocked: another process took the campaign over meanwhile.
            StorageFull: the disk is full, read-only or failing; nothing of this transaction is kept.
        """
        with self.errors():
            self.raw.conn.execute("BEGIN IMMEDIATE")
            try:
                self._check_epoch()
                yield
                failpoint("transaction.before_commit")
                self.raw.conn.execute("COMMIT")
            except BaseException:
                self._rollbacks += 1
                if self.raw.conn.in_transaction:
                    self.raw.conn.execute("ROLLBACK")
                raise
        failpoint("transaction.after_commit")

    def write(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """One statement; returns the number of changed rows."""
        self._note_write(sql)
        return self.raw.conn.execute(sql, parameters).rowcount

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """One statement for many rows."""
        self._note_write(sql)
        self.raw.conn.executemany(sql, rows)

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self.raw.conn.close()

    # ------------------------------------------------------------------------------------------ innards

    def _note_write(self, sql: str) -> None:
        self._require_transaction()
        written = _WRITTEN.match(sql)
        if written is None:
            raise StoreError(f"a write to no table: {sql[:40]!r}", "This is a bug in pairloop; please report it.")
        self._writes[written[1].lower()] += 1

    def _require_transaction(self) -> None:
        if not self.raw.conn.in_transaction:
            raise StoreError(
                "a write outside of a transaction", "This is a bug in pairloop or a plugin; please report it."
            )

    def _check_epoch(self) -> None:
        if self.epoch is None:
            return
        stored = self.value("SELECT value FROM meta WHERE key = 'epoch'")
        if stored is not None and int(stored) != self.epoch:
            raise CampaignLocked(
                f"another process took over {self.path.parent} (epoch {stored}, ours was {self.epoch})",
                "Nothing was written by this process since. Only one process may work on a campaign.",
            )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's errors into pairloop's, naming the file."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise _translated(error, self.path) from error


def _translated(error: sqlite3.DatabaseError, path: Path) -> Exception:
    text = str(error)
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StorageFull(
            f"cannot use {path}: {text}",
            "Free space or mend the permissions, then run the same command again: what was committed is intact.",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return CorruptionDetected(f"{path} is damaged: {text}", "Restore the last good copy of the campaign folder.")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return CampaignLocked(f"{path} is in use by another program ({text})", "Close it there, then try again.")
    return error


def create_schema(database: Database) -> None:
    """Apply all migrations to a new file, or to one whose making was interrupted; others are left alone.

    All of them in one transaction: a file that has some and not others is one of an older release.
    """
    tables = database.rows(
        "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> ? AND tbl_name <> ?",
        (migrations.migrations_table, migrations.migrations_table),
    )
    if not tables:
        with database.errors(), database.raw.atomic():
            migrations.apply(database.raw)


def check_schema(database: Database) -> None:
    """Refuse a file of another release.

    Raises:
        SchemaTooOld: the hint is the upgrade command. SchemaTooNew: written by a newer release.
    """
    known = [migration.name for migration in migrations._migrations]
    with database.errors():
        applied = [migration.name for migration in migrations.applied(database.raw)]
    unknown = [name for name in applied if name not in known]
    if unknown:
        raise SchemaTooNew(
            f"{database.path} was written by a newer release of pairloop (it has {unknown[-1]})",
            "Upgrade pairloop: pip install --upgrade pairloop",
        )
    missing = [name for name in known if name not in applied]
    if missing:
        raise SchemaTooOld(
            f"{database.path} was written by an older release of pairloop (it lacks {missing[0]})",
            f"Upgrade it (a backup is made first): pairloop db upgrade {database.path.parent}",
        )


def upgrade_schema(path: Path) -> Path:
    """Back the file up beside itself (``VACUUM INTO``), then apply the missing migrations; returns the backup."""
    database = Database(path)
    try:
        applied = len(migrations.applied(database.raw))
        backup = path.with_name(f"{path.stem}.before-upgrade-{applied}.sqlite3")
        if backup.exists():
            raise StoreError(f"{backup} exists already", "Move it away, then run the upgrade again.")
        database.raw.conn.execute("VACUUM INTO ?", (str(backup),))
        with database.errors():
            migrations.apply(database.raw)
        return backup
    finally:
        database.close()
