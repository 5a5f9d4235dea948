"""How good predicted preferences are, with intervals that know which votes hang together.

Votes on prompts of one group are not independent: they share texts, topics and often annotators. So every interval
is clustered by group. Means use the linearised ratio estimator with a t quantile on G − 1 degrees of freedom
(Cochran 1977, "Sampling Techniques", ch. 9A); the calibration error and rank correlations, which are no means, use
a seeded cluster bootstrap. With fewer than two groups there is no interval: ``low`` and ``high`` are None.

Everywhere ``p`` (N,) is the probability in [0, 1] that the left response is preferred, ``outcome`` (N,) is 0 for
left, 1 for right and 2 for a tie, and ``cluster`` (N,) is the group. Ties are left out: they say nothing about who
is better.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, rankdata
from scipy.stats import t as student_t

from pairloop.errors import UsageError
from pairloop.kit.seeds import generator
from pairloop.posterior import FloatArray, IntArray

_FLOOR = 1e-15  # of a probability inside a logarithm
_PER_BIN = 10  # votes; fewer than this a bin and its accuracy is noise
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: the estimate.
        low, high: 95 % interval over clusters, None with fewer than two clusters.
        n: observations; clusters: groups among them.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    clusters: int


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Votes of similar confidence: mean confidence in [0.5, 1], share correct in [0, 1], number of votes."""

    confidence: float
    accuracy: float
    n: int


def clustered_mean(
    values: FloatArray, cluster: IntArray, weight: FloatArray | None = None, *, level: float = _LEVEL
) -> Estimate:
    """Weighted mean of (N,) values with a t interval over clusters.

    The mean is a ratio of cluster totals, so its variance is ``G/(G−1) Σ_g (Σ_{i∈g} w_i (x_i − x̄))² / (Σ w)²``.

    Raises:
        UsageError: no values, or weights that sum to zero.
    """
    values = np.asarray(values, dtype=np.float64)
    weights = np.ones(len(values)) if weight is None else np.asarray(weight, dtype=np.float64)
    total = float(weights.sum())
    if not len(values) or total <= 0:
        raise UsageError("there is nothing to measure on: no decisive vote", "Measure when votes have come in.")
    mean = float(weights @ values) / total
    _, index = np.unique(cluster, return_inverse=True)
    groups = int(index.max()) + 1
    if groups < 2:
        return Estimate(mean, None, None, len(values), groups)
    residual = np.bincount(index, weights=weights * (values - mean))
    others = total - np.bincount(index, weights=weights)
    # a cluster that holds all the weight leaves nothing to compare it with
    without = np.divide(residual, others, out=np.full(groups, np.inf), where=others > 0)
    error = float(np.sqrt((groups - 1) / groups * (without**2).sum()))
    half = float(student_t.ppf(0.5 + level / 2, groups - 1)) * error
    return Estimate(mean, mean - half, mean + half, len(values), groups)


def accuracy(p: FloatArray, outcome: IntArray, cluster: IntArray, weight: FloatArray | None = None) -> Estimate:
    """Share of decisive votes whose side was given the higher probability; exactly 0.5 counts half.

    The interval stays within [0, 1]. Where all clusters agree it would have no width; then each cluster counts as
    one observation of a binomial (Clopper & Pearson 1934).

    Raises:
        UsageError: no decisive vote.
    """
    p, left_won, groups, weights = _decisive(p, outcome, cluster, weight)
    return _within_unit(clustered_mean(_hits(p, left_won), groups, weights))


def log_loss(p: FloatArray, outcome: IntArray, cluster: IntArray, weight: FloatArray | None = None) -> Estimate:
    """Mean −log of the probability given to the chosen side, in nats; ln 2 ≈ 0.693 is a coin.

    Raises:
        UsageError: no decisive vote.
    """
    p, left_won, groups, weights = _decisive(p, outcome, cluster, weight)
    return clustered_mean(log_losses(p, np.where(left_won, 0, 1)), groups, weights)


def brier(p: FloatArray, outcome: IntArray, cluster: IntArray, weight: FloatArray | None = None) -> Estimate:
    """Mean squared error of the probability, in [0, 1]; 0.25 is a coin.

    Raises:
        UsageError: no decisive vote.
    """
    p, left_won, groups, weights = _decisive(p, outcome, cluster, weight)
    return _clipped(clustered_mean((p - left_won) ** 2, groups, weights))


def log_losses(p: FloatArray, outcome: IntArray) -> FloatArray:
    """(N,) log-loss of each decisive vote in nats, NaN for ties."""
    chosen = np.where(outcome == 0, p, 1.0 - np.asarray(p, dtype=np.float64))
    losses = -np.log(np.clip(chosen, _FLOOR, 1.0))
    return np.where(outcome == 2, np.nan, losses)


def paired_difference(one: FloatArray, other: FloatArray, cluster: IntArray) -> Estimate:
    """Mean of ``one − other`` over the same votes, (N,) losses each; rows where either is NaN are left out.

    Below zero, with an interval that excludes zero, ``one`` is the better model.

    Raises:
        UsageError: no row is left.
    """
    difference = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    kept = ~np.isnan(difference)
    return clustered_mean(difference[kept], np.asarray(cluster)[kept])


def reliability(p: FloatArray, outcome: IntArray, bins: int = 15) -> tuple[ReliabilityBin, ...]:
    """The reliability table of the decisive votes in bins of about equal mass, least confident first.

    Confidence is max(p, 1 − p), so that the table does not depend on who was displayed on the left.
    """
    p, left_won, _, _ = _decisive(p, outcome, np.zeros(len(outcome), dtype=np.intp), None)
    confidence, hit = np.maximum(p, 1.0 - p), _hits(p, left_won)
    index, size = _equal_mass(confidence, bins)
    n = np.bincount(index, minlength=size)
    sums = [np.bincount(index, weights=column, minlength=size) for column in (confidence, hit)]
    return tuple(
        ReliabilityBin(float(sums[0][k] / n[k]), float(sums[1][k] / n[k]), int(n[k])) for k in range(size) if n[k]
    )


def ece(
    p: FloatArray, outcome: IntArray, cluster: IntArray, *, bins: int = 15, draws: int = 1000, seed: int = 0
) -> Estimate:
    """Expected calibration error over equal-mass bins of confidence, in [0, 1].

    Few votes make it too large, because noise in a bin never cancels: a perfectly calibrated model has an ECE well
    above zero. The lower end therefore takes off all that noise could have added (by the triangle inequality, the
    95 % quantile of Σ |bootstrapped gap − gap|), so that it is above zero only for real miscalibration; the upper
    end is the bootstrap quantile, whose own upward bias makes it safe.

    Raises:
        UsageError: no decisive vote.
    """
    p, left_won, groups, _ = _decisive(p, outcome, cluster, None)
    confidence, hit = np.maximum(p, 1.0 - p), _hits(p, left_won)
    index, size = _equal_mass(confidence, bins)
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    # |Σ (confidence − hit)| per bin, over n, is the ECE; cluster by bin sums make a bootstrap one matrix product
    gaps = np.bincount(group * size + index, weights=confidence - hit, minlength=count * size).reshape(count, size)
    value = float(np.abs(gaps.sum(axis=0)).sum()) / len(p)
    if count < 2:
        return Estimate(value, None, None, len(p), count)
    times = generator(seed, "ece").multinomial(count, np.full(count, 1.0 / count), size=draws)
    size_drawn = np.maximum(times @ np.bincount(group), 1)[:, None]
    drawn = times @ gaps / size_drawn
    noise = np.abs(drawn - gaps.sum(axis=0) / len(p)).sum(axis=1)
    low = max(value - float(np.quantile(noise, _LEVEL)), 0.0)
    high = max(float(np.quantile(np.abs(drawn).sum(axis=1), (1 + _LEVEL) / 2)), value)
    return Estimate(value, low, min(high, 1.0), len(p), count)


def spearman(one: FloatArray, other: FloatArray, cluster: IntArray, *, draws: int = 500, seed: int = 0) -> Estimate:
    """Rank correlation of two (N,) scores in [−1, 1], with a percentile interval of a cluster bootstrap.

    A constant score has no ranking; its correlation counts as 0.

    Raises:
        UsageError: fewer than two rows.
    """
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if len(one) < 2:
        raise UsageError("a rank correlation needs at least two responses")
    _, group = np.unique(cluster, return_inverse=True)
    count = int(group.max()) + 1
    value = _rank_correlation(one, other)
    if count < 2:
        return Estimate(value, None, None, len(one), count)
    members = [np.flatnonzero(group == k) for k in range(count)]
    random = generator(seed, "spearman")
    drawn = []
    for _ in range(draws):
        rows = np.concatenate([members[k] for k in random.integers(0, count, count)])
        drawn.append(_rank_correlation(one[rows], other[rows]))
    low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Estimate(value, float(low), float(high), len(one), count)


def _rank_correlation(one: FloatArray, other: FloatArray) -> float:
    a, b = rankdata(one), rankdata(other)
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else 0.0


def _decisive(
    p: FloatArray, outcome: IntArray, cluster: IntArray, weight: FloatArray | None
) -> tuple[FloatArray, NDArray[np.bool_], IntArray, FloatArray | None]:
    """The rows of decisive votes."""
    kept = np.asarray(outcome) != 2
    if not kept.any():
        raise UsageError("there is nothing to measure on: no decisive vote", "Measure when votes have come in.")
    p = np.asarray(p, dtype=np.float64)[kept]
    return p, np.asarray(outcome)[kept] == 0, np.asarray(cluster)[kept], None if weight is None else weight[kept]


def _hits(p: FloatArray, left_won: NDArray[np.bool_]) -> FloatArray:
    """1 for a right guess, 0 for a wrong one, 0.5 where the model does not lean to either side."""
    return np.where(p == 0.5, 0.5, (p > 0.5) == left_won)


def _equal_mass(confidence: FloatArray, bins: int) -> tuple[IntArray, int]:
    """Bin of each vote and the number of bins; equal confidences share a bin, whatever the order of the rows."""
    size = int(np.clip(len(confidence) // _PER_BIN, 1, bins))
    edges = np.quantile(confidence, np.arange(1, size) / size)
    return np.searchsorted(edges, confidence, side="right"), size


def _clipped(estimate: Estimate) -> Estimate:
    if estimate.low is None or estimate.high is None:
        return estimate
    return Estimate(estimate.value, max(estimate.low, 0.0), min(estimate.high, 1.0), estimate.n, estimate.clusters)


def _within_unit(estimate: Estimate) -> Estimate:
    """The interval cut to [0, 1], and widened where all clusters agree on the same value."""
    if estimate.low is None or estimate.high is None or estimate.low < estimate.high:
        return _clipped(estimate)
    hits, misses = estimate.value * estimate.clusters, (1.0 - estimate.value) * estimate.clusters
    tail = (1.0 - _LEVEL) / 2
    low = float(beta.ppf(tail, hits, misses + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, misses)) if misses > 0 else 1.0
    return Estimate(estimate.value, low, high, estimate.n, estimate.clusters)
