"""What measures a cell: preferences on pairs of held-out groups, never shown to the campaign and never paid for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pairloop.bench.plan import DataArm, TruthArm
from pairloop.errors import DataError
from pairloop.kit.seeds import generator
from pairloop.pool import Pool
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import GoldScorer
from pairloop.records import Choice, Pair, Split
from pairloop.store import Store


@dataclass(frozen=True, slots=True)
class Truth:
    """Preferences of the held-out side.

    Attributes:
        pairs: (N, 2) rows of the pool; outcome: (N,) 0 where the first is preferred, 1 where the second is.
        group: (N,) group number, for clustered intervals.
        gold: (R,) gold scores where a gold scorer measures, NaN elsewhere.
    """

    pairs: IntArray
    outcome: IntArray
    group: IntArray
    gold: FloatArray

    def __len__(self) -> int:
        return len(self.outcome)


@dataclass(frozen=True, slots=True)
class Held:
    """The held-out side of one cell: where truths come from.

    Attributes:
        labels: of the rows, by name of the truth (`pairloop.bench.prepared`).
    """

    store: Store
    pool: Pool
    gold: GoldScorer | None
    labels: Mapping[str, Mapping[str, int | None]]
    seed: int

    def pairs(self, truth: TruthArm) -> list[Pair]:
        """The listed pairs on the held-out side that measure."""
        rows, chosen = self.pool.row_of, self.labels.get(truth.name)
        return [
            pair
            for pair, _ in self.store.pool.pairs()
            if pair.first in rows and self.pool.holdout[rows[pair.first]] and (chosen is None or pair.id in chosen)
        ]


def truth_of(held: Held, data: DataArm, truth: TruthArm) -> Truth:
    """One measuring set of a cell.

    Raises:
        DataError: the held-out side has nothing to measure on.
    """
    pool, scores = held.pool, np.full(len(held.pool.responses), np.nan)
    if truth.truth == "gold":
        if held.gold is None:
            raise DataError(f'data {data.name!r}: truth = "gold" needs annotators with a gold scorer')
        pairs, outcome = _by_gold(pool, held.gold, scores, truth.measured_pairs, held.seed)
    else:
        table = _by_label(held, truth) if truth.truth == "label" else _by_votes(held, truth)
        if len(table) > truth.measured_pairs:
            rng = generator(held.seed, "bench", "truth")
            table = table[np.sort(rng.choice(len(table), truth.measured_pairs, replace=False))]
        pairs, outcome = table[:, :2], table[:, 2].astype(np.int8)
    if len(outcome) == 0:
        raise DataError(
            f"data {data.name!r}: the held-out groups of seed {held.seed} hold nothing to measure on ({truth.name})",
            "Give the data recorded annotations, labels that the source keeps, or a gold scorer, or hold out more"
            " groups (bench.holdout).",
        )
    return Truth(pairs, outcome, pool.group[pairs[:, 0]], scores)


def _by_votes(held: Held, truth: TruthArm) -> IntArray:
    """(N, 3) rows of the two responses and the outcome, for every decisive recorded vote on a held-out pair."""
    pairs, row_of = held.pairs(truth), held.pool.row_of
    recorded = held.store.pool.recorded([pair.id for pair in pairs])
    rows = [
        (row_of[pair.first], row_of[pair.second], int(vote.choice is Choice.RIGHT))
        for pair in pairs
        for vote in recorded[pair.id]
        if vote.choice.is_decisive and vote.kind in truth.kinds
    ]
    return np.array(rows, dtype=np.int32).reshape(-1, 3)


def _by_label(held: Held, truth: TruthArm) -> IntArray:
    """The same for the labels of the rows, one a pair."""
    row_of, labels = held.pool.row_of, held.labels[truth.name]
    rows = [(row_of[pair.first], row_of[pair.second], labels[pair.id]) for pair in held.pairs(truth)]
    return np.array(rows, dtype=np.int32).reshape(-1, 3)


def _by_gold(pool: Pool, gold: GoldScorer, scores: FloatArray, most: int, seed: int) -> tuple[IntArray, IntArray]:
    """Gold preferences of held-out pairs; exact ties are left out."""
    empty = np.empty((0, 2), dtype=np.int32)
    pairs = pool.candidates(Split.HOLDOUT, without=empty, cap=most, rng=generator(seed, "bench", "truth"))
    for row in np.unique(pairs):
        view = pool.responses[row]
        metadata = {**pool.prompts[view.prompt_id].metadata, **view.metadata}
        scores[row] = gold.score(view.prompt, view.text, metadata)
    difference = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    kept = difference != 0
    return pairs[kept], (difference[kept] < 0).astype(np.int8)
