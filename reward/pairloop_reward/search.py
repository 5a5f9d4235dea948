"""Choosing prior strength and flip rate from the votes themselves, with no validation labels.

The search is over τ_k, the prior standard deviation of a typical margin due to feature block k (the block's prior
precision is 1/τ_k²), and the flip rate ε. It walks a grid from coarse to fine and starts every fit from the last.
What it climbs is the Laplace evidence; or, where the votes spread over many groups, the cross-fitted likelihood of
left-out groups (`crossfit` says why). On votes of experts on 170 prompts the evidence alone cost 2 points of accuracy
and 0.1 nats a vote on unseen prompts; on votes on nine debates it was the better of the two.

The hyperprior keeps τ from growing. Both criteria see the votes' own prompts, and a τ that explains these is too large
for others: with a wide log-normal the search went to τ = 6 and 9 on 300 expert votes about eight clusters of prompts,
and unseen clusters lost .02 of accuracy and .03 nats a vote against τ = 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pairloop.posterior import IntArray
from pairloop_reward.crossfit import group_folds, held_out_log_likelihood
from pairloop_reward.head import HeadFit, fit_head
from pairloop_reward.likelihood import Float64, Votes

FLIP_RATES = (0.0, 0.0125, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2, 0.225, 0.25, 0.275, 0.3, 0.325, 0.35)
_FIRST_FLIP = 3
_TAU_RANGE = (-10, 8)  # half octaves: 2⁻⁵ … 2⁴
_TAU_SHAPE = 10.0  # of the hyperprior on τ above its typical value: twice costs 3 nats, six times 32
_TAU_SPREAD = 1.5  # of log τ below it: half costs 0.1 nats, a tenth 1.2
_FLIP_SHAPE = 3.0  # 2ε ~ Beta(1, 1 + this): densest at zero, where few votes leave it
_STEPS = (4, 2, 1)
_LARGEST = 20_000  # votes; more would not move the optimum by a grid step
_TOLERANCE = 1e-3  # nats, while searching
_MANY_GROUPS = 20  # fewer left-out groups judge a prior no better than chance
_PARTS = 20

Point = tuple[int, ...]
"""Half octaves of each τ, then the index of the flip rate."""


def block_precision(sizes: Sequence[int], taus: Sequence[float]) -> Float64:
    """(d,) prior precisions 1/τ² of the blocks."""
    return np.concatenate([np.full(size, tau**-2.0) for size, tau in zip(sizes, taus, strict=True)])


@dataclass(slots=True)
class _Search:
    votes: Votes
    parts: Sequence[Votes]
    sizes: Sequence[int]
    typical: Sequence[float]
    flips: Sequence[float]
    fixed: bool = False
    start: Float64 | None = None
    seen: dict[Point, float] = field(default_factory=dict)

    def taus(self, point: Point) -> list[float]:
        return list(self.typical) if self.fixed else [2.0 ** (k / 2.0) for k in point[:-1]]

    def inside(self, point: Point) -> bool:
        low, high = _TAU_RANGE
        return all(low <= k <= high for k in point[:-1]) and 0 <= point[-1] < len(self.flips)

    def value(self, point: Point) -> float:
        """Log evidence, or log-likelihood of left-out parts, plus the log hyperpriors, up to a constant."""
        if point not in self.seen:
            taus, flip = self.taus(point), self.flips[point[-1]]
            fit = fit_head(self.votes, block_precision(self.sizes, taus), flip, start=self.start, tolerance=_TOLERANCE)
            self.start = fit.parameters
            found = held_out_log_likelihood(self.parts, fit) if self.parts else fit.log_evidence
            self.seen[point] = found + log_hyperprior(taus, self.typical, flip)
        return self.seen[point]

    def climb(self, point: Point) -> Point:
        """Compass search: along each axis in turn, with steps that shrink when no axis helps."""
        blocks = () if self.fixed else self.sizes
        free = [axis for axis, size in enumerate(blocks) if size] + ([len(point) - 1] if len(self.flips) > 1 else [])
        for step in _STEPS:
            moved = True
            while moved:
                moved = False
                for axis in free:
                    better = self._along(point, axis, step)
                    moved, point = moved or better != point, better
        return point

    def _along(self, point: Point, axis: int, step: int) -> Point:
        for sign in (step, -step):
            candidate = (*point[:axis], point[axis] + sign, *point[axis + 1 :])
            if self.inside(candidate) and self.value(candidate) > self.value(point) + 2 * _TOLERANCE:
                return candidate
        return point


def log_hyperprior(taus: Sequence[float], typical: Sequence[float], flip_rate: float) -> float:
    """Log density of (τ, ε) up to a constant: a Gamma's upper and a log-normal's lower side for τ, Beta on 2ε.

    The two sides differ on purpose: a block of noise must be free to shrink, while a τ far above what is typical is
    nearly always one that explains the votes' own prompts.
    """
    ratio = np.asarray(taus) / np.asarray(typical)
    above = _TAU_SHAPE * (np.log(ratio) - ratio + 1.0)
    below = -0.5 * (np.log(ratio) / _TAU_SPREAD) ** 2
    return float(np.where(ratio > 1.0, above, below).sum() + _FLIP_SHAPE * np.log1p(-2.0 * flip_rate))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the search found.

    Attributes:
        fit: the converged head. taus: prior margin of each block.
        points: grid points tried. by_groups: True where left-out groups decided, False where the evidence did.
    """

    fit: HeadFit
    taus: tuple[float, ...]
    points: int
    by_groups: bool


def choose(
    votes: Votes,
    group: IntArray,
    sizes: Sequence[int],
    typical: Sequence[float],
    flip_rate: float | None,
    *,
    fixed: bool = False,
) -> Chosen:
    """The head at the best (τ, ε).

    Args:
        votes: all votes. group: (N,) group of each.
        sizes: dimensions of the feature blocks, in column order.
        typical: τ of each block before any vote. flip_rate: fixes ε.
    """
    flips = FLIP_RATES if flip_rate is None else (flip_rate,)
    # every k-th vote: rounds and annotators come in order, so a stride is as good as a draw and needs no seed
    rows = np.arange(0, len(votes), -(-len(votes) // _LARGEST))
    sample, groups = votes.subset(rows), group[rows]
    by_groups = len(np.unique(groups)) >= _MANY_GROUPS
    parts = [sample.subset(part) for part in group_folds(groups, _PARTS)] if by_groups else []
    search = _Search(sample, parts, sizes, typical, flips, fixed)
    first = [0 if fixed else round(2.0 * np.log2(tau)) for tau in typical]
    best = search.climb((*first, min(_FIRST_FLIP, len(flips) - 1)))
    taus = search.taus(best)
    fit = fit_head(votes, block_precision(sizes, taus), flips[best[-1]], start=search.start)
    return Chosen(fit, tuple(taus), len(search.seen), by_groups)
