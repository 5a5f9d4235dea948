"""The batch of pairs whose votes together tell most about the reward.

Greedy Bayesian D-optimal design on the Laplace posterior; see `lazy_greedy` for the algorithm and its sources. Designs
of this kind chase outliers; two things work against it:

- The information of a vote is averaged over the margin's posterior (`functions.expected_information`), so it falls
  as uncertainty grows, instead of being taken at the mean.
- Leverage can be bounded, before the first fit and after it: information is then scaled by ``min(1, c/q)``, with c a
  quantile of the candidates' variances, so that no pair starts with a larger gain than a pair of variance c (Mallows'
  weights of bounded-influence regression, Krasker & Welsch 1982). Off by default: in
  ``benchmarks/selection_quality.py`` a bound at the median cost accuracy in the first rounds, and no other level beat
  leaving it out, even in a pool with corrupted outliers. It is there for features that nobody clipped.
"""

import logging
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from pairloop.acquisition import request
from pairloop.acquisition.functions import expected_information, used_in_flight
from pairloop.acquisition.geometry import Float64Array, rounding, squared_lengths
from pairloop.acquisition.keys import canonical, pair_keys
from pairloop.acquisition.lazy_greedy import Design, lazy_greedy
from pairloop.kit.options import Options
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import Selection, SelectionContext

log = logging.getLogger(__name__)


class LogdetOptions(Options):
    """Options of the log-det strategy."""

    nodes: int = Field(default=9, ge=0, le=64)
    """Quadrature nodes that average a vote's information over the margin's uncertainty; 0 takes the mean margin."""

    cold_leverage: float = Field(default=1.0, gt=0.0, le=1.0)
    """Before any vote: quantile of the variances beyond which a larger one brings no larger gain; 1 is no bound."""

    leverage: float = Field(default=1.0, gt=0.0, le=1.0)
    """The same after the first fit."""

    count_pending: bool = True
    """Treat pairs in flight as if their votes were in (their information does not depend on the answer)."""


@dataclass(frozen=True, slots=True)
class LogdetStrategy:
    """Batch D-optimal design. A score is the gain in log-determinant, in nats × 2, over cost."""

    options: LogdetOptions = field(default_factory=LogdetOptions)

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; see `pairloop.protocols.BatchStrategy`."""
        request.check(context, n)
        if not n or not len(context.candidates):
            return request.empty()
        with numeric_threads(), np.errstate(invalid="ignore", over="ignore"):
            return self._design(context, n)

    def _design(self, context: SelectionContext, n: int) -> Selection:
        posterior, pairs = context.posterior, canonical(context.candidates)
        variance = squared_lengths(posterior.whitened, pairs)
        information = expected_information(posterior, posterior.margin(pairs), variance, self.options.nodes)
        information *= self._damping(variance, posterior.fitted)
        finite = np.isfinite(information * variance)
        usable = np.flatnonzero(finite)
        bound = variance * (1.0 + rounding(posterior.whitened))
        design = Design(
            posterior.whitened, pairs[usable], information[usable], bound[usable], context.cost[usable],
            request.prompt_of(context)[usable], context.per_prompt, context.seed, self._used(context),
        )  # fmt: skip
        picks, gains = lazy_greedy(design, min(n, len(usable)))
        picks = usable[picks]
        if len(usable) == len(pairs):
            return request.selection(picks, gains)
        log.warning("logdet: %d of %d candidates have no finite gain and go last", len(pairs) - len(usable), len(pairs))
        picks = _with_rest(context, picks, ~finite, n)
        return request.selection(picks, np.r_[gains, np.full(len(picks) - len(gains), np.nan)])

    def _damping(self, variance: FloatArray, fitted: bool) -> FloatArray | float:
        level = self.options.leverage if fitted else self.options.cold_leverage
        finite = variance[np.isfinite(variance)]
        if level == 1.0 or not len(finite):
            return 1.0
        limit = float(np.quantile(finite, level))
        return np.asarray(np.minimum(1.0, limit / np.maximum(variance, np.finfo(float).tiny)))

    def _used(self, context: SelectionContext) -> Float64Array:
        """Directions used up by the pairs in flight."""
        pending = context.pending if self.options.count_pending else context.pending[:0]
        return used_in_flight(context.posterior, pending, self.options.nodes)


def _with_rest(context: SelectionContext, picks: IntArray, rest: FloatArray, n: int) -> IntArray:
    """``picks`` and then, up to ``n``, candidates under the mask ``rest`` in the order of their keys, capped."""
    others = np.flatnonzero(rest)
    others = others[np.argsort(pair_keys(context.candidates[others], context.seed), kind="stable")]
    both = np.r_[picks, others]
    kept: IntArray = both[request.capped(request.prompt_of(context)[both], context.per_prompt)][:n]
    return kept
