"""Krippendorff's alpha for nominal data, with a bootstrap interval.

``α = 1 − D_o/D_e`` with observed and expected disagreement (Krippendorff 2011, "Computing Krippendorff's
Alpha-Reliability"). 1 is perfect, 0 is what chance would give.
"""

import numpy as np

from pairloop.kit.seeds import generator
from pairloop.metrics import Estimate
from pairloop.posterior import FloatArray, IntArray

_DRAWS = 1000
_CELLS = 4_000_000  # of a block of bootstrap draws, to bound memory


def krippendorff_alpha(counts: IntArray, cluster: IntArray, *, draws: int = _DRAWS, seed: int = 0) -> Estimate | None:
    """Nominal alpha of (U, C) counts of category c on unit u, units with fewer than two votes left out.

    Args:
        cluster: (U,) what to resample by.

    Returns:
        None when there is nothing to compare, or only one category was ever used: then alpha is undefined.
    """
    size = counts.sum(axis=1)
    counts, cluster, size = counts[size >= 2], cluster[size >= 2], size[size >= 2]
    if not len(counts) or (counts.sum(axis=0) > 0).sum() < 2:
        return None
    differing = (size**2 - (counts**2).sum(axis=1)) / (size - 1)
    _, group = np.unique(cluster, return_inverse=True)
    groups = int(group.max()) + 1
    columns = [differing, *np.asarray(counts, dtype=np.float64).T]
    totals = np.stack([np.bincount(group, weights=column, minlength=groups) for column in columns], axis=1)
    value, n = float(_alpha(totals.sum(axis=0)[None])[0]), int(size.sum())
    if groups < 2:
        return Estimate(value, None, None, n, groups)
    random, drawn = generator(seed, "alpha"), []
    block = max(_CELLS // groups, 1)
    for start in range(0, draws, block):
        times = random.multinomial(groups, np.full(groups, 1.0 / groups), size=min(block, draws - start))
        drawn.append(_alpha(np.asarray(times, dtype=np.float64) @ totals))
    found = np.concatenate(drawn)
    low, high = np.nanquantile(found, [0.025, 0.975])
    return Estimate(value, float(low), float(high), n, groups)


def _alpha(totals: FloatArray) -> FloatArray:
    """(B,) alpha of (B, 1 + C) rows of observed disagreement and category totals; NaN where undefined."""
    observed, by_category = totals[:, 0], totals[:, 1:]
    n = by_category.sum(axis=1)
    expected = (n**2 - (by_category**2).sum(axis=1)) / np.maximum(n - 1, 1)
    return np.asarray(1.0 - np.divide(observed, expected, out=np.full(len(n), np.nan), where=expected > 0))
