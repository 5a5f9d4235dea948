"""Distance of each pair's vector to the nearest of the vectors picked so far, kept up on demand.

A pair's vector is ``s · (g_i − g_j)`` in whitened coordinates, smaller row first, made chunk by chunk. The origin is
the vector of a pair that is known with certainty; whether it counts as picked is for the method to say.
"""

import numpy as np

from pairloop.acquisition.geometry import Float64Array, chunks, differences
from pairloop.posterior import FloatArray, IntArray

_SAME = 1e-13  # squared distance, relative to the lengths, at which two vectors are equal but for rounding
_CENTRES = 512  # centres that rows are compared with at a time
FIRST = 64  # centres that `forget_origin` looks at; the others are seen lazily


class Nearest:
    """Squared distances to the nearest centre, each as of the number of centres it has ``seen``.

    Attributes:
        square: (N,) squared distance to the nearest of the origin (unless forgotten) and the centres seen.
        seen: (N,) how many centres.
        count: how many centres there are.
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
        self.count = 0
        self._room = np.empty((_CENTRES, coordinates.shape[1]))

    @property
    def centres(self) -> Float64Array:
        """(count, D) in the order in which they were added."""
        return self._room[: self.count]

    def add(self, vectors: Float64Array) -> None:
        """More centres (M, D)."""
        end = self.count + len(vectors)
        if end > len(self._room):
            grown = np.empty((2 * end, self._room.shape[1]))
            grown[: self.count] = self.centres
            self._room = grown
        self._room[self.count : end] = vectors
        self.count = end

    def vectors(self, rows: IntArray) -> Float64Array:
        """(K,) positions → (K, D)."""
        return differences(self.coordinates, self.pairs[rows]) * self.scale[rows, None]

    def forget_origin(self) -> None:
        """Measure from the centres alone, of which there must be one. Distances are upper bounds until renewed."""
        self.square[:] = np.inf
        self.see(np.arange(len(self.pairs)), 0, min(FIRST, self.count))

    def renew(self, rows: IntArray) -> None:
        """Let ``rows`` see all centres."""
        for places, seen in self.groups(rows):
            self.see(rows[places], seen, self.count)

    def steps(self, rows: IntArray, seen: int) -> Float64Array:
        """Nearest squared distance of ``rows`` after each centre from ``seen`` on → (K, centres − seen).

        All rows must have seen exactly ``seen`` centres; they have seen all afterwards.
        """
        out = np.empty((len(rows), self.count - seen))
        if not out.size:
            return out
        for part in chunks(len(rows), self.coordinates.shape[1]):
            apart = self._apart(rows[part], slice(seen, self.count))
            apart[:, 0] = np.minimum(apart[:, 0], self.square[rows[part]])
            out[part] = np.minimum.accumulate(apart, axis=1)
        self.square[rows] = out[:, -1]
        self.seen[rows] = self.count
        return out

    def groups(self, rows: IntArray) -> list[tuple[IntArray, int]]:
        """Places in ``rows`` that are behind, by how many centres they have seen."""
        seen = self.seen[rows]
        return [(np.flatnonzero(seen == k), int(k)) for k in np.unique(seen) if k < self.count]

    def see(self, rows: IntArray, start: int, stop: int) -> None:
        """Let ``rows``, which have seen ``start`` centres, see those up to ``stop``."""
        for first in range(start, stop, _CENTRES):
            some = slice(first, min(first + _CENTRES, stop))
            for part in chunks(len(rows), max(self.coordinates.shape[1], some.stop - some.start)):
                nearest = self._apart(rows[part], some).min(axis=1)
                self.square[rows[part]] = np.minimum(self.square[rows[part]], nearest)
        self.seen[rows] = stop

    def _apart(self, rows: IntArray, which: slice) -> Float64Array:
        """Squared distances of ``rows`` to some centres → (K, centres)."""
        new = self._room[which]
        inner = self.vectors(rows) @ new.T
        lengths = self.length[rows, None] + np.einsum("kd,kd->k", new, new)
        apart: Float64Array = lengths - 2.0 * (np.abs(inner) if self.either_sign else inner)
        # Differences of nearly equal lengths: what is left of rounding must not pass for a distance.
        apart[apart < _SAME * lengths] = 0.0
        return apart
