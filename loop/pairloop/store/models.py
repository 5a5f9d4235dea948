"""What training produced: reward models and policies, accepted or rejected, with their reports."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pairloop.kit.canonical import canonical_json
from pairloop.store.database import Database, Row


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One trained (or rejected) model.

    Attributes:
        role: "reward", "policy" or "reference" (π0).
        artifact: sha256, None when the fit was rejected.
        votes: votes in the store when it was trained; last_seq: the last of them.
        report: numbers for people.
    """

    id: int
    role: str
    round: int
    artifact: str | None
    accepted: bool
    votes: int
    last_seq: int
    report: dict[str, Any]


class ModelStore:
    """Typed reads and writes of models and predictions."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        role: str,
        round_number: int,
        artifact: str | None,
        *,
        votes: int,
        last_seq: int,
        report: Mapping[str, Any],
    ) -> None:
        """Record a model; ``artifact`` None records a rejected fit."""
        self._db.write(
            "INSERT INTO models (role, round, artifact, accepted, votes, last_seq, report)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (role, round_number, artifact, int(artifact is not None), votes, last_seq, canonical_json(dict(report))),
        )

    def current(self, role: str) -> ModelRow | None:
        """The last accepted model of a role."""
        row = self._db.row("SELECT * FROM models WHERE role = ? AND accepted = 1 ORDER BY id DESC LIMIT 1", (role,))
        return None if row is None else _model(row)

    def all(self, role: str) -> list[ModelRow]:
        """Every model of a role, rejected ones included, in order."""
        return [_model(row) for row in self._db.rows("SELECT * FROM models WHERE role = ? ORDER BY id", (role,))]

    def add_predictions(self, model: str, predictions: Sequence[tuple[int, float]]) -> None:
        """Store (seq, p_left) said before learning from these votes; the first prediction of a vote stays."""
        self._db.write_many(
            "INSERT OR IGNORE INTO predictions (seq, model, p_left) VALUES (?, ?, ?)",
            [(seq, model, p) for seq, p in predictions],
        )

    def predictions(self) -> dict[int, float]:
        """p_left by seq of the vote."""
        return {row[0]: row[1] for row in self._db.rows("SELECT seq, p_left FROM predictions ORDER BY seq")}


def _model(row: Row) -> ModelRow:
    return ModelRow(
        row["id"], row["role"], row["round"], row["artifact"], bool(row["accepted"]), row["votes"], row["last_seq"],
        json.loads(row["report"]),
    )  # fmt: skip
