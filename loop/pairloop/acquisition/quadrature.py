"""Gaussian expectations of functions that die out like the logistic density.

Plain Gauss–Hermite fails here: once the margin's standard deviation exceeds the width of a logistic curve (about 2),
its nodes step over the curve, and nine of them are off by a fifth of the maximum. So the function is divided by the
Gaussian window N(0, 4), which has its width, and the rule is applied to the product of the window and the margin's
density, which is Gaussian again (importance-weighted, or tilted, Gauss–Hermite: Liu & Pierce 1994). Nine nodes are
then within 3e-4 and fifteen within 1e-5, absolute, for every mean and variance that the tests visit.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from pairloop.posterior import FloatArray

_WINDOW = 4.0  # variance of the window; chosen by comparing 4, 6, 8, 12 and 16 against dense integration
_FAR = 60.0  # log-odds beyond which nothing is uncertain any more; keeps the exponents finite


@cache
def nodes(count: int) -> tuple[tuple[float, float], ...]:
    """Nodes and weights of E[f(x)], x ~ N(0, 1)."""
    x, w = np.polynomial.hermite_e.hermegauss(count)
    return tuple(zip(x.tolist(), (w / np.sqrt(2.0 * np.pi)).tolist(), strict=True))


def gaussian_mean(
    function: Callable[[FloatArray], FloatArray], mean: FloatArray, variance: FloatArray, count: int
) -> FloatArray:
    """E[f(x)] for x ~ N(mean, variance), elementwise: (N,), (N,) → (N,).

    Args:
        function: elementwise, vanishing at least like ``exp(−|x|)`` on both sides.
        mean: log-odds; values beyond ±60 are treated as ±60.
        variance: ≥ 0.
        count: number of nodes.
    """
    mean = np.clip(mean, -_FAR, _FAR)
    shrink = _WINDOW / (variance + _WINDOW)
    width = np.sqrt(variance * shrink)
    centre = mean * shrink
    base = -0.5 * mean * centre / _WINDOW
    total = np.zeros_like(centre)
    for x, w in nodes(count):
        point = centre + width * x
        # Both exponents at once: each alone overflows where the margin is large.
        total += w * function(point) * np.exp(base + 0.5 / _WINDOW * point * point)
    return np.asarray(np.sqrt(shrink) * total)
