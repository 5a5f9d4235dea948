"""A reproducible random number for every pair, whatever its place in the list and whichever side is left.

Ties, and whole random draws, are decided by these keys instead of by positions. A choice is then the same for any
order of the candidates and for swapped sides (permanent random numbers: Ohlsson 1995). The mixer is the finaliser
of SplitMix64 (Steele, Lea & Flood 2014), which sends distinct 64-bit words to distinct 64-bit words.
"""

import numpy as np
from numpy.typing import NDArray

from pairloop.posterior import IntArray

KeyArray = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_WORD = (1 << 64) - 1


def canonical(pairs: IntArray) -> IntArray:
    """(N, 2) row pairs with the smaller row first → (N, 2); what is computed from it cannot depend on the sides."""
    return np.stack([np.minimum(pairs[:, 0], pairs[:, 1]), np.maximum(pairs[:, 0], pairs[:, 1])], axis=1)


def pair_keys(pairs: IntArray, seed: int) -> KeyArray:
    """One uniform 64-bit number a pair, a pure function of the seed and the unordered pair: (N, 2) → (N,)."""
    low = np.minimum(pairs[:, 0], pairs[:, 1]).astype(np.uint64)
    high = np.maximum(pairs[:, 0], pairs[:, 1]).astype(np.uint64)
    # Arrays of one element: numpy warns when a scalar wraps around, and wrapping is the point here.
    state = _mixed(np.array([seed & _WORD], dtype=np.uint64) + _GOLDEN)
    return _mixed(_mixed(state ^ (low * _GOLDEN)) + high * _GOLDEN + _GOLDEN)


def uniforms(pairs: IntArray, seed: int) -> NDArray[np.float64]:
    """`pair_keys` as numbers strictly between 0 and 1: (N, 2) → (N,)."""
    return ((pair_keys(pairs, seed) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _mixed(word: KeyArray) -> KeyArray:
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))
