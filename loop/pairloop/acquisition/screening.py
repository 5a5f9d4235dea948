"""Cheap upper bounds of variances after many picks, in the precision of the storage, with rigorous rounding.

After K picks the variance of a pair is ``‖z‖² − ‖Vz‖²``, V (K, D) the picks' directions. For any W (r, K) with
orthonormal rows ``‖WVz‖ ≤ ‖Vz‖``, so ``‖z‖² − ‖Bz‖²`` with ``B = WV`` (r, D) is an upper bound at r/K of the cost. The
best W for pairs with second moments Σ holds the leading eigenvectors of ``V Σ Vᵀ``; picks come back to the same
directions again and again, so few of them take off almost all.

``Bz`` is a difference of what B makes of the two responses. Where most of a stretch of the pool is looked at, the
stored rows are multiplied as they lie, without gathering, and pairs that share a response share its product.

Rounding: with unit roundoff u, every entry of a computed ``Bg`` is off by at most ``γ ‖b‖ ‖g‖``, γ = n u/(1 − n u)
for n operations a sum, in any order of summation (Higham 2002, §3.1); what is subtracted is the least that the computed
numbers allow.
"""

import numpy as np

from pairloop.acquisition.geometry import Float64Array, differences
from pairloop.posterior import FloatArray, IntArray

SHARE = 0.985  # of the mean reduction; more rank makes a look dearer, less makes more of them
_SAMPLE = 2048
_BLOCK = 1024  # pairs at a time
_DENSE = 2.0  # responses of a stretch for each pair in it, up to which the stretch is multiplied as it lies


class Screen:
    """Bounds for pairs (N, 2), smaller row first, of coordinates (R, D); ``sample``: positions that stand for them."""

    def __init__(self, coordinates: FloatArray, pairs: IntArray, sample: slice) -> None:
        self.coordinates, self.pairs = coordinates, pairs
        self._places = sample
        self._moments: Float64Array | None = None
        self._norms: FloatArray | None = None
        self._basis, self._basis_of = np.empty((0, coordinates.shape[1]), coordinates.dtype), 0

    def basis(self, directions: Float64Array) -> FloatArray:
        """B (r, D) of directions V (K, D), r as small as takes off `SHARE` of what all would, on average."""
        if len(directions) == self._basis_of:
            return self._basis
        v = directions
        if len(v) > v.shape[1]:  # as many as there are dimensions say the same
            v = np.asarray(np.linalg.qr(directions, mode="r"))
        values, vectors = np.linalg.eigh(v @ self.moments() @ v.T)
        taken = np.cumsum(values[::-1])
        rank = int(np.searchsorted(taken, SHARE * taken[-1])) + 1
        self._basis, self._basis_of = self.rounded(vectors[:, ::-1][:, :rank].T @ v), len(directions)
        return self._basis

    def rounded(self, directions: Float64Array) -> FloatArray:
        """In the precision of the storage and a little shorter: eigenvectors are orthonormal only to rounding."""
        return np.ascontiguousarray(directions * (1.0 - 1e-9), dtype=self.coordinates.dtype)

    def moments(self) -> Float64Array:
        """Σ (D, D) of a sample of the pairs."""
        if self._moments is None:
            rows = np.arange(len(self.pairs))[self._places]
            rows = rows[:: max(1, len(rows) // _SAMPLE)]
            z = differences(self.coordinates, self.pairs[rows])
            self._moments = z.T @ z / max(1, len(rows))
        return self._moments

    def reduction(self, rows: IntArray, basis: FloatArray) -> Float64Array:
        """At least this much has been taken off the variances of ``rows`` (K,), in rising order → (K,) ≥ 0."""
        out = np.zeros(len(rows))
        slack = self._slack(basis)
        if slack > 0.5:  # half precision: nothing certain can be said
            return out
        for start in range(0, len(rows), _BLOCK):
            block = self.pairs[rows[start : start + _BLOCK]]
            out[start : start + len(block)] = self._of_block(block, basis, slack)
        return out

    def _of_block(self, block: IntArray, basis: FloatArray, slack: float) -> Float64Array:
        low, high = int(block.min()), int(block.max()) + 1
        if high - low <= _DENSE * len(block):
            stretch = self.coordinates[low:high] @ basis.T
            apart = np.take(stretch, block[:, 0] - low, axis=0)
            apart -= np.take(stretch, block[:, 1] - low, axis=0)
            norms = self.norms()
            size = norms[block[:, 0]] + norms[block[:, 1]]
        else:
            z = np.take(self.coordinates, block[:, 0], axis=0)
            z -= np.take(self.coordinates, block[:, 1], axis=0)
            size = np.sqrt(np.einsum("nd,nd->n", z, z))
            apart = z @ basis.T
        length = np.sqrt(np.einsum("nr,nr->n", apart, apart)).astype(np.float64)
        return np.asarray(np.square(np.maximum(length * (1.0 - slack) - slack * size * _frobenius(basis), 0.0)))

    def norms(self) -> FloatArray:
        """‖g‖ of every response, (R,)."""
        if self._norms is None:
            self._norms = np.sqrt(np.einsum("rd,rd->r", self.coordinates, self.coordinates))
        return self._norms

    def _slack(self, basis: FloatArray) -> float:
        """γ of the longest sum, and something for the rounding of B, of differences, norms and squares."""
        terms = (basis.shape[0] + basis.shape[1] + 16) * float(np.finfo(basis.dtype).eps)
        return terms / (1.0 - terms) if terms < 0.5 else 1.0


def _frobenius(basis: FloatArray) -> float:
    return float(np.linalg.norm(basis.astype(np.float64)))
