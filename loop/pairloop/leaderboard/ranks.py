"""Ranks with intervals, and which models are better than which, by simulation from the covariance.

A rank is not a smooth function of scores, and simulating ranks around the estimate is too sure where models are close.
So a model's rank interval follows from comparing it with all others at once: it is not above those that are
significantly better, and not below those that are significantly worse (Mogstad, Romano, Shaikh & Wilhelm 2024,
"Inference for ranks", marginal confidence sets). The critical value of the largest of the |t| is simulated.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from pairloop.kit.seeds import generator
from pairloop.posterior import FloatArray, IntArray

DRAWS = 4000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Ranks:
    """Ranks of M models.

    Attributes:
        rank: (M,) 1 for the best; equals share the better rank. low, high: (M,) best and worst rank of the interval
            (each interval covers with 95 %, not all at once); 1 and M where the model has no interval.
        p: (M, M) of "the two are equal", adjusted for all pairs of the table at once; 1 where it cannot be told.
        error: (M, M) standard errors of the differences.
    """

    rank: IntArray
    low: IntArray
    high: IntArray
    p: FloatArray
    error: FloatArray


def ranks(scores: FloatArray, covariance: FloatArray, degrees: IntArray, overall: int, *, seed: int = 0) -> Ranks:
    """Ranks, their intervals and all pairs.

    Args:
        scores, degrees: (M,). covariance: (M, M). overall: degrees of freedom of comparisons of all with all.
    """
    m = len(scores)
    variance = np.diag(covariance)
    error = np.sqrt(np.maximum(variance[:, None] + variance[None] - 2 * covariance, 0.0))
    known = (degrees > 0)[:, None] & (degrees > 0)[None] & (error > 1e-12)
    t = np.divide(scores[:, None] - scores[None], error, out=np.zeros((m, m)), where=known)
    random = generator(seed, "leaderboard", "ranks")
    draws = random.standard_normal((DRAWS, m)) @ _root(covariance).T
    low, high = np.ones(m, dtype=np.int64), np.full(m, m, dtype=np.int64)
    largest = np.zeros(DRAWS)
    for i in range(m):
        if not known[i].any():
            continue
        others = np.flatnonzero(known[i])
        most = (np.abs(draws[:, i, None] - draws[:, others]) / error[i, others]).max(axis=1)
        largest = np.maximum(largest, most)
        critical = np.quantile(most * _student(int(degrees[i]), random), LEVEL)
        low[i] = 1 + int((t[i, others] < -critical).sum())
        high[i] = m - int((t[i, others] > critical).sum())
    simultaneous = np.sort(largest * _student(overall, random))
    exceeding = DRAWS - np.searchsorted(simultaneous, np.abs(t), side="left")
    p = np.where(known, (1 + exceeding) / (1 + DRAWS), 1.0)
    return Ranks(rankdata(-scores, method="min").astype(np.int64), low, high, p, error)


def _root(covariance: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _student(degrees: int, random: np.random.Generator) -> FloatArray:
    """(DRAWS,) factors that turn normal into t variates."""
    return np.asarray(np.sqrt(degrees / random.chisquare(degrees, DRAWS)))
