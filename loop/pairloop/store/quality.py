"""Gold items, and the decisions about whose votes count."""

from collections.abc import Iterable
from dataclasses import dataclass

from pairloop.kit.clock import now
from pairloop.store.database import Database, Row


@dataclass(frozen=True, slots=True)
class GoldRow:
    """A pair whose right answer is known.

    Attributes:
        answer: "first", "second" or "tie", about the stored order of the pair.
        line: where it stands in the file that brought it.
        active: False once it is gone from the file: no longer asked, its votes are still known as gold.
    """

    pair_id: str
    answer: str
    reason: str | None
    line: int
    active: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision that an annotator's votes count for nothing (``excluded``), or count again."""

    annotator: str
    excluded: bool
    decided_by: str
    reason: str | None
    at: str


class QualityStore:
    """Typed reads and writes of gold items and decisions."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def set_gold(self, rows: Iterable[GoldRow]) -> None:
        """Make these the active gold items; items that are not among them stay, inactive."""
        self._db.write("UPDATE gold_items SET active = 0")
        self._db.write_many(
            "INSERT INTO gold_items (pair_id, answer, reason, line, active) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (pair_id) DO UPDATE SET answer = excluded.answer, reason = excluded.reason,"
            " line = excluded.line, active = excluded.active",
            [(row.pair_id, row.answer, row.reason, row.line, int(row.active)) for row in rows],
        )

    def gold(self) -> list[GoldRow]:
        """All gold items, in the order of the file and then by pair."""
        rows = self._db.rows("SELECT * FROM gold_items ORDER BY line, pair_id")
        return [GoldRow(r["pair_id"], r["answer"], r["reason"], r["line"], bool(r["active"])) for r in rows]

    def decide(self, annotator: str, *, excluded: bool, decided_by: str, reason: str | None) -> None:
        """Append a decision; the last one about an annotator counts."""
        self._db.write(
            "INSERT INTO annotator_decisions (annotator, excluded, decided_by, reason, at) VALUES (?, ?, ?, ?, ?)",
            (annotator, int(excluded), decided_by, reason, now()),
        )

    def decisions(self) -> list[Decision]:
        """Every decision, oldest first."""
        return [_decision(row) for row in self._db.rows("SELECT * FROM annotator_decisions ORDER BY id")]

    def excluded(self) -> dict[str, Decision]:
        """The annotators whose votes count for nothing now, with the decision."""
        latest = {decision.annotator: decision for decision in self.decisions()}
        return {name: decision for name, decision in sorted(latest.items()) if decision.excluded}


def _decision(row: Row) -> Decision:
    return Decision(row["annotator"], bool(row["excluded"]), row["decided_by"], row["reason"], row["at"])
