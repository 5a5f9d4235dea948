"""What measures a cell: preferences on pairs of held-out groups, never shown to the campaign and never paid for."""

from dataclasses import dataclass

import numpy as np

from pairloop.bench.plan import DataArm
from pairloop.errors import DataError
from pairloop.kit.seeds import generator
from pairloop.pool import Pool
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import GoldScorer
from pairloop.records import Choice, Split
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


def truth_of(store: Store, pool: Pool, arm: DataArm, gold: GoldScorer | None, seed: int) -> Truth:
    """The measuring set of one cell.

    Raises:
        DataError: the held-out side has nothing to measure on.
    """
    scores = np.full(len(pool.responses), np.nan)
    if arm.truth == "gold":
        if gold is None:
            raise DataError(f'data {arm.name!r}: truth = "gold" needs annotators with a gold scorer')
        pairs, outcome = _by_gold(pool, gold, scores, arm.measured_pairs, seed)
    else:
        pairs, outcome = _by_votes(store, pool, arm)
        if len(outcome) > arm.measured_pairs:
            rows = np.sort(generator(seed, "bench", "truth").choice(len(outcome), arm.measured_pairs, replace=False))
            pairs, outcome = pairs[rows], outcome[rows]
    if len(outcome) == 0:
        raise DataError(
            f"data {arm.name!r}: the held-out groups of seed {seed} hold nothing to measure on",
            "Give the data recorded annotations or a gold scorer, or hold out more groups (bench.holdout).",
        )
    return Truth(pairs, outcome, pool.group[pairs[:, 0]], scores)


def _by_votes(store: Store, pool: Pool, arm: DataArm) -> tuple[IntArray, IntArray]:
    """Every decisive recorded vote on a held-out pair."""
    prompts = {prompt.id: prompt.metadata for prompt, _, _ in store.pool.prompts()}
    held = [
        pair
        for pair, _ in store.pool.pairs()
        if pool.holdout[pool.row_of[pair.first]] and (arm.only is None or bool(prompts[pair.prompt_id].get(arm.only)))
    ]
    recorded = store.pool.recorded([pair.id for pair in held])
    rows = [
        (pool.row_of[pair.first], pool.row_of[pair.second], int(vote.choice is Choice.RIGHT))
        for pair in held
        for vote in recorded[pair.id]
        if vote.choice.is_decisive
    ]
    table = np.array(rows, dtype=np.int32).reshape(-1, 3)
    return table[:, :2], table[:, 2].astype(np.int8)


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
