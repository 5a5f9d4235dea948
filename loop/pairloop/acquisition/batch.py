"""The shared batch optimiser of scalar acquisitions: the best by score over cost, at most so many of a prompt.

Rounding never decides: scores are compared on a grid of 2⁻⁴⁰ of the largest one, ties go by the seeded key of the
pair (`keys`). A pair whose score is not a number is asked last, and how many there were is logged.
"""

import logging
from dataclasses import dataclass

import numpy as np

from pairloop.acquisition import request
from pairloop.acquisition.keys import canonical, pair_keys
from pairloop.errors import ContractViolation
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import Acquisition, BatchStrategy, Selection, SelectionContext

log = logging.getLogger(__name__)

_GRID = 2.0**40


@dataclass(frozen=True, slots=True)
class ScalarStrategy:
    """Asks the pairs with the highest acquisition per unit of cost.

    Attributes:
        acquisition: called with the posterior and (N, 2) rows, smaller row first, so that it cannot depend on sides.
        name: what log lines call it.
    """

    acquisition: Acquisition
    name: str = "acquisition"

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; see `pairloop.protocols.BatchStrategy`.

        Raises:
            ContractViolation: the acquisition returned the wrong shape, or negative scores where costs differ.
        """
        request.check(context, n)
        if not n or not len(context.candidates):
            return request.empty()
        with numeric_threads():
            scores = np.asarray(self.acquisition(context.posterior, canonical(context.candidates)), np.float64)
        self._check(scores, context.cost)
        worth = scores / context.cost
        missing = int(np.count_nonzero(~np.isfinite(worth)))
        if missing:
            log.warning("%s: %d of %d candidates have no finite score and go last", self.name, missing, len(worth))
        picks = best(worth, context, n)
        return request.selection(picks, worth[picks])

    def _check(self, scores: FloatArray, cost: FloatArray) -> None:
        if scores.shape != cost.shape:
            raise ContractViolation(
                f"{self.name} returned scores of shape {scores.shape} for {len(cost)} candidates",
                "An acquisition returns one number for each row of its pairs.",
            )
        if np.any(scores < 0) and np.ptp(cost) > 0:
            raise ContractViolation(
                f"{self.name} returned a negative score, which cannot be divided by a cost",
                "Return values of at least zero, or use equal costs.",
            )


def from_acquisition(acquisition: Acquisition, name: str | None = None) -> BatchStrategy:
    """Make a strategy of a scalar acquisition; for plugin authors.

    ``StrategySpec("margin", lambda options: from_acquisition(lambda posterior, pairs: -abs(posterior.margin(pairs))))``
    """
    return ScalarStrategy(acquisition, name or str(getattr(acquisition, "__name__", "acquisition")))


def best(worth: FloatArray, context: SelectionContext, n: int) -> IntArray:
    """Indices of up to ``n`` candidates by falling worth (N,), capped by prompt, ties by key, not-a-number last."""
    ranks = on_grid(worth)
    prompts = request.prompt_of(context)
    width = min(len(ranks), 4 * n)
    while True:
        # Everything that reaches the width-th best, with all its ties: enough unless prompts run into their cap.
        floor = np.partition(ranks, len(ranks) - width)[len(ranks) - width]
        front = np.flatnonzero(ranks >= floor)
        keys = pair_keys(context.candidates[front], context.seed)
        front = front[np.lexsort((keys, -ranks[front]))]
        kept = front[request.capped(prompts[front], context.per_prompt)]
        if len(kept) >= n or len(front) == len(ranks):
            return kept[:n]
        width = min(len(ranks), 4 * width)


def on_grid(worth: FloatArray) -> FloatArray:
    """Worth as whole multiples of 2⁻⁴⁰ of the largest magnitude, −inf where it is not a finite number: (N,) → (N,)."""
    finite = np.isfinite(worth)
    scale = float(np.max(np.abs(worth), where=finite, initial=0.0))
    with np.errstate(invalid="ignore", over="ignore"):
        grid = np.rint(worth / scale * _GRID) if scale > 0 else np.zeros_like(worth)
    return np.where(finite, grid, -np.inf)
