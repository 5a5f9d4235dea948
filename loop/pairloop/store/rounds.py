"""Rounds, their assignments and prelabels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pairloop.errors import IllegalTransition
from pairloop.kit.clock import now
from pairloop.records import Arm, Assignment, Choice, Prelabel
from pairloop.states import OPEN_ASSIGNMENT_STATES, ROUND_MOVES, AssignmentState, RoundState
from pairloop.store.database import Database, Row


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of the wheel."""

    number: int
    state: RoundState
    version: int
    opened_at: str
    published_at: str | None
    closed_at: str | None
    reason: str | None


class RoundStore:
    """Typed reads and writes of rounds and assignments."""

    def __init__(self, database: Database) -> None:
        self._db = database

    # ------------------------------------------------------------------------------------------ rounds

    def open(self) -> Round:
        """Open the next round."""
        number = int(self._db.value("SELECT coalesce(max(number), 0) + 1 FROM rounds"))
        self._db.write(
            "INSERT INTO rounds (number, state, opened_at) VALUES (?, ?, ?)",
            (number, RoundState.SELECTING.value, now()),
        )
        latest = self.latest()
        if latest is None:
            raise IllegalTransition("the round that was just opened is not there")
        return latest

    def latest(self) -> Round | None:
        """The round with the highest number."""
        row = self._db.row("SELECT * FROM rounds ORDER BY number DESC LIMIT 1")
        return None if row is None else _round(row)

    def all(self) -> list[Round]:
        """Every round in order."""
        return [_round(row) for row in self._db.rows("SELECT * FROM rounds ORDER BY number")]

    def move(self, current: Round, to: RoundState, reason: str | None = None) -> Round:
        """Compare-and-set the state of a round.

        Raises:
            IllegalTransition: the table of moves forbids it, or the round is no longer as ``current`` says.
        """
        if to not in ROUND_MOVES[current.state]:
            raise IllegalTransition(f"round {current.number} cannot go from {current.state} to {to}")
        changed = self._db.write(
            "UPDATE rounds SET state = ?, version = version + 1, reason = coalesce(?, reason),"
            " published_at = CASE WHEN ? THEN ? ELSE published_at END,"
            " closed_at = CASE WHEN ? THEN ? ELSE NULL END"
            " WHERE number = ? AND state = ? AND version = ?",
            (to.value, reason, to is RoundState.COLLECTING, now(), to.is_terminal, now(),
             current.number, current.state.value, current.version),
        )  # fmt: skip
        if changed != 1:
            raise IllegalTransition(f"round {current.number} is no longer {current.state}; another process moved it")
        row = self._db.row("SELECT * FROM rounds WHERE number = ?", (current.number,))
        if row is None:
            raise IllegalTransition(f"round {current.number} is gone")
        return _round(row)

    # ------------------------------------------------------------------------------------- assignments

    def add_assignments(self, assignments: Iterable[Assignment]) -> None:
        """Store questions before anything is pushed."""
        self._db.write_many(
            "INSERT INTO assignments (key, round, pair_id, replica, flipped, arm, strategy, score, rank, model,"
            " propensity, cost, state, remote_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (a.key, a.round, a.pair_id, a.replica, int(a.flipped), a.arm.value, a.strategy, a.score, a.rank,
                 a.model, a.propensity, a.cost, a.state, a.remote_id)
                for a in assignments
            ],
        )  # fmt: skip

    def add_prelabels(self, prelabels: Mapping[str, Prelabel]) -> None:
        """Store the model's guesses by assignment key."""
        self._db.write_many(
            "INSERT OR REPLACE INTO prelabels (key, model, choice, p_left, shown) VALUES (?, ?, ?, ?, ?)",
            [(key, p.model, p.choice.value, p.p_left, int(p.shown)) for key, p in prelabels.items()],
        )

    def replace_prelabels(self, prelabels: Mapping[str, Prelabel]) -> None:
        """Store newer guesses at these questions in place of the older ones."""
        self._db.write_many("DELETE FROM prelabels WHERE key = ?", [(key,) for key in prelabels])
        self.add_prelabels(prelabels)

    def assignments(self, round_number: int | None = None) -> list[Assignment]:
        """Assignments of a round (or of all), in order of rank; what was put to the judge is not among them."""
        where, parameters = ("AND round = ?", (round_number,)) if round_number is not None else ("", ())
        sql = f"SELECT * FROM assignments WHERE arm <> 'judge' {where} ORDER BY round, rank, replica"  # noqa: S608
        return [_assignment(row) for row in self._db.rows(sql, parameters)]

    def prelabels(self, round_number: int) -> dict[str, Prelabel]:
        """The latest guess for each assignment of a round."""
        rows = self._db.rows(
            "SELECT p.* FROM prelabels p JOIN assignments a USING (key) WHERE a.round = ? ORDER BY p.key, p.model",
            (round_number,),
        )
        return {
            row["key"]: Prelabel(Choice(row["choice"]), row["p_left"], row["model"], bool(row["shown"])) for row in rows
        }

    def set_state(self, keys: Sequence[str], state: AssignmentState, note: str | None = None) -> None:
        """Move assignments; an answered or skipped one is left alone."""
        self._db.write_many(
            "UPDATE assignments SET state = ?, note = coalesce(?, note), withdrawn = max(withdrawn, ?) WHERE key = ?"
            " AND state NOT IN ('answered', 'skipped')",
            [(state.value, note, int(state is AssignmentState.WITHDRAWN), key) for key in keys],
        )

    def set_sent(self, remote_ids: Mapping[str, str]) -> None:
        """Store receipts."""
        self._db.write_many(
            "UPDATE assignments SET remote_id = ?, state = CASE WHEN state IN ('answered', 'skipped') THEN state"
            " ELSE 'sent' END WHERE key = ?",
            [(remote, key) for key, remote in sorted(remote_ids.items())],
        )

    def count(self, round_number: int) -> dict[AssignmentState, int]:
        """Assignments of a round by state, without what was put to the judge."""
        sql = "SELECT state, count(*) FROM assignments WHERE round = ? AND arm <> 'judge' GROUP BY state"
        rows = self._db.rows(sql, (round_number,))
        return {AssignmentState(row[0]): row[1] for row in rows}

    def judged(self) -> list[Assignment]:
        """What was put to the judge: two rows a pair and judge, one for each order."""
        rows = self._db.rows("SELECT * FROM assignments WHERE arm = 'judge' ORDER BY round, rank, replica")
        return [_assignment(row) for row in rows]

    def asked(self) -> dict[str, list[Assignment]]:
        """All assignments by pair."""
        found: dict[str, list[Assignment]] = {}
        for assignment in self.assignments():
            found.setdefault(assignment.pair_id, []).append(assignment)
        return found

    def open_cost(self) -> tuple[int, float]:
        """(number, expected cost) of assignments that may still bring a vote."""
        marks = ",".join("?" for _ in OPEN_ASSIGNMENT_STATES)
        row = self._db.row(
            f"SELECT count(*), coalesce(sum(cost), 0) FROM assignments WHERE state IN ({marks})",  # noqa: S608
            [state.value for state in OPEN_ASSIGNMENT_STATES],
        )
        return (0, 0.0) if row is None else (int(row[0]), float(row[1]))


def _round(row: Row) -> Round:
    return Round(
        number=row["number"],
        state=RoundState(row["state"]),
        version=row["version"],
        opened_at=row["opened_at"],
        published_at=row["published_at"],
        closed_at=row["closed_at"],
        reason=row["reason"],
    )


def _assignment(row: Row) -> Assignment:
    return Assignment(
        key=row["key"],
        round=row["round"],
        pair_id=row["pair_id"],
        replica=row["replica"],
        flipped=bool(row["flipped"]),
        arm=Arm(row["arm"]),
        strategy=row["strategy"],
        score=row["score"],
        rank=row["rank"],
        model=row["model"],
        propensity=row["propensity"],
        cost=row["cost"],
        state=row["state"],
        remote_id=row["remote_id"],
    )
