"""PA-D-opt (Shen, Sun & Ton 2025, "Reviving the classics"; the ARM-FI code), as published and corrected.

Both want the batch that raises log det of the Fisher information most; with c = p(1 − p) at the mean margin and
whitened coordinates, in which everything learnt so far is the identity:

- published: every pair is scored once, by the derivative of that log-determinant with respect to its own weight where
  all candidates have weight 1: ``c · zᵀ(I + Σ c z zᵀ)⁻¹ z``, and the n highest are taken. Nothing changes within the
  batch: equal pairs are taken all or none, many copies of the best pair hide it (each gets its share of a derivative
  at which all are taken), and pairs in flight do not count.
- corrected: the same objective for the batch that is really asked, greedily, every pick updating the matrix. This is
  `logdet` with information at the mean margin.

The published ridge of 1e-6 is the identity here: the prior is in the posterior.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.linalg import solve_triangular

from pairloop.acquisition import request
from pairloop.acquisition.batch import best
from pairloop.acquisition.functions import expected_information
from pairloop.acquisition.geometry import Float64Array, chunks, differences, squared_lengths
from pairloop.acquisition.keys import canonical
from pairloop.acquisition.logdet import LogdetOptions, LogdetStrategy
from pairloop.kit.options import Options
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import Selection, SelectionContext


class ArmOptions(Options):
    """Options of PA-D-opt."""

    variant: Literal["corrected", "published"] = "corrected"
    """``published`` scores all pairs once and takes the highest; ``corrected`` designs the batch greedily."""


@dataclass(frozen=True, slots=True)
class ArmStrategy:
    """A score is the published derivative, or the corrected gain in log-determinant, over cost."""

    options: ArmOptions = field(default_factory=ArmOptions)

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; see `pairloop.protocols.BatchStrategy`."""
        if self.options.variant == "corrected":
            return LogdetStrategy(LogdetOptions(nodes=0)).select(context, n)
        request.check(context, n)
        if not n or not len(context.candidates):
            return request.empty()
        with numeric_threads(), np.errstate(invalid="ignore", over="ignore"):
            worth = derivative(context) / context.cost
        picks = best(worth, context, n)
        return request.selection(picks, worth[picks])


def derivative(context: SelectionContext) -> Float64Array:
    """``c · zᵀ(I + Σ c z zᵀ)⁻¹ z`` for all candidates → (N,); NaN where a pair has no finite coordinates."""
    posterior, pairs = context.posterior, canonical(context.candidates)
    length = squared_lengths(posterior.whitened, pairs)
    information = expected_information(posterior, posterior.margin(pairs), length, 0)
    usable = np.flatnonzero(np.isfinite(information * length))
    factor = np.linalg.cholesky(_total(posterior.whitened, pairs[usable], information[usable]))
    out = np.full(len(pairs), np.nan)
    for part in chunks(len(usable), posterior.whitened.shape[1]):
        rows = usable[part]
        solved = solve_triangular(factor, differences(posterior.whitened, pairs[rows]).T, lower=True)
        out[rows] = information[rows] * np.einsum("dn,dn->n", solved, solved)
    return out


def _total(coordinates: FloatArray, pairs: IntArray, information: FloatArray) -> Float64Array:
    """I + Σ c z zᵀ over all pairs → (D, D). Pairs are taken in the order of their rows: sums depend on order."""
    total = np.eye(coordinates.shape[1])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    for part in chunks(len(order), coordinates.shape[1]):
        rows = order[part]
        z = differences(coordinates, pairs[rows]) * np.sqrt(information[rows])[:, None]
        total += z.T @ z
    return np.asarray(total)
