"""Distance of each pair's vector to the nearest of the vectors picked so far, kept up on demand.

A pair's vector is ``s · (g_i − g_j)`` in whitened coordinates, smaller row first, made chunk by chunk. The origin,
the vector of a pair that is known with certainty, counts as picked: a strategy is not told what was asked in earlier
rounds, but whitened coordinates shrink in the directions that votes have settled, so being near the origin says just
that. Pairs in flight count as picked too.
"""

import numpy as np

from pairloop.acquisition.geometry import Float64Array, chunks, differences
from pairloop.posterior import FloatArray, IntArray

_SAME = 1e-13  # squared distance, relative to the lengths, at which two vectors are equal but for rounding


class Nearest:
    """Squared distances to the nearest centre, each as of the number of centres it has ``seen``.

    Attributes:
        centres: (K, D) vectors of pending pairs and picks, in order.
        square: (N,) squared distance to the origin (or infinity) and the centres seen.
        seen: (N,) how many centres.
    """

    def __init__(
        self, coordinates: FloatArray, pairs: IntArray, scale: FloatArray, length: FloatArray, either_sign: bool
    ) -> None:
        """``pairs`` (N, 2), smaller row first; ``scale`` (N,) s; ``length`` (N,) ‖vector‖².

        With ``either_sign`` a vector and its negative are one point, and the nearer one counts.
        """
        self.coordinates, self.pairs, self.scale, self.either_sign = coordinates, pairs, scale, either_sign
        self.length = np.asarray(length, np.float64)
        self.square = self.length.copy()
        self.seen = np.zeros(len(pairs), dtype=np.int32)
        self.centres = np.empty((0, coordinates.shape[1]))

    def add(self, vectors: Float64Array) -> None:
        """More centres (M, D)."""
        self.centres = np.concatenate([self.centres, vectors])

    def vectors(self, rows: IntArray) -> Float64Array:
        """(K,) positions → (K, D)."""
        return differences(self.coordinates, self.pairs[rows]) * self.scale[rows, None]

    def steps(self, rows: IntArray, seen: int) -> Float64Array:
        """Nearest squared distance of ``rows`` after each centre from ``seen`` on → (K, centres − seen).

        All rows must have seen exactly ``seen`` centres; they have seen all afterwards.
        """
        new = self.centres[seen:]
        size = np.einsum("kd,kd->k", new, new)
        out = np.empty((len(rows), len(new)))
        for part in chunks(len(rows), self.coordinates.shape[1]):
            block = rows[part]
            inner = self.vectors(block) @ new.T
            lengths = self.length[block, None] + size
            apart = lengths - 2.0 * (np.abs(inner) if self.either_sign else inner)
            # Differences of nearly equal lengths: what is left of rounding must not pass for a distance.
            apart[apart < _SAME * lengths] = 0.0
            apart[:, 0] = np.minimum(apart[:, 0], self.square[block])
            out[part] = np.minimum.accumulate(apart, axis=1)
        self.square[rows] = out[:, -1]
        self.seen[rows] = len(self.centres)
        return out

    def groups(self, rows: IntArray) -> list[tuple[IntArray, int]]:
        """Places in ``rows`` that are behind, by how many centres they have seen."""
        seen = self.seen[rows]
        return [(np.flatnonzero(seen == k), int(k)) for k in np.unique(seen) if k < len(self.centres)]
