"""A remote annotation server in one SQLite file, as awkward as real ones.

Publishing a key twice makes two tasks with two remote ids, each of which brings an annotation of its own; only
`FileRemote.lookup` tells what is there. The file lies outside the campaign's folder and survives every kill of the
campaign. Answers depend on round, pair and replica (who answers) and on the displayed texts (what they say), never on
the key, so that campaigns with other ids get the same answers.

``faults`` is a list of ``"<call>:<number>:<fate>"``: at the number-th call since the file was made, in whatever
process,

    publish:2:lost     the tasks are created, then the answer gets lost (`BackendUnavailable`)
    publish:1:refused  nothing happens (`BackendUnavailable`)
    lookup:1:refused   likewise; also poll and cancel
    poll:3:repeat      the page is delivered, and its cursor stands still, so that it comes again
    cancel:1:lost      the tasks are withdrawn, then the answer gets lost
"""

import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field

from pairloop.errors import BackendRejected, BackendUnavailable
from pairloop.hookspecs import hookimpl
from pairloop.kit.options import Options
from pairloop.kit.seeds import unit_interval
from pairloop.protocols import Backend, BackendContext, BackendSpec, Capabilities, Published
from pairloop.records import Annotation, AnnotatorKind, Choice, Page, Task
from pairloop.testing.toy_source import goodness

NAME = "file-remote"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, choice TEXT, annotator TEXT, rating INTEGER,
    shown INTEGER NOT NULL DEFAULT 0, withdrawn INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS task_key ON task (key);
CREATE TABLE IF NOT EXISTS calls (name TEXT PRIMARY KEY, n INTEGER NOT NULL);
"""


class RemoteOptions(Options):
    """``[backend.options]`` of ``file-remote``."""

    path: str = "../../../remote.sqlite3"
    """The server's file, relative to the backend's private folder: beside the campaign's folder."""
    page: int = Field(default=7, ge=1)
    """Annotations a page."""
    annotators: int = Field(default=4, ge=1)
    """How many people answer."""
    skip: float = Field(default=0.0, ge=0, le=1)
    """Probability of a skip."""
    no_answer: float = Field(default=0.0, ge=0, le=1)
    """Probability that a task stays open for ever."""
    noise: float = Field(default=0.1, ge=0, le=1)
    """Probability of the opposite answer."""
    bad_prompts: float = Field(default=0.0, ge=0, le=1)
    """Share of the pairs whose annotators rate the prompt 1; 0: nobody rates prompts."""
    blocking: bool = True
    """Capability: all answers are there at once."""
    faults: tuple[str, ...] = ()
    """Fates of calls; see the module."""


class FileRemote:
    """Implements `pairloop.protocols.Backend`."""

    name = NAME

    def __init__(self, options: RemoteOptions, context: BackendContext) -> None:
        self.capabilities = Capabilities(lookup=True, cancel=True, prelabels=True, blocking=options.blocking)
        self._options = options
        self._seed = context.seed
        self._faults = {tuple(fault.split(":")[:2]): fault.split(":")[2] for fault in options.faults}
        self._db = connect((context.folder / options.path).resolve())

    def publish(self, tasks: Sequence[Task]) -> Published:
        """Append a task for each, whether its key is known or not."""
        fate = self._fate("publish")
        with self._transaction():
            ids = {task.key: str(self._create(task)) for task in tasks}
        if fate == "lost":
            raise BackendUnavailable("the remote's answer to publish got lost")
        return Published(ids)

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        """The first task of each known key."""
        self._fate("lookup")
        found = {}
        for key in sorted(keys):
            row = self._db.execute("SELECT min(id) FROM task WHERE key = ?", (key,)).fetchone()
            if row[0] is not None:
                found[key] = str(row[0])
        return found

    def poll(self, cursor: str | None) -> Page:
        """The next annotations in order of creation.

        Raises:
            BackendRejected: the cursor is not a number.
        """
        fate = self._fate("poll")
        if cursor is not None and not cursor.isdecimal():
            raise BackendRejected(f"{cursor!r} is not a cursor of the backend {NAME!r}")
        after = int(cursor or 0)
        rows = self._db.execute(
            "SELECT id, key, choice, annotator, rating, shown FROM task"
            " WHERE id > ? AND choice IS NOT NULL AND withdrawn = 0 ORDER BY id LIMIT ?",
            (after, self._options.page + 1),
        ).fetchall()
        page = rows[: self._options.page]
        end = str(page[-1][0]) if page and fate != "repeat" else str(after)
        return Page(tuple(_annotation(*row) for row in page), end, len(rows) > len(page))

    def cancel(self, keys: Collection[str]) -> Collection[str]:
        """Withdraw the tasks that nobody will answer; confirms all that are withdrawn."""
        fate = self._fate("cancel")
        marks = ",".join("?" for _ in keys)
        with self._transaction():
            self._db.execute(
                f"UPDATE task SET withdrawn = 1 WHERE choice IS NULL AND key IN ({marks})",  # noqa: S608
                tuple(keys),
            )
        if fate == "lost":
            raise BackendUnavailable("the remote's answer to cancel got lost")
        rows = self._db.execute(f"SELECT key FROM task WHERE withdrawn = 1 AND key IN ({marks})", tuple(keys))  # noqa: S608
        return sorted({row[0] for row in rows})

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._db.close()

    # ----------------------------------------------------------------------------------------- internals

    def _create(self, task: Task) -> int:
        choice, annotator, rating = self._answer(task)
        cursor = self._db.execute(
            "INSERT INTO task (key, choice, annotator, rating, shown) VALUES (?, ?, ?, ?, ?)",
            (task.key, choice, annotator, rating, int(task.prelabel is not None and task.prelabel.shown)),
        )
        return int(cursor.lastrowid or 0)

    def _answer(self, task: Task) -> tuple[str | None, str, int | None]:
        options, path = self._options, (task.round, task.pair_id, task.replica)
        who = zlib.crc32(f"{task.pair_id} {task.round}".encode()) + task.replica
        annotator = f"worker-{who % options.annotators}"
        rating = None
        if options.bad_prompts:
            rating = 1 if unit_interval(self._seed, "rating", task.pair_id) < options.bad_prompts else 5
        if unit_interval(self._seed, "answers", *path) < options.no_answer:
            return None, annotator, None
        if unit_interval(self._seed, "skips", *path) < options.skip:
            return Choice.SKIP.value, annotator, rating
        margin = goodness(task.left) - goodness(task.right)
        if margin == 0:
            return Choice.TIE.value, annotator, rating
        choice = Choice.LEFT if margin > 0 else Choice.RIGHT
        wrong = unit_interval(self._seed, "mistakes", *path) < options.noise
        return (choice.mirrored() if wrong else choice).value, annotator, rating

    def _fate(self, call: str) -> str | None:
        """Count a call; raise or return what is to happen to it."""
        with self._transaction():
            self._db.execute("INSERT INTO calls VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET n = n + 1", (call,))
            n = self._db.execute("SELECT n FROM calls WHERE name = ?", (call,)).fetchone()[0]
        fate = self._faults.get((call, str(n)))
        if fate == "refused":
            raise BackendUnavailable(f"the remote did not take the call of {call}")
        return fate

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise


def connect(path: Path) -> sqlite3.Connection:
    """Open or make a server's file. Unsynced: a killed process loses nothing of it, and no test pulls the plug."""
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    db.execute("PRAGMA synchronous=OFF")
    db.executescript(_SCHEMA)
    return db


def tasks_by_key(path: Path) -> dict[str, list[tuple[int, str | None, int]]]:
    """(id, choice, withdrawn) of all tasks that a server's file holds, by key: exactly one each, if all is well."""
    found: dict[str, list[tuple[int, str | None, int]]] = {}
    db = connect(path)
    for id_, key, choice, withdrawn in db.execute("SELECT id, key, choice, withdrawn FROM task ORDER BY id"):
        found.setdefault(key, []).append((id_, choice, withdrawn))
    db.close()
    return found


def _annotation(id_: int, key: str, choice: str, annotator: str, rating: int | None, shown: int) -> Annotation:
    return Annotation(
        key=key, backend=NAME, remote_id=f"annotation-{id_}", revision="1", annotator=annotator, choice=Choice(choice),
        kind=AnnotatorKind.SIMULATED, prompt_rating=rating, seconds=12.5, prelabel_shown=bool(shown),
    )  # fmt: skip


def _factory(options: Any, context: BackendContext) -> Backend:
    return FileRemote(options or RemoteOptions(), context)


@hookimpl
def pairloop_backends() -> Sequence[BackendSpec]:
    """Offer the backend ``file-remote``."""
    return [BackendSpec(NAME, _factory, RemoteOptions, "a server in a file that doubles what is sent twice")]
