"""The annotations: an append-only chain of salted digests, and the content that it vouches for.

Every row's hash covers the hash before it, so that a changed, removed or reordered row is found. The content lives in
its own table with a random salt: erasing a person's content deletes content and salt, the digest in the chain can no
longer be guessed from, and the chain still verifies. The head of the chain is kept apart, so that rows missing at the
end are found too.
"""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from pairloop.errors import CorruptionDetected
from pairloop.kit.canonical import canonical_json, digest
from pairloop.kit.clock import now
from pairloop.records import Annotation, AnnotatorKind, Arm, Choice, Vote
from pairloop.states import AssignmentState
from pairloop.store.database import Database, Row

GENESIS = "0" * 64
_ALL = 2**62
_HEAD = "annotation_head"
_CONTENT_FIELDS = (
    "key", "backend", "remote_id", "revision", "annotator", "choice", "kind", "strength", "prompt_rating", "reason",
    "seconds", "prelabel_shown", "submitted_at", "cost", "deleted", "p_left",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of reported annotations."""

    new: int = 0
    revised: int = 0
    retracted: int = 0
    repeated: int = 0
    late: int = 0
    unknown: tuple[str, ...] = ()

    def __add__(self, other: "Ingested") -> "Ingested":
        return Ingested(
            self.new + other.new, self.revised + other.revised, self.retracted + other.retracted,
            self.repeated + other.repeated, self.late + other.late, self.unknown + other.unknown,
        )  # fmt: skip

    @property
    def changed(self) -> int:
        """How many annotations changed the store."""
        return self.new + self.revised + self.retracted


@dataclass(frozen=True, slots=True)
class _Known:
    """Votes that stood when the log was read: stamp of the decisions, last row, rows with content."""

    stamp: tuple[int, ...]
    last: int
    rows: int
    votes: list[Vote]


class AnnotationLog:
    """Writes and reads annotations."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._known: dict[str, _Known] = {}

    # ------------------------------------------------------------------------------------------ writing

    def ingest(self, annotations: Iterable[Annotation], *, during: int | None) -> Ingested:
        """Insert or ignore by (backend, remote id, revision); inside a transaction.

        ``during`` is the round that is open now: a vote for an older round counts as late.
        """
        total = Ingested()
        for annotation in annotations:
            total += self._ingest_one(annotation, during)
        if total.changed:
            self._store_head()
        return total

    def _ingest_one(self, annotation: Annotation, during: int | None) -> Ingested:
        identity = digest([annotation.backend, annotation.remote_id, annotation.revision, annotation.deleted])
        if self._db.value("SELECT 1 FROM annotation_log WHERE identity = ?", (identity,)):
            return Ingested(repeated=1)
        round_number = self._db.value("SELECT round FROM assignments WHERE key = ?", (annotation.key,))
        if round_number is None:
            return Ingested(unknown=(annotation.key,))
        subject = digest([annotation.backend, annotation.remote_id])
        older = self._db.value("SELECT max(seq) FROM annotations WHERE subject = ?", (subject,))
        self._append(annotation, identity, subject, older, during)
        for key in self._touched_keys(annotation.key, older):
            self._update_assignment(key)
        late = int(during is not None and round_number < during)
        if annotation.deleted:
            return Ingested(retracted=1, late=late)
        return Ingested(revised=1, late=late) if older is not None else Ingested(new=1, late=late)

    def _append(
        self, annotation: Annotation, identity: str, subject: str, older: int | None, during: int | None
    ) -> None:
        last = self._db.row("SELECT seq, row_hash FROM annotation_log ORDER BY seq DESC LIMIT 1")
        seq, prev_hash = (1, GENESIS) if last is None else (last["seq"] + 1, last["row_hash"])
        content = canonical_json({name: _plain(getattr(annotation, name)) for name in _CONTENT_FIELDS})
        salt = secrets.token_hex(16)
        content_digest = digest([salt, content])
        row_hash = digest([seq, identity, older, content_digest, prev_hash])
        self._db.write(
            "INSERT INTO annotation_log (seq, identity, supersedes, content_digest, prev_hash, row_hash)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (seq, identity, older, content_digest, prev_hash, row_hash),
        )
        self._db.write(
            "INSERT INTO annotations (seq, subject, key, annotator, choice, deleted, content, salt, during)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (seq, subject, annotation.key, annotation.annotator, annotation.choice.value, int(annotation.deleted),
             content, salt, during),
        )  # fmt: skip
        if older is not None:
            self._db.write("UPDATE annotations SET superseded_by = ? WHERE seq = ?", (seq, older))

    def _store_head(self) -> None:
        head = self._db.row("SELECT seq, row_hash FROM annotation_log ORDER BY seq DESC LIMIT 1")
        if head is not None:
            self._db.write(
                "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
                (_HEAD, canonical_json([head["seq"], head["row_hash"]])),
            )

    def _touched_keys(self, key: str, older: int | None) -> list[str]:
        """A revision may say that it was about another question all along: then that one is open again."""
        old = None if older is None else self._db.value("SELECT key FROM annotations WHERE seq = ?", (older,))
        return [key] if old in (None, key) else [key, old]

    def _update_assignment(self, key: str) -> None:
        """Answered, skipped, or as it was before any vote, by the votes that stand now."""
        choices = [
            row["choice"]
            for row in self._db.rows(
                "SELECT choice FROM annotations WHERE key = ? AND superseded_by IS NULL AND deleted = 0", (key,)
            )
        ]
        if any(choice != Choice.SKIP for choice in choices):
            state = AssignmentState.ANSWERED
        elif choices:
            state = AssignmentState.SKIPPED
        else:
            state = self._before_votes(key)
        self._db.write("UPDATE assignments SET state = ? WHERE key = ?", (state.value, key))

    def _before_votes(self, key: str) -> AssignmentState:
        """Withdrawn stays withdrawn when its late vote is retracted, and what was never sent is not sent now."""
        row = self._db.row("SELECT withdrawn, remote_id FROM assignments WHERE key = ?", (key,))
        if row is not None and row["withdrawn"]:
            return AssignmentState.WITHDRAWN
        return AssignmentState.PENDING if row is None or row["remote_id"] is None else AssignmentState.SENT

    def erase(self, seqs: Iterable[int]) -> int:
        """Delete content and salt of these rows; the chain keeps their digests. Returns how many went."""
        gone = 0
        for seq in seqs:
            if self._db.write("DELETE FROM annotations WHERE seq = ?", (seq,)):
                self._db.write("INSERT INTO erasures (seq, at) VALUES (?, ?)", (seq, now()))
                gone += 1
        return gone

    # ------------------------------------------------------------------------------------------ reading

    def votes(self, *, up_to: int | None = None) -> list[Vote]:
        """The votes that stand, in order of arrival: not superseded, not retracted; skips included.

        A person counts once for a pair in a round, with the latest judgement; a skip takes no judgement back.
        ``up_to`` limits to rows with seq ≤ up_to, as they stood then.
        """
        latest: dict[tuple[int, str, str], Vote] = {}
        for vote in self.standing(up_to=up_to):
            person = (vote.round, vote.pair_id, vote.annotator)
            if vote.choice is not Choice.SKIP or person not in latest or latest[person].choice is Choice.SKIP:
                latest[person] = vote
        return sorted(latest.values(), key=lambda vote: vote.seq)

    def standing(self, *, up_to: int | None = None) -> list[Vote]:
        """All votes that are neither superseded nor retracted, several of one person about one pair included.

        That is what was paid for; `votes` is what counts. What the judge said beside people is in neither.
        """
        return self._votes_of("s.arm <> 'judge'", up_to)

    def judged(self, *, up_to: int | None = None) -> list[Vote]:
        """What the judge said beside people, in order of arrival; abstentions are skips. One row an order of a pair."""
        return self._votes_of("s.arm = 'judge'", up_to)

    def _votes_of(self, which: str, up_to: int | None) -> list[Vote]:
        if up_to is not None and self._superseded_since(up_to):
            return self._read(which, 0, up_to)
        return [vote for vote in self._current(which) if up_to is None or vote.seq <= up_to]

    def _current(self, which: str) -> list[Vote]:
        """All votes that stand; of a log that only grew since it was read last, the new rows are read alone.

        Nothing that a vote takes from assignments and pairs ever changes.
        """
        stamp, last = self._db.stamp("annotator_decisions"), self.last_seq()
        known = self._known.get(which)
        if known is None or known.stamp != stamp or known.rows != self._rows(known.last) or last < known.last \
                or self._superseded_since(known.last):  # fmt: skip
            votes = self._read(which, 0, _ALL)
        elif last == known.last:
            return known.votes
        else:
            votes = known.votes + self._read(which, known.last, _ALL)
        self._known[which] = _Known(stamp, last, self._rows(last), votes)
        return votes

    def _read(self, which: str, after: int, limit: int) -> list[Vote]:
        return [_vote(row) for row in self._db.rows(_VOTES_SQL.format(which=which), (limit, limit, after))]

    def _rows(self, up_to: int) -> int:
        """Rows with content: erased ones have none."""
        return int(self._db.value("SELECT count(*) FROM annotations WHERE seq <= ?", (up_to,)))

    def _superseded_since(self, seq: int) -> bool:
        """True when a row up to this one was superseded by a later one."""
        sql = "SELECT 1 FROM annotations WHERE superseded_by > ? AND seq <= ? LIMIT 1"
        return bool(self._db.value(sql, (seq, seq)))

    def last_seq(self) -> int:
        """Number of the last row of the log; 0 when empty."""
        return int(self._db.value("SELECT coalesce(max(seq), 0) FROM annotation_log"))

    def row_hash(self, seq: int) -> str | None:
        """The chained hash of a row: it stands for all rows up to it; None where there is no such row."""
        found = self._db.value("SELECT row_hash FROM annotation_log WHERE seq = ?", (seq,))
        return None if found is None else str(found)

    def verify(self) -> int:
        """Check the whole chain and all content against it; returns the number of rows.

        Raises:
            CorruptionDetected: names the first row that does not fit.
        """
        previous, expected = GENESIS, 1
        superseded: dict[int, int] = {}
        rows = self._db.rows(_CHAIN_SQL)
        for row in rows:
            chained = digest([row["seq"], row["identity"], row["supersedes"], row["content_digest"], previous])
            if row["seq"] != expected or row["prev_hash"] != previous or row["row_hash"] != chained:
                raise CorruptionDetected(f"the annotation log does not verify at row {expected}", _RESTORE)
            if row["supersedes"] is not None:
                superseded[row["supersedes"]] = row["seq"]
            previous, expected = row["row_hash"], expected + 1
        self._verify_head(expected - 1, previous)
        for row in rows:
            problem = _content_problem(row, superseded.get(row["seq"]))
            if problem is not None:
                raise CorruptionDetected(f"annotation {row['seq']} {problem}", _RESTORE)
        return expected - 1

    def _verify_head(self, rows: int, row_hash: str) -> None:
        stored = self._db.value("SELECT value FROM meta WHERE key = ?", (_HEAD,))
        if (json.loads(stored) if stored is not None else [0, GENESIS]) != [rows, row_hash]:
            raise CorruptionDetected(f"the annotation log ends at row {rows}, and that is not its end", _RESTORE)


def _content_problem(row: Row, superseded_by: int | None) -> str | None:
    """What is wrong with the content of a row of the log, its copies in columns included, or None."""
    if row["content"] is None:
        return None if row["erased"] is not None else "is gone, and nobody erased it"
    if digest([row["salt"], row["content"]]) != row["content_digest"]:
        return "was changed after it was stored"
    content = json.loads(row["content"])
    subject = digest([content["backend"], content["remote_id"]])
    told = (content["key"], content["annotator"], content["choice"], int(content["deleted"]), subject, superseded_by)
    copies = ("key", "annotator", "choice", "deleted", "subject", "superseded_by")
    return None if told == tuple(row[name] for name in copies) else "was changed after it was stored"


_RESTORE = "Restore the last good copy of the campaign folder, then pull again: nothing that the backend holds is lost."

_CHAIN_SQL = """
    SELECT l.*, a.content, a.salt, a.key, a.annotator, a.choice, a.deleted, a.subject, a.superseded_by, e.seq AS erased
    FROM annotation_log l LEFT JOIN annotations a USING (seq) LEFT JOIN erasures e ON e.seq = l.seq
    ORDER BY l.seq
"""

_VOTES_SQL = """
    SELECT a.seq, a.key, a.annotator, a.choice, a.content, s.round, s.pair_id, s.flipped, s.arm, s.cost,
           p.first, p.second, coalesce(d.excluded, 0) AS excluded
    FROM annotations a
    JOIN assignments s USING (key)
    JOIN pairs p ON p.id = s.pair_id
    LEFT JOIN annotator_decisions d
      ON d.id = (SELECT max(e.id) FROM annotator_decisions e WHERE e.annotator = a.annotator)
    WHERE a.seq <= ? AND a.deleted = 0 AND (a.superseded_by IS NULL OR a.superseded_by > ?)
        AND a.seq > ? AND {which}
    ORDER BY a.seq
"""


def _vote(row: Row) -> Vote:
    content = json.loads(row["content"])
    left, right = (row["second"], row["first"]) if row["flipped"] else (row["first"], row["second"])
    return Vote(
        seq=row["seq"],
        key=row["key"],
        round=row["round"],
        pair_id=row["pair_id"],
        left=left,
        right=right,
        annotator=row["annotator"],
        kind=AnnotatorKind(content["kind"]),
        choice=Choice(row["choice"]),
        arm=Arm(row["arm"]),
        flipped=bool(row["flipped"]),
        prelabel_shown=content["prelabel_shown"],
        strength=content["strength"],
        prompt_rating=content["prompt_rating"],
        reason=content["reason"],
        seconds=content["seconds"],
        cost=content["cost"] if content["cost"] is not None else row["cost"],
        p_left=content.get("p_left"),  # rows of the first databases have none
        excluded=bool(row["excluded"]),
    )


def _plain(value: object) -> object:
    return value.value if isinstance(value, Choice | AnnotatorKind) else value
