"""What the backend remembers, in one SQLite file: questions, the tasks they became, and the answers.

The answers are an append-only log, so that every cursor of the campaign stays valid. A page of the server counts in one
transaction with where to read on. Were the file lost, the server would bring the same answers as the same votes.
"""

import json
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairloop.errors import BackendRejected
from pairloop.records import Page, RefusedFile
from pairloop_plugins.label_studio.codec import NAME, vote
from pairloop_plugins.sqlite_errors import OwnFile, sqlite_errors

PAGE = 500
"""Most answers a page holds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS question (
    key TEXT PRIMARY KEY,
    rank INTEGER NOT NULL,
    round INTEGER NOT NULL,
    shown INTEGER NOT NULL,        -- may people see the guess
    texts TEXT,                    -- digest of what was sent; NULL: sent by a process whose ledger is lost
    attempted REAL,                -- when a push began that has no clear answer; NULL: none such
    withdrawn INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    labelled INTEGER NOT NULL DEFAULT 0,
    seen INTEGER NOT NULL,         -- number of the pull that saw it first
    gone INTEGER NOT NULL DEFAULT 0,
    predicted TEXT                 -- model version of the newest prediction that the server confirmed
);
CREATE INDEX IF NOT EXISTS task_key ON task (key);
CREATE TABLE IF NOT EXISTS answer (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    remote TEXT NOT NULL,          -- id of the annotation as votes carry it
    annotation INTEGER NOT NULL,   -- id on the server
    task INTEGER NOT NULL,
    key TEXT NOT NULL,
    revision TEXT NOT NULL,
    content TEXT NOT NULL,
    deleted INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS answer_remote ON answer (remote);
CREATE INDEX IF NOT EXISTS answer_task ON answer (task);
CREATE VIEW IF NOT EXISTS standing AS
    SELECT * FROM answer WHERE seq IN (SELECT max(seq) FROM answer GROUP BY remote) AND deleted = 0;
CREATE TABLE IF NOT EXISTS adopted (
    task INTEGER PRIMARY KEY,      -- a task of theirs
    content TEXT NOT NULL,         -- digest of the texts as the campaign knows them
    texts TEXT NOT NULL,           -- digest of the texts as they are on the server
    unread INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX IF NOT EXISTS adopted_content ON adopted (content);
CREATE TABLE IF NOT EXISTS problem (
    task INTEGER NOT NULL, what TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (task, what)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it was sent."""

    key: str
    rank: int
    round: int
    shown: bool
    texts: str | None


@dataclass(frozen=True, slots=True)
class Copy:
    """A task that carries a question; ``seen``: number of the pull that saw it first."""

    id: int
    key: str
    labelled: bool
    seen: int


@dataclass(frozen=True, slots=True)
class Adopted:
    """A task of theirs that may carry a question; ``texts``: digest of what it says."""

    id: int
    texts: str


class Ledger(OwnFile):
    """The file. What changes it happens inside `transaction`."""

    def __init__(self, path: Path) -> None:
        """Open or create ``path``.

        Raises:
            StorageFull: it cannot be written. CorruptionDetected: it is no SQLite file.
        """
        super().__init__(path, _SCHEMA)
        with self.transaction():
            self._db.execute("INSERT OR IGNORE INTO fact VALUES ('name', ?)", (secrets.token_hex(6),))

    # -------------------------------------------------------------------------------------------- facts

    def fact(self, name: str) -> str | None:
        """A fact, or None."""
        row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_fact(self, name: str, value: str) -> None:
        """Store a fact."""
        self._db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def drop_fact(self, name: str) -> None:
        """Forget a fact."""
        self._db.execute("DELETE FROM fact WHERE name = ?", (name,))

    # ---------------------------------------------------------------------------------------- questions

    def add_questions(self, questions: Sequence[Question]) -> None:
        """Remember questions before they are sent; those that are known stay as they are."""
        self._db.executemany(
            "INSERT INTO question (key, rank, round, shown, texts) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
            [(q.key, q.rank, q.round, int(q.shown), q.texts) for q in questions],
        )

    def question(self, key: str) -> Question | None:
        """A question, or None."""
        row = self._db.execute("SELECT key, rank, round, shown, texts FROM question WHERE key = ?", (key,)).fetchone()
        return None if row is None else Question(row[0], row[1], row[2], bool(row[3]), row[4])

    def any_shown(self) -> bool:
        """Whether people may see the guess at any question."""
        return self._db.execute("SELECT 1 FROM question WHERE shown = 1 LIMIT 1").fetchone() is not None

    def set_attempted(self, keys: Collection[str], at: float | None) -> None:
        """A push of these begins (``at``), or has got its clear answer (None)."""
        self._db.executemany("UPDATE question SET attempted = ? WHERE key = ?", [(at, key) for key in keys])

    def attempted(self, keys: Collection[str]) -> dict[str, float]:
        """When the push of those keys began that has no clear answer."""
        rows = self._select("SELECT key, attempted FROM question WHERE attempted IS NOT NULL AND key IN", keys)
        return {str(key): float(at) for key, at in rows}

    def last_doubt(self) -> float | None:
        """When the last push without a clear answer began; None without any."""
        at = self._db.execute("SELECT max(attempted) FROM question").fetchone()[0]
        return None if at is None else float(at)

    def withdraw(self, keys: Collection[str]) -> None:
        """These were withdrawn by the campaign."""
        self._db.executemany("UPDATE question SET withdrawn = 1 WHERE key = ?", [(key,) for key in keys])

    def withdrawn(self, keys: Collection[str]) -> set[str]:
        """Those of the keys that were withdrawn."""
        return {str(row[0]) for row in self._select("SELECT key FROM question WHERE withdrawn = 1 AND key IN", keys)}

    # -------------------------------------------------------------------------------------------- tasks

    def see(self, task: int, key: str, pull: int, labelled: bool | None = None) -> None:
        """A task is on the server; ``labelled`` None: not known."""
        self._db.execute(
            "INSERT INTO task (id, key, labelled, seen) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " seen = CASE WHEN key = excluded.key THEN seen ELSE excluded.seen END,"
            " key = excluded.key, gone = 0, labelled = CASE WHEN ? THEN labelled ELSE excluded.labelled END",
            (task, key, int(bool(labelled)), pull, labelled is None),
        )

    def lose(self, tasks: Collection[int]) -> None:
        """These tasks are no more."""
        self._db.executemany("UPDATE task SET gone = 1 WHERE id = ?", [(task,) for task in tasks])
        self._db.executemany("DELETE FROM problem WHERE task = ?", [(task,) for task in tasks])

    def live(self) -> set[int]:
        """Ids of all tasks that should be there."""
        return {int(row[0]) for row in self._db.execute("SELECT id FROM task WHERE gone = 0")}

    def key_of(self, task: int) -> str | None:
        """The key of a task that is known."""
        row = self._db.execute("SELECT key FROM task WHERE id = ? AND gone = 0", (task,)).fetchone()
        return None if row is None else str(row[0])

    def copies(self, keys: Collection[str]) -> dict[str, list[Copy]]:
        """Live tasks by key, the one that counts first: a labelled one, else the oldest."""
        rows = self._select("SELECT id, key, labelled, seen FROM task WHERE gone = 0 AND key IN", keys)
        found: dict[str, list[Copy]] = {}
        for row in sorted(rows, key=lambda r: (not r[2], r[0])):
            found.setdefault(row[1], []).append(Copy(row[0], row[1], bool(row[2]), row[3]))
        return found

    def doubled(self) -> list[str]:
        """Keys with more than one live task."""
        rows = self._db.execute("SELECT key FROM task WHERE gone = 0 GROUP BY key HAVING count(*) > 1 ORDER BY key")
        return [str(row[0]) for row in rows]

    def primary(self, keys: Collection[str]) -> dict[str, int]:
        """The task of each key that has one."""
        return {key: copies[0].id for key, copies in self.copies(keys).items()}

    def orphaned(self) -> tuple[str, ...]:
        """Keys that were sent, whose tasks are all gone, and that nobody answered."""
        rows = self._db.execute(
            "SELECT key FROM question WHERE withdrawn = 0 AND key IN (SELECT key FROM task)"
            " AND key NOT IN (SELECT key FROM task WHERE gone = 0)"
            " AND key NOT IN (SELECT key FROM standing) ORDER BY key"
        )
        return tuple(str(row[0]) for row in rows)

    def set_predicted(self, tasks: Collection[int], version: str) -> None:
        """The server has these predictions."""
        self._db.executemany("UPDATE task SET predicted = ? WHERE id = ?", [(version, task) for task in tasks])

    def predicted(self, version: str) -> set[int]:
        """Tasks whose newest prediction is of this version."""
        return {int(row[0]) for row in self._db.execute("SELECT id FROM task WHERE predicted = ?", (version,))}

    def set_problems(self, task: int, problems: Mapping[str, str]) -> None:
        """What of a task cannot be read, and why; replaces what could not be read before."""
        self._db.execute("DELETE FROM problem WHERE task = ?", (task,))
        rows = [(task, what, text) for what, text in sorted(problems.items())]
        self._db.executemany("INSERT INTO problem VALUES (?, ?, ?)", rows)

    # -------------------------------------------------------------------------------------- adopted tasks

    def adopt(self, tasks: Sequence[tuple[str, Adopted]]) -> None:
        """Remember tasks of theirs by content; those that are known stay as they are."""
        self._db.executemany(
            "INSERT INTO adopted (task, content, texts) VALUES (?, ?, ?) ON CONFLICT (task) DO NOTHING",
            [(task.id, content, task.texts) for content, task in tasks],
        )

    def adopted(self, contents: Collection[str]) -> dict[str, list[Adopted]]:
        """Tasks by content, the oldest first."""
        rows = self._select("SELECT content, task, texts FROM adopted WHERE content IN", contents)
        found: dict[str, list[Adopted]] = {}
        for content, task, texts in sorted(rows, key=lambda row: row[1]):
            found.setdefault(content, []).append(Adopted(int(task), str(texts)))
        return found

    def linked(self) -> set[int]:
        """Tasks that carry a question."""
        return {int(row[0]) for row in self._db.execute("SELECT id FROM task")}

    def unread(self) -> list[int]:
        """Linked tasks whose earlier answers were not read yet."""
        rows = self._db.execute("SELECT task FROM adopted JOIN task ON id = task WHERE unread = 1 AND gone = 0")
        return sorted(int(row[0]) for row in rows)

    def set_read(self, tasks: Collection[int]) -> None:
        """The earlier answers to these were read."""
        self._db.executemany("UPDATE adopted SET unread = 0 WHERE task = ?", [(task,) for task in tasks])

    # ------------------------------------------------------------------------------------------ answers

    def answer(self, remote: str, annotation: int, task: int, key: str, revision: str, content: str) -> None:
        """Append an answer, unless it stands already."""
        last = self._db.execute(
            "SELECT key, content, deleted, revision FROM answer WHERE remote = ? ORDER BY seq DESC LIMIT 1", (remote,)
        ).fetchone()
        if last is not None and (last[0], last[1], last[2]) == (key, content, 0):
            return
        if last is not None and last[2] and last[3] == revision:
            revision += "-again"  # it was taken for deleted, and is not: the same revision would be ignored
        self._append(remote, annotation, task, key, revision, content, 0)

    def retract(self, remote: str) -> None:
        """An annotation was deleted on the server."""
        last = self._db.execute(
            "SELECT annotation, task, key, revision, content, deleted FROM answer WHERE remote = ?"
            " ORDER BY seq DESC LIMIT 1",
            (remote,),
        ).fetchone()
        if last is not None and not last[5]:
            self._append(remote, last[0], last[1], last[2], last[3], last[4], 1)

    def standing(self, tasks: Collection[int]) -> dict[int, dict[str, int]]:
        """By task, the annotations that stand: id on the server by id of the vote."""
        found: dict[int, dict[str, int]] = {}
        sql = (
            "SELECT task, remote, annotation FROM answer AS a WHERE deleted = 0"
            " AND seq = (SELECT max(seq) FROM answer WHERE remote = a.remote) AND task IN"
        )
        for task, remote, annotation in self._select(sql, tasks):
            found.setdefault(int(task), {})[str(remote)] = int(annotation)
        return found

    def page(self, cursor: str | None) -> Page:
        """The answers behind a cursor (``name-number``), at most `PAGE`.

        A cursor of another ledger begins at the beginning: that one was lost, and what the campaign has it ignores.

        Raises:
            BackendRejected: the cursor is none of this backend's.
        """
        mine = self.fact("name")
        name, dash, start = (cursor or f"{mine}-0").rpartition("-")
        if not (dash and start.isascii() and start.isdecimal()):
            raise BackendRejected(f"'{cursor}' is not a cursor of the backend '{NAME}'")
        start = start if name == mine else "0"
        with sqlite_errors(self._path):
            rows = self._db.execute(
                "SELECT seq, key, remote, revision, content, deleted FROM answer WHERE seq > ? ORDER BY seq LIMIT ?",
                (int(start), PAGE + 1),
            ).fetchall()
            problems = self._db.execute("SELECT what, text FROM problem ORDER BY task, what").fetchall()
        votes = tuple(vote(r[1], r[2], r[3], json.loads(r[4]), bool(r[5])) for r in rows[:PAGE])
        more = len(rows) > PAGE
        gone = () if more else self.orphaned()
        end = f"{mine}-{rows[:PAGE][-1][0] if rows else start}"
        return Page(votes, end, more, tuple(RefusedFile(what, (text,)) for what, text in problems), gone)

    # --------------------------------------------------------------------------------------- internals

    def _append(
        self, remote: str, annotation: int, task: int, key: str, revision: str, content: str, deleted: int
    ) -> None:
        self._db.execute(
            "INSERT INTO answer (remote, annotation, task, key, revision, content, deleted)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (remote, annotation, task, key, revision, content, deleted),
        )

    def _select(self, sql: str, values: Collection[Any]) -> Iterator[tuple[Any, ...]]:
        ordered = sorted(values)
        for start in range(0, len(ordered), _CHUNK):
            chunk = ordered[start : start + _CHUNK]
            yield from self._db.execute(f"{sql} ({','.join('?' * len(chunk))})", chunk)


def as_mapping(found: Mapping[str, int]) -> dict[str, str]:
    """Task ids as remote ids."""
    return {key: str(task) for key, task in found.items()}
