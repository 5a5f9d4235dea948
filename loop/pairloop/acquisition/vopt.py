"""V-optimal batches: the pairs whose votes together lower most the variance of the margins that matter.

The targets (`targets`) say what matters; with S the covariance given everything picked so far and M the second moment
of the targets, a vote of information I on the pair z lowers the targets' mean weighted variance by

    I zᵀSMSz / (1 + I zᵀSz)

(V-optimal design: Cohn, Ghahramani & Jordan 1996 for the criterion, Yu, Bi & Tresp 2006 for a pool of targets). The
greedy batch updates S after every pick; what a vote tells does not depend on its answer in the linearised model.

Log-det pays for certainty in every direction alike, also in those that a few odd texts span. Here a direction counts
as much as the targets have of it: an outlier is worth asking about only as far as it says something about others, and
where the pool repeats itself the repeated part is asked first, and not twice. Pairs that lie far out
(`geometry.far_out`) are left to the random arm until nothing else is left.

All candidates are scored once, by way of the responses; the (N, D) pair matrix is never made. Both quadratic forms
change by rank-one terms, so in the search a pick costs one pass over the pairs of the short list. The gain is not
submodular, and nothing may be evaluated lazily: every pick looks at every pair of the list. Half of a short list are
the best by first score, half are drawn at random: where the best are copies of each other, the batch needs others.
"""

import logging
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from pairloop.acquisition import request
from pairloop.acquisition.batch import on_grid
from pairloop.acquisition.functions import expected_information, used_in_flight
from pairloop.acquisition.geometry import Float64Array, differences, far_out, squared_lengths
from pairloop.acquisition.keys import canonical, pair_keys
from pairloop.acquisition.picking import CLOSED, TIED, Room, with_rest
from pairloop.acquisition.targets import target_directions
from pairloop.kit.options import Options
from pairloop.kit.seeds import derive_seed
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import Selection, SelectionContext

log = logging.getLogger(__name__)


class VoptOptions(Options):
    """Options of V-optimal selection."""

    targets: int = Field(default=4096, ge=1)
    """Targets that stand for the goal: pairs of the pool, or of best and second best responses."""

    fence: float = Field(default=3.0, ge=0.0)
    """Pairs whose margin's variance lies so many robust standard deviations above the median, on a logarithmic scale,
    are asked last; 0 knows no outliers. The random arm draws them like all others."""

    short_list: int = Field(default=16_384, ge=2)
    """Candidates among which the batch is searched (sixteen times the batch where that is more); a smaller pool is
    searched whole."""

    nodes: int = Field(default=9, ge=0, le=64)
    """Quadrature nodes that average a vote's information over the margin's uncertainty; 0 takes the mean margin."""


@dataclass(frozen=True, slots=True)
class VoptStrategy:
    """A score is the fall of the targets' mean weighted variance over cost."""

    options: VoptOptions = field(default_factory=VoptOptions)

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; see `pairloop.protocols.BatchStrategy`."""
        request.check(context, n)
        if not n or not len(context.candidates):
            return request.empty()
        with numeric_threads(), np.errstate(invalid="ignore", over="ignore"):
            search = _Search(context, self.options, max(self.options.short_list, 16 * n))
            picks, scores = search.run(n)
        if search.missing:
            log.warning("vopt: %d of %d candidates have no finite gain", search.missing, len(context.candidates))
        chosen = with_rest(context, picks, n)
        return request.selection(chosen, np.r_[scores, np.full(len(chosen) - len(scores), np.nan)])


class _Search:
    """Greedy search over candidates with finite coordinates that are no outliers.

    Attributes:
        missing: candidates without finite coordinates.
        rows: (L,) places in the context of the pairs that are searched; z: (L, D) their directions.
        information, variance, relevance: (L,) I, zᵀSz and zᵀSMSz as they are now.
        past: (k, D) directions v with S = I − Σ v vᵀ: pairs in flight first, then one for each pick.
    """

    def __init__(self, context: SelectionContext, options: VoptOptions, width: int) -> None:
        self.context, self.options = context, options
        self.coordinates = np.nan_to_num(context.posterior.whitened, nan=0.0, posinf=0.0, neginf=0.0)
        self.past = used_in_flight(context.posterior, context.pending, options.nodes)
        targets = target_directions(context, options.targets)
        self.moment = targets.T @ targets / max(len(targets), 1)
        pairs = canonical(context.candidates)
        prior = squared_lengths(context.posterior.whitened, pairs)
        information = self._information(pairs, prior)
        finite = np.isfinite(prior * information)
        self.missing = int(np.count_nonzero(~finite))
        rows = np.flatnonzero(finite & ~far_out(prior, options.fence))
        self.information, self.cost = information[rows], context.cost[rows]
        self.variance, self.relevance = self._start(pairs[rows], prior[rows])
        kept = self._short_list(pairs[rows], width)
        self.rows, self.cost = rows[kept], self.cost[kept]
        self.information, self.variance = self.information[kept], self.variance[kept]
        self.relevance, self.z = self.relevance[kept], differences(self.coordinates, pairs[self.rows])
        self.room, self.is_open = Room(context, self.rows), np.ones(len(self.rows), dtype=bool)

    def run(self, n: int) -> tuple[IntArray, Float64Array]:
        """Up to ``n`` candidates in order, and the score of each when it was picked."""
        picks: list[int] = []
        scores: list[float] = []
        while len(picks) < n and self.is_open.any():
            worth = self._worth()
            worth[~self.is_open] = CLOSED
            best = float(worth.max())
            winner = self.room.by_key(np.flatnonzero(self.is_open & (worth >= best * (1.0 - TIED))))
            picks.append(winner)
            scores.append(float(worth[winner]))
            self.is_open[self.room.shut(winner)] = False
            self._condition(winner)
        return self.rows[np.array(picks, dtype=np.int64)], np.array(scores)

    def _worth(self) -> Float64Array:
        return np.asarray(self.information * self.relevance / ((1.0 + self.information * self.variance) * self.cost))

    def _information(self, pairs: IntArray, variance: Float64Array) -> Float64Array:
        posterior = self.context.posterior
        found = expected_information(posterior, posterior.margin(pairs), variance, self.options.nodes)
        return np.asarray(found, np.float64)

    def _start(self, pairs: IntArray, prior: Float64Array) -> tuple[Float64Array, Float64Array]:
        """zᵀSz and zᵀSMSz given the pairs in flight."""
        values, columns = np.linalg.eigh(self.moment)
        factor = columns * np.sqrt(np.maximum(values, 0.0))  # M = factor · factorᵀ
        relevance = squared_lengths(self._mapped(self._given(factor.T)), pairs)
        used = squared_lengths(self._mapped(self.past), pairs) if len(self.past) else np.zeros(len(pairs))
        return np.maximum(prior - used, 0.0), relevance

    def _mapped(self, directions: Float64Array) -> FloatArray:
        """Coordinates along directions (K, D) → (R, K), in the precision of the coordinates."""
        return np.asarray(self.coordinates @ directions.T.astype(self.coordinates.dtype, copy=False))

    def _short_list(self, pairs: IntArray, width: int) -> IntArray:
        """Sorted positions of at most ``width`` pairs: half the best by first score, half drawn by key."""
        if len(pairs) <= width:
            return np.arange(len(pairs))
        ranks, keys = on_grid(self._worth()), pair_keys(pairs, derive_seed(self.context.seed, "short list"))
        best = np.lexsort((keys, -ranks))[: width - width // 2]
        drawn = np.argsort(keys, kind="stable")[:width]
        drawn = drawn[~np.isin(drawn, best)][: width // 2]
        return np.sort(np.concatenate([best, drawn]))

    def _given(self, z: Float64Array) -> Float64Array:
        """S z for rows z: (K, D) → (K, D)."""
        return np.asarray(z - (z @ self.past.T) @ self.past)

    def _condition(self, winner: int) -> None:
        """Take what a vote on the winner will tell from all variances and relevances."""
        z, information = self.z[winner], self.information[winner]
        direction = self._given(z[None])[0]
        direction *= np.sqrt(information / (1.0 + information * max(float(z @ direction), 0.0)))
        mapped = self.moment @ direction
        along, across = (self.z @ np.stack([direction, self._given(mapped[None])[0]], axis=1)).T
        self.variance = np.maximum(self.variance - along**2, 0.0)
        change = along * (float(direction @ mapped) * along - 2.0 * across)
        self.relevance = np.maximum(self.relevance + change, 0.0)
        self.past = np.vstack([self.past, direction])
