"""Confidence sequences: intervals for a running mean that hold at all times at once.

A 95 % interval that is looked at after every round misses far more often than once in twenty. A confidence sequence
may be looked at after every vote, and a campaign may be stopped because of what it says: the probability that it *ever*
misses is at most 1 − level.

Given numbers d_1, d_2, … in [−b_i, b_i], b_i known before d_i, the running mean of conditional means is covered,
``Δ_n = (1/n) Σ μ_i, μ_i = E[d_i | past]``. Nothing is assumed about how the μ_i change or about what the d_i have in
common, so d may be the difference between two models that are fitted again and again: the target of Choe & Ramdas 2023,
"Comparing sequential forecasters". The bets are those of Waudby-Smith & Ramdas 2023, "Estimating means of bounded
random variables by betting", whose own sequence covers only a mean that never changes. For a stake η > 0 and a guess
γ_i made before d_i, each of the factors

    (1 + η (d_i − γ_i)) · exp(η (γ_i − μ_i))    mean (1 + x) exp(−x) ≤ 1, x = η (μ_i − γ_i); needs η (d_i − γ_i) ≥ −1
    exp(η (d_i − μ_i) − η² b_i²/2)              mean ≤ 1 by Hoeffding's lemma; used where η (b_i + |γ_i|) is near 1

has conditional mean at most 1, so their product is a test supermartingale, and so is a mixture over a grid of stakes.
By Ville's inequality it ever exceeds 1/α with probability at most α: the sums Σ μ_i that this allows are the interval.
"""

from dataclasses import dataclass

import numpy as np

from pairloop.posterior import FloatArray

LEVEL = 0.95
_STAKES = np.geomspace(
    0.05, 40.0, 30
)  # the best is about √(2 log(1/α)/V): good for sums of squares V of 0.005 to 3,000
_NEAR = 0.95
_HALVINGS = 36


@dataclass(frozen=True, slots=True)
class Sequence:
    """The running mean after each number, with its bounds: three (n,) arrays."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray


def confidence_sequence(
    values: FloatArray, bound: FloatArray | float, *, level: float = LEVEL, last: bool = False
) -> Sequence:
    """Bounds for the running mean of conditional means, valid at all n at once with probability ``level``.

    Args:
        values: (n,) numbers in order of arrival.
        bound: (n,) or one number b ≥ |value|, known before the value. Each side gets (1 − level)/2.
        last: only the interval after the last number is wanted, as arrays of one.
    """
    values = np.asarray(values, dtype=np.float64)
    bounds = np.broadcast_to(np.asarray(bound, dtype=np.float64), values.shape)
    if not len(values):
        return Sequence(values, values, values)
    wanted = slice(-1, None) if last else slice(None)
    n = np.arange(1, len(values) + 1)[wanted]
    log_odds = float(np.log(2.0 / (1.0 - level)))
    low, high = (_least_sum(_won(side, bounds)[wanted], log_odds) for side in (values, -values))
    limit = np.cumsum(bounds)[wanted]  # conditional means lie within the bounds whatever happens
    return Sequence(np.cumsum(values)[wanted] / n, np.maximum(low, -limit) / n, np.minimum(-high, limit) / n)


def _least_sum(won: FloatArray, log_odds: float) -> FloatArray:
    """(n,) the smallest Σ μ_i not ruled out by bets on larger numbers: mean_j exp(won_j − η_j Σ μ) = exp(log_odds)."""
    low = np.max((won - log_odds - np.log(len(_STAKES))) / _STAKES, axis=1)
    high = np.max((won - log_odds) / _STAKES, axis=1)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        exponent = won - middle[:, None] * _STAKES
        top = exponent.max(axis=1)
        ruled_out = top + np.log(np.mean(np.exp(exponent - top[:, None]), axis=1)) > log_odds
        low, high = np.where(ruled_out, middle, low), np.where(ruled_out, high, middle)
    return np.asarray(low)


def _won(values: FloatArray, bounds: FloatArray) -> FloatArray:
    """(n, J) log wealth of each stake so far, but for the part that depends on the means."""
    n = np.arange(len(values))
    guess = np.clip(np.concatenate([[0.0], np.cumsum(values)[:-1]]) / np.maximum(n, 1), -bounds, bounds)
    near = np.outer(bounds + np.abs(guess), _STAKES) > _NEAR
    bet = np.log1p(np.where(near, 0.0, np.outer(values - guess, _STAKES))) + np.outer(guess, _STAKES)
    hoeffding = np.outer(values, _STAKES) - 0.5 * np.square(np.outer(bounds, _STAKES))
    return np.asarray(np.cumsum(np.where(near, hoeffding, bet), axis=0))
