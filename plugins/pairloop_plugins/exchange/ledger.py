"""What the exchange remembers, in one SQLite file: questions, written files, what each file says, and the answers.

The answers are an append-only log, so that every cursor stays valid. A file counts in one transaction with all that
follows from it, or not at all. Were the file lost, reading the files again would bring the same answers under the same
identities.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pairloop.errors import BackendRejected
from pairloop.kit.canonical import canonical_json, digest
from pairloop.records import Annotation, Choice, Page
from pairloop_plugins.exchange.reading import Asked, Statement
from pairloop_plugins.exchange.rows import fingerprint
from pairloop_plugins.exchange.writing import Question, cell_text
from pairloop_plugins.sqlite_errors import OwnFile, sqlite_errors

PAGE = 500
"""Most answers a page holds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS question (
    position INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which they stand in files
    key TEXT NOT NULL UNIQUE,
    round INTEGER NOT NULL,
    pair_id TEXT NOT NULL,
    annotator TEXT,                -- who was asked; NULL: anybody
    shown INTEGER NOT NULL,        -- was the model's guess visible
    body TEXT NOT NULL,            -- JSON of a Question
    file TEXT NOT NULL,
    written INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS question_file ON question (file);
CREATE INDEX IF NOT EXISTS question_pair ON question (pair_id);
CREATE TABLE IF NOT EXISTS written (file TEXT PRIMARY KEY, sha256 TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (
    place TEXT PRIMARY KEY,        -- "inbox/a.csv"
    size INTEGER NOT NULL,
    mtime INTEGER NOT NULL,        -- ns
    settled INTEGER NOT NULL,      -- 0: changed so recently that its time may not show the next change
    sha256 TEXT NOT NULL,
    problems TEXT                  -- JSON list; NULL: accepted
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS said (  -- what the accepted content of each present file says
    place TEXT NOT NULL,
    key TEXT NOT NULL,
    annotator TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (place, key, annotator)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS said_person ON said (key, annotator);
CREATE TABLE IF NOT EXISTS answer (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    annotator TEXT NOT NULL,
    revision INTEGER NOT NULL,     -- counts per key and annotator
    content TEXT NOT NULL,
    deleted INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS answer_person ON answer (key, annotator);
"""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was when it was last looked at; ``problems`` None means that it was accepted."""

    place: str
    size: int
    mtime: int
    settled: bool
    sha256: str
    problems: tuple[str, ...] | None


class Ledger(OwnFile):
    """The file. What changes it happens inside `transaction`."""

    def __init__(self, path: Path, backend: str) -> None:
        """Open or create ``path``.

        Raises:
            StorageFull: it cannot be written. CorruptionDetected: it is no SQLite file.
        """
        super().__init__(path, _SCHEMA)
        self._backend = backend

    # ---------------------------------------------------------------------------------------- questions

    def add_question(self, question: Question, pair_id: str, shown: bool, file: str) -> None:
        """Remember a question that goes into ``file``."""
        self._db.execute(
            "INSERT INTO question (key, round, pair_id, annotator, shown, body, file) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (question.key, question.round, pair_id, question.annotator, int(shown),
             canonical_json(asdict(question)), file),
        )  # fmt: skip

    def asked(self) -> Asked:
        """All questions, as reading needs them."""
        people: dict[str, str | None] = {}
        texts: dict[str, set[str]] = {}
        with sqlite_errors(self._path):
            for key, annotator, body in self._db.execute("SELECT key, annotator, body FROM question"):
                people[key] = annotator
                question = json.loads(body)
                left, right = (cell_text(key, name, question[name]) for name in ("left", "right"))
                texts.setdefault(fingerprint(left, right), set()).add(key)
        texts.pop("", None)
        return Asked(people, {print_: frozenset(keys) for print_, keys in texts.items()})

    def known(self, keys: Collection[str]) -> list[str]:
        """Those of the keys that were published."""
        ordered, found = sorted(keys), []
        with sqlite_errors(self._path):
            for start in range(0, len(ordered), _CHUNK):
                part = ordered[start : start + _CHUNK]
                marks = ",".join("?" * len(part))
                found += self._db.execute(f"SELECT key FROM question WHERE key IN ({marks})", part).fetchall()  # noqa: S608
        return [row[0] for row in found]

    def asked_about(self, pair_id: str) -> set[str]:
        """Who has a question about the pair."""
        return {row[0] for row in self._db.execute("SELECT annotator FROM question WHERE pair_id = ?", (pair_id,))}

    def loads(self, round_number: int) -> dict[str, int]:
        """Questions of a round by person."""
        sql = "SELECT annotator, count(*) FROM question WHERE round = ? AND annotator IS NOT NULL GROUP BY annotator"
        return dict(self._db.execute(sql, (round_number,)))

    # ------------------------------------------------------------------------------------ written files

    def unfinished(self) -> list[str]:
        """Files that lack questions which were published, oldest first."""
        with sqlite_errors(self._path):
            rows = self._db.execute(
                "SELECT file, min(position) p FROM question WHERE written = 0 GROUP BY file ORDER BY p"
            )
            return [row[0] for row in rows]

    def questions(self, file: str) -> list[Question]:
        """The questions of a file in their order."""
        rows = self._db.execute("SELECT body FROM question WHERE file = ? ORDER BY position", (file,))
        return [Question(**json.loads(row[0])) for row in rows]

    def written_sha(self, file: str) -> str | None:
        """Digest of what was last written to a file; None before."""
        row = self._db.execute("SELECT sha256 FROM written WHERE file = ?", (file,)).fetchone()
        return None if row is None else str(row[0])

    def mark_written(self, file: str, sha256: str) -> None:
        """All questions of a file are in it now."""
        self._db.execute("INSERT OR REPLACE INTO written VALUES (?, ?)", (file, sha256))
        self._db.execute("UPDATE question SET written = 1 WHERE file = ?", (file,))

    def move_unwritten(self, file: str, other: str) -> None:
        """What is not in ``file`` yet goes into another one."""
        self._db.execute("UPDATE question SET file = ? WHERE file = ? AND written = 0", (other, file))

    def files(self) -> set[str]:
        """Names of all files that were ever written, or will be."""
        with sqlite_errors(self._path):
            rows = self._db.execute("SELECT file FROM written UNION SELECT file FROM question")
            return {row[0] for row in rows}

    # --------------------------------------------------------------------------------------- read files

    def seen(self) -> dict[str, Seen]:
        """All files that were looked at, by place."""
        with sqlite_errors(self._path):
            rows = self._db.execute("SELECT place, size, mtime, settled, sha256, problems FROM seen ORDER BY place")
            return {row[0]: _seen(*row) for row in rows}

    def set_seen(self, seen: Seen) -> None:
        """Remember how a file looked."""
        problems = None if seen.problems is None else canonical_json(list(seen.problems))
        row = (seen.place, seen.size, seen.mtime, int(seen.settled), seen.sha256, problems)
        self._db.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?)", row)

    def forget(self, places: Iterable[str]) -> None:
        """These files are gone: they say nothing any more, and what they said stays answered."""
        for place in places:
            self._db.execute("DELETE FROM seen WHERE place = ?", (place,))
            self._db.execute("DELETE FROM said WHERE place = ?", (place,))

    def said_in(self, place: str) -> list[Statement]:
        """What a file says."""
        rows = self._db.execute("SELECT key, annotator, content FROM said WHERE place = ?", (place,))
        return [_statement(*row) for row in rows]

    def said_elsewhere(self, place: str, key: str, annotator: str) -> list[tuple[str, Statement]]:
        """What other files say of one person about one question, with their places."""
        rows = self._db.execute(
            "SELECT place, key, annotator, content FROM said WHERE key = ? AND annotator = ? AND place <> ?"
            " ORDER BY place",
            (key, annotator, place),
        )
        return [(row[0], _statement(*row[1:])) for row in rows]

    def set_said(self, place: str, statements: Sequence[Statement]) -> None:
        """Replace what a file says."""
        self._db.execute("DELETE FROM said WHERE place = ?", (place,))
        self._db.executemany(
            "INSERT INTO said VALUES (?, ?, ?, ?)",
            [(place, said.key, said.annotator, canonical_json(said.content())) for said in statements],
        )

    # ------------------------------------------------------------------------------------------ answers

    def answer(self, said: Statement) -> None:
        """Append an answer, unless it stands already; a `Statement` without a choice takes it back."""
        last = self._db.execute(
            "SELECT revision, content, deleted FROM answer WHERE key = ? AND annotator = ? ORDER BY seq DESC LIMIT 1",
            (said.key, said.annotator),
        ).fetchone()
        if said.choice is None:
            if last is None or last[2]:
                return
            content, deleted = last[1], 1
        else:
            content, deleted = canonical_json(said.content()), 0
            if last is not None and (last[1], last[2]) == (content, 0):
                return
        self._db.execute(
            "INSERT INTO answer (key, annotator, revision, content, deleted) VALUES (?, ?, ?, ?, ?)",
            (said.key, said.annotator, 1 if last is None else last[0] + 1, content, deleted),
        )

    def page(self, cursor: str | None) -> Page:
        """The answers behind a cursor, at most `PAGE`.

        Raises:
            BackendRejected: the cursor is none of this backend's.
        """
        start = cursor or "0"
        if not (start.isascii() and start.isdecimal()):
            raise BackendRejected(f"'{cursor}' is not a cursor of the backend '{self._backend}'")
        with sqlite_errors(self._path):
            rows = self._db.execute(
                "SELECT a.seq, a.key, a.annotator, a.revision, a.content, a.deleted, q.shown FROM answer a"
                " JOIN question q USING (key) WHERE a.seq > ? ORDER BY a.seq LIMIT ?",
                (int(start), PAGE + 1),
            ).fetchall()
        annotations = tuple(self._annotation(*row[1:]) for row in rows[:PAGE])
        return Page(annotations, str(rows[:PAGE][-1][0]) if rows else start, len(rows) > PAGE)

    def _annotation(
        self, key: str, annotator: str, revision: int, content: str, deleted: int, shown: int
    ) -> Annotation:
        fields = json.loads(content)
        fields["choice"] = Choice(fields["choice"])
        return Annotation(
            key=key,
            backend=self._backend,
            remote_id=f"{key}-{digest(annotator)[:12]}",
            revision=f"{revision}-{digest([content, deleted])[:12]}",
            annotator=annotator,
            prelabel_shown=bool(shown),
            deleted=bool(deleted),
            **fields,
        )


def _statement(key: str, annotator: str, content: str) -> Statement:
    fields: Mapping[str, object] = json.loads(content)
    choice = None if fields["choice"] is None else Choice(str(fields["choice"]))
    return Statement(key, annotator, **{**fields, "choice": choice})  # type: ignore[arg-type]


def _seen(place: str, size: int, mtime: int, settled: int, sha256: str, problems: str | None) -> Seen:
    return Seen(place, size, mtime, bool(settled), sha256, None if problems is None else tuple(json.loads(problems)))
