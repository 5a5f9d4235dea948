"""Distances of pairs in whitened coordinates, chunk by chunk; an (N, D) matrix is never made."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pairloop.posterior import FloatArray, IntArray

Float64Array = NDArray[np.float64]

_CHUNK_BYTES = 1 << 20  # two gathered blocks of this size stay in a core's cache


def chunks(count: int, width: int, itemsize: int = 8) -> Iterator[slice]:
    """Slices of 0 … ``count`` whose blocks of ``width`` numbers a row stay in a core's cache."""
    step = max(64, _CHUNK_BYTES // (max(1, width) * itemsize))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def squared_lengths(coordinates: FloatArray, pairs: IntArray) -> Float64Array:
    """‖g_i − g_j‖² in the precision of the coordinates (R, D), for (N, 2) rows → (N,) float64."""
    out = np.empty(len(pairs))
    width = max(1, coordinates.shape[1])
    chunk = max(64, _CHUNK_BYTES // (width * coordinates.itemsize))
    left = np.empty((chunk, coordinates.shape[1]), coordinates.dtype)
    right = np.empty_like(left)
    for start in range(0, len(pairs), chunk):
        block = pairs[start : start + chunk]
        a, b = left[: len(block)], right[: len(block)]
        # mode="clip" lets numpy write into the buffer directly; the rows were checked before.
        np.take(coordinates, block[:, 0], axis=0, out=a, mode="clip")
        np.take(coordinates, block[:, 1], axis=0, out=b, mode="clip")
        np.subtract(a, b, out=a)
        out[start : start + chunk] = np.einsum("nd,nd->n", a, a)
    return out


def rounding(coordinates: FloatArray) -> float:
    """Bound on the relative error of `squared_lengths`: a sum of D non-negative terms of rounded differences."""
    terms = int(coordinates.shape[1]) + 4
    return 4.0 * terms * float(np.finfo(coordinates.dtype).eps)


def differences(coordinates: FloatArray, pairs: IntArray) -> Float64Array:
    """g_i − g_j, taken in the precision of the coordinates, as float64: (M, 2) rows → (M, D); for small M."""
    left = np.take(coordinates, pairs[:, 0], axis=0)
    left -= np.take(coordinates, pairs[:, 1], axis=0)
    return left.astype(np.float64, copy=False)


def conditioning(z: Float64Array, information: FloatArray) -> Float64Array:
    """Directions U (K, D) that pending pairs have already used up, K ≤ min(M, D).

    With A = I + Σ I_m z_m z_mᵀ the covariance given the pending pairs is A⁻¹ = I − UᵀU. If s are the singular values
    and q the right singular vectors of √I·z, the rows of U are ``s/√(1 + s²) · q``.
    """
    if not len(z):
        return np.empty((0, z.shape[1]))
    if len(z) <= z.shape[1]:
        _, s, vectors = np.linalg.svd(np.sqrt(information)[:, None] * z, full_matrices=False)
    else:
        values, columns = np.linalg.eigh((z * information[:, None]).T @ z)
        s, vectors = np.sqrt(np.maximum(values, 0.0)), columns.T
    return np.asarray((s / np.sqrt(1.0 + s * s))[:, None] * vectors)


def far_out(variance: FloatArray, fence: float) -> NDArray[np.bool_]:
    """(N,) True where a margin's variance is an outlier: its logarithm lies beyond median + ``fence`` · 1.48 MAD.

    Hampel 1974's identifier; on a logarithmic scale because variances of ordinary pairs spread by factors. Such pairs
    pull a design to themselves by their size, and where their features are far out for a reason that has nothing to do
    with the reward, their votes bend the model for everything else. ``fence`` 0 finds none; nor is one found where more
    than half of the variances are alike.
    """
    positive = np.isfinite(variance) & (variance > 0)
    if not fence or not positive.any():
        return np.zeros(len(variance), dtype=bool)
    logs = np.log(variance[positive])
    middle = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - middle)))
    found = np.zeros(len(variance), dtype=bool)
    found[positive] = (logs > middle + fence * spread) & (spread > 0)
    return found
