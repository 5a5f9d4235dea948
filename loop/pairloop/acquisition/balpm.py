"""BAL-PM (Melo et al. 2024): BALD of the vote plus how sparsely its prompt's neighbourhood has been asked.

Greedy: each pick maximises ``U_i + β · Ĥ_i``, U the BALD of the pair, and the entropy term of its prompt the estimate
of Kraskov, Stögbauer & Grassberger 2004, ``Ĥ_i = log(2 D_k(i) + 1e-4) − ψ(n_i + 1)/d``: D_k is the distance to the
k-th nearest prompt of the pool, n_i how many asked prompts lie within it, counted up with every pick.

Features are `prompts` coordinates. Asked prompts are those of pairs asked before, in flight and in the batch, one
count a pair. In the published code a misplaced parenthesis shifts the pool's features by ``mean / std`` instead of
standardising them, and leaves those of asked prompts alone, so n_i compares two different spaces; here that shift
stands for ``published``, for all asked prompts alike. ``corrected`` standardises both. Costs are not used: the sum can
be negative.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.special import digamma

from pairloop.acquisition import request
from pairloop.acquisition.functions import bald
from pairloop.acquisition.geometry import Float64Array
from pairloop.acquisition.keys import canonical, pair_keys, uniforms
from pairloop.acquisition.picking import TIED, with_rest
from pairloop.acquisition.prompts import Prompts, distances, prompts_of
from pairloop.kit.options import Options
from pairloop.kit.seeds import derive_seed
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import Selection, SelectionContext


class BalpmOptions(Options):
    """Options of BAL-PM."""

    variant: Literal["corrected", "published"] = "corrected"
    """``published`` keeps the released code's shift of the pool's features; ``corrected`` standardises all alike."""

    beta: float = Field(default=0.01, ge=0.0)
    """Weight of the entropy of prompts."""

    neighbours: int = Field(default=13, ge=1)
    """k of the nearest-neighbour distance."""

    dimension: float = Field(default=1.0, gt=0.0)
    """Effective dimension by which the count of asked prompts is divided; the released code uses 1."""

    reference: int = Field(default=20_000, ge=2)
    """Neighbours are sought among at most this many prompts, drawn at random (k shrinks in proportion)."""


@dataclass(frozen=True, slots=True)
class BalpmStrategy:
    """A score is ``U + β Ĥ`` when the pair was picked, in nats."""

    options: BalpmOptions = field(default_factory=BalpmOptions)

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; see `pairloop.protocols.BatchStrategy`."""
        request.check(context, n)
        if not n or not len(context.candidates):
            return request.empty()
        with numeric_threads(), np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            value = bald(context.posterior, canonical(context.candidates))
            picks, scores = _Search(context, value, self.options).run(n)
        both = with_rest(context, picks, n)
        return request.selection(both, np.r_[scores, np.full(len(both) - len(scores), np.nan)])


class Entropy:
    """Ĥ of each prompt as prompts are asked."""

    def __init__(self, prompts: Prompts, options: BalpmOptions, seed: int) -> None:
        self.pool, self.asked = features(prompts.coordinates, options.variant)
        self.options = options
        self.radius = _radius(self.pool, prompts, options, seed)
        self.count = np.zeros(len(self.pool))
        before = np.flatnonzero(prompts.asked)
        self._count(before, prompts.asked[before].astype(np.float64))

    def ask(self, place: int) -> None:
        """One more pair of the prompt at ``place`` has been asked."""
        self._count(np.array([place]), np.ones(1))

    def _count(self, places: IntArray, times: FloatArray) -> None:
        for part, apart in distances(self.pool, self.asked[places]):
            self.count[part] += (apart <= self.radius[part, None]) @ times

    def value(self) -> Float64Array:
        """Ĥ (P,)."""
        return np.asarray(np.log(2.0 * self.radius + 1e-4) - digamma(self.count + 1.0) / self.options.dimension)


def features(coordinates: FloatArray, variant: str) -> tuple[FloatArray, FloatArray]:
    """Features of prompts as members of the pool and as asked ones: (P, D) → (P, D), (P, D)."""
    if not len(coordinates):
        return coordinates, coordinates
    mean, spread = coordinates.mean(axis=0), coordinates.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0).astype(coordinates.dtype)
    if variant == "published":
        return coordinates - mean / spread, coordinates
    standardised = (coordinates - mean) / spread
    return standardised, standardised


def _radius(pool: FloatArray, prompts: Prompts, options: BalpmOptions, seed: int) -> Float64Array:
    """Distance of each prompt to its k-th nearest other prompt → (P,)."""
    index = np.stack([prompts.index, prompts.index], axis=1)
    order = np.argsort(uniforms(index, derive_seed(seed, "reference")), kind="stable")
    chosen = np.sort(order[: options.reference])
    share = len(chosen) / max(1, len(pool))
    near = min(max(1, round(options.neighbours * share)), max(0, len(chosen) - 1))
    out = np.zeros(len(pool))
    is_chosen = np.zeros(len(pool), dtype=np.int64)
    is_chosen[chosen] = 1  # the nearest of a chosen prompt is itself
    if not near:
        return out
    for part, apart in distances(pool, pool[chosen]):
        place = near - 1 + is_chosen[part]
        ordered = np.partition(apart, np.unique(place), axis=1)
        out[part] = ordered[np.arange(len(ordered)), place]
    return out


class _Search:
    """Of each prompt only the best pair left can be next: the entropy term is the same for all of them."""

    def __init__(self, context: SelectionContext, value: FloatArray, options: BalpmOptions) -> None:
        prompts, prompt = prompts_of(context), request.prompt_of(context)
        self.entropy, self.beta, self.keys = Entropy(prompts, options, context.seed), options.beta, prompts.keys
        rows = np.flatnonzero(np.isfinite(value) & np.isin(prompt, prompts.index))
        keys = pair_keys(context.candidates[rows], context.seed)
        self.rows = rows[np.lexsort((keys, -value[rows], prompt[rows]))]
        self.value, place = value[self.rows], np.searchsorted(prompts.index, prompt[self.rows])
        self.next = np.searchsorted(place, np.arange(len(prompts.index)))
        size = np.bincount(place, minlength=len(prompts.index))
        self.end = self.next + (np.minimum(size, context.per_prompt) if context.per_prompt > 0 else size)

    def run(self, n: int) -> tuple[IntArray, Float64Array]:
        """Up to ``n`` candidates in order, and the score of each when it was picked."""
        picks: list[int] = []
        scores: list[float] = []
        while len(picks) < n:
            open_ = np.flatnonzero(self.next < self.end)
            if not len(open_):
                break
            worth = self.value[self.next[open_]] + self.beta * self.entropy.value()[open_]
            tied = open_[worth >= worth.max() - TIED * max(1.0, abs(worth.max()))]
            winner = int(tied[np.argmin(self.keys[tied])])
            picks.append(int(self.rows[self.next[winner]]))
            scores.append(float(worth[np.searchsorted(open_, winner)]))
            self.next[winner] += 1
            self.entropy.ask(winner)
        return np.array(picks, dtype=np.int64), np.array(scores)
