"""A small SQLite file that plays the remote of a backend without one.

It behaves like a faithful annotation server: tasks survive kill -9, creating is idempotent by key, and what was
reported once is reported again for the same cursor. Time is virtual, counted in *ticks*: an answer arrives a number
of ticks after its task was created, and a poll moves the clock to the next tick at which something arrives. Nothing
that arrived can change any more, so every cursor stays valid for ever.

A cursor is ``"<tick>"`` (all that arrived up to this tick was read) or ``"<tick>+<n>"`` (and ``n`` answers of the
next one).
"""

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pairloop.errors import BackendRejected
from pairloop.kit.canonical import canonical_json
from pairloop.records import Annotation, AnnotatorKind, Choice, Page, Task
from pairloop_plugins.sqlite_errors import sqlite_errors

PAGE = 500
"""Most answers a page holds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS task (
    key TEXT PRIMARY KEY,
    remote_id TEXT NOT NULL UNIQUE,
    round INTEGER NOT NULL,
    pair_id TEXT NOT NULL,
    replica INTEGER NOT NULL,
    arrives INTEGER,               -- tick; NULL: nobody will ever answer
    answer TEXT,                   -- JSON of the annotation's fields; NULL with arrives
    slot TEXT,                     -- which recorded vote it uses up (replay)
    withdrawn INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS task_arrives ON task (arrives);
CREATE INDEX IF NOT EXISTS task_pair ON task (pair_id);
CREATE TABLE IF NOT EXISTS number (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
"""
_DUE = "arrives IS NOT NULL AND withdrawn = 0"
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What an annotator will say, before it arrives; the fields are those of `Annotation`."""

    annotator: str
    choice: Choice
    kind: AnnotatorKind
    strength: int | None = None
    prompt_rating: int | None = None
    reason: str | None = None
    seconds: float | None = None
    prelabel_shown: bool = False
    cost: float | None = None

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical_json({name: getattr(self, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to create.

    Attributes:
        answer: None when nobody will ever answer.
        delay: ticks after the next one at which the answer arrives, ≥ 0.
        slot: which recorded vote it uses up, unique within the pair.
    """

    task: Task
    answer: Answer | None = None
    delay: int = 0
    slot: str | None = None


class VirtualRemote:
    """The file. Every method that changes something has committed when it returns."""

    def __init__(self, path: Path, backend: str) -> None:
        """Open or create ``path``; ``backend`` is the name that annotations carry.

        Raises:
            StorageFull: the file cannot be written. CorruptionDetected: it is no SQLite file.
        """
        self._path = path
        self._backend = backend
        with sqlite_errors(self._path):
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            try:
                self._db.execute("PRAGMA journal_mode=DELETE")
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.executescript(_SCHEMA)
            except sqlite3.Error:
                self._db.close()
                raise

    # ------------------------------------------------------------------------------------------ writing

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: committed at the end of the block, rolled back when it raises."""
        with sqlite_errors(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def create(self, tasks: Sequence[NewTask]) -> None:
        """Store tasks with their answers, inside a `transaction`; keys that exist already are left as they are."""
        clock = self.clock()
        self._db.executemany(
            "INSERT INTO task (key, remote_id, round, pair_id, replica, arrives, answer, slot)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
            [
                (
                    new.task.key,
                    f"{self._backend}-{new.task.key}",
                    new.task.round,
                    new.task.pair_id,
                    new.task.replica,
                    None if new.answer is None else clock + 1 + new.delay,
                    None if new.answer is None else new.answer.to_json(),
                    new.slot,
                )
                for new in tasks
            ],
        )

    def withdraw(self, keys: Collection[str]) -> list[str]:
        """Withdraw the tasks among ``keys`` whose answer has not arrived; returns all that are withdrawn now."""
        with self.transaction() as db:
            clock = self.clock()
            for chunk in _chunks(keys):
                db.execute(
                    f"UPDATE task SET withdrawn = 1 WHERE key IN ({_marks(chunk)})"  # noqa: S608
                    " AND (arrives IS NULL OR arrives > ?)",
                    (*chunk, clock),
                )
        return [row[0] for row in self._select("key", "withdrawn = 1 AND", keys)]

    # ------------------------------------------------------------------------------------------ reading

    def clock(self) -> int:
        """The tick up to which everything has arrived, and is frozen."""
        row = self._db.execute("SELECT value FROM number WHERE name = 'clock'").fetchone()
        return int(row[0]) if row else 0

    def lookup(self, keys: Collection[str]) -> dict[str, str]:
        """Remote ids of the keys that exist, withdrawn ones too."""
        with sqlite_errors(self._path):
            return {key: remote for key, remote in self._select("key, remote_id", "", keys)}  # noqa: C416 - typed

    def used_slots(self, pair_id: str) -> list[str]:
        """The recorded votes of a pair that are used up; a withdrawn task gives its vote back."""
        rows = self._db.execute("SELECT slot FROM task WHERE pair_id = ? AND withdrawn = 0", (pair_id,))
        return sorted(row[0] for row in rows if row[0] is not None)

    def page(self, cursor: str | None) -> Page:
        """The next answers after ``cursor``, at most `PAGE` of them and all of one tick; moves the clock there.

        Raises:
            BackendRejected: the cursor is none of this backend's.
        """
        tick, read = self._parse(cursor)
        with self.transaction() as db:
            due = db.execute(f"SELECT min(arrives) FROM task WHERE {_DUE} AND arrives > ?", (tick,)).fetchone()[0]  # noqa: S608
            if due is None:
                return Page((), cursor if cursor is not None else "0")
            if due > self.clock():
                db.execute("INSERT OR REPLACE INTO number VALUES ('clock', ?)", (due,))
            rows = db.execute(
                f"SELECT key, remote_id, answer FROM task WHERE {_DUE} AND arrives = ?"  # noqa: S608
                " ORDER BY round, pair_id, replica, key LIMIT ? OFFSET ?",
                (due, PAGE + 1, read),
            ).fetchall()
        more = len(rows) > PAGE
        annotations = tuple(self._annotation(*row) for row in rows[:PAGE])
        return Page(annotations, f"{due - 1}+{read + PAGE}" if more else str(due), more)

    def numbers(self) -> dict[str, float]:
        """All stored numbers by name."""
        return dict(self._db.execute("SELECT name, value FROM number").fetchall())

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._db.close()

    # ----------------------------------------------------------------------------------------- internals

    def _annotation(self, key: str, remote_id: str, answer: str) -> Annotation:
        fields = json.loads(answer)
        fields |= {"choice": Choice(fields["choice"]), "kind": AnnotatorKind(fields["kind"])}
        return Annotation(key=key, backend=self._backend, remote_id=remote_id, revision="1", **fields)

    def _select(self, columns: str, condition: str, keys: Collection[str]) -> Iterator[tuple[str, ...]]:
        for chunk in _chunks(keys):
            yield from self._db.execute(
                f"SELECT {columns} FROM task WHERE {condition} key IN ({_marks(chunk)}) ORDER BY key",  # noqa: S608
                chunk,
            )

    def _parse(self, cursor: str | None) -> tuple[int, int]:
        tick, plus, read = (cursor or "0").partition("+")
        if not (tick.isdecimal() and tick.isascii() and (not plus or (read.isdecimal() and read.isascii()))):
            raise BackendRejected(f"'{cursor}' is not a cursor of the backend '{self._backend}'")
        return int(tick), int(read or 0)


def _chunks(keys: Collection[str]) -> Iterator[tuple[str, ...]]:
    ordered = sorted(keys)
    for start in range(0, len(ordered), _CHUNK):
        yield tuple(ordered[start : start + _CHUNK])


def _marks(values: Collection[object]) -> str:
    return ",".join("?" * len(values))
