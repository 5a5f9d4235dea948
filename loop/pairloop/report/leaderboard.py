"""Facts about the models whose responses people compared: the leaderboard as the page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pairloop.leaderboard import collect, from_store, leaderboard, random_weights
from pairloop.leaderboard.board import Board, Standing, Table, Weight
from pairloop.metrics import Estimate
from pairloop.records import Assignment
from pairloop.store import Store

SHOWN = 60  # models of a table
_TURNING = 5  # annotators whose influence is shown


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval drawn in its row, in per cent of the width: where it starts, how wide it is, where the value is."""

    left: float
    width: float
    at: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A table of the page.

    Attributes:
        rows: (model, its bar), best first, at most `SHOWN`; rest: how many more there are.
        centre: where the average stands, in per cent of the width. influence: annotators of most influence.
        apart: pairs told apart at 5 %, of how many.
    """

    table: Table
    rows: tuple[tuple[Standing, Bar], ...]
    rest: int
    centre: float
    influence: tuple[Weight, ...]
    apart: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Models:
    """The section on models."""

    board: Board
    tables: tuple[Shown, ...]


def models(store: Store, assignments: Sequence[Assignment], *, seed: int) -> Models | None:
    """The leaderboard of a campaign; None where no two named models were compared."""
    judgements = from_store(store)
    people = collect(judgements)
    if not people.models:
        return None
    judges = collect(judgements, judges=True)
    style = len(people.models) <= SHOWN  # seconds, where there are hundreds
    board = leaderboard(people, judges, random_weights(people, assignments), style=style, seed=seed)
    return Models(board, tuple(_shown(table) for table in board.tables))


def _shown(table: Table) -> Shown:
    rows = table.rows[:SHOWN]
    ends = [end for row in rows for end in (row.score.low, row.score.value, row.score.high) if end is not None]
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    span = high - low or 1.0

    def place(value: float) -> float:
        return 100.0 * (value - low) / span

    def bar(score: Estimate) -> Bar:
        at = place(score.value)
        if score.low is None or score.high is None:
            return Bar(at, 0.0, at)
        return Bar(place(score.low), place(score.high) - place(score.low), at)

    return Shown(
        table,
        tuple((row, bar(row.score)) for row in rows),
        len(table.rows) - len(rows),
        place(0.0),
        table.influence[:_TURNING],
        (sum(pair.p < 0.05 for pair in table.pairs), len(table.pairs)),
    )
