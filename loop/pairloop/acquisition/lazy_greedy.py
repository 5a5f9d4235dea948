"""Greedy maximisation of log det(I + Σ I_k z_k z_kᵀ) by lazy evaluation, under a cap for each prompt.

Adding pair k to the batch raises the log-determinant by ``log(1 + I_k q_k)``, where ``q_k = z_kᵀ S z_k`` is the
margin's variance given what was picked before; S starts at the identity (whitened coordinates) and each pick takes
``v vᵀ`` from it, ``v = √(I/(1 + I q)) · S z``. So ``q_k`` falls by ``(v·z_k)²`` a pick and never rises: an old gain is
an upper bound on the new one, and only pairs whose old gain reaches the best new one need a second look (Minoux 1978;
Leskovec et al. 2007 call it CELF). Monotone submodular, so greedy is within 1 − 1/e of the best batch (Nemhauser,
Wolsey & Fisher 1978), within ½ under the cap. For preferences: Das et al. 2024 (APO), Shen, Sun & Ton 2025.

What is the same as a full pass for every pick: every pick, in order. Gains are evaluated in float64 from the stored
coordinates; pairs whose gains differ by less than 1e-9 of the best count as tied and go by their key, so float64
rounding (about 1e-13) could matter only for a gain within that of the edge of the tie. The first bounds come from
one pass in the precision of the storage and are widened by a rigorous bound on its rounding.
"""

from dataclasses import dataclass

import numpy as np

from pairloop.acquisition.geometry import Float64Array, differences
from pairloop.acquisition.keys import pair_keys
from pairloop.posterior import FloatArray, IntArray

TIED = 1e-9
_CLOSED = -np.inf
_FIRST_FRONT = 4096
_FIRST_BLOCK = 128
_LARGEST_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Design:
    """What the greedy search works on; all arrays are aligned with ``pairs``.

    Attributes:
        coordinates: (R, D) whitened coordinates.
        pairs: (N, 2) rows, smaller row first.
        information: (N,) of one vote about the margin.
        bound: (N,) upper bounds of ``log(1 + I q)/cost``, finite.
        cost: (N,) > 0; ``prompt``: (N,) ≥ 0; ``cap``: picks of one prompt, < 1 for no limit; ``seed``: of the ties.
        used: (K, D) directions that pending pairs have used up.
    """

    coordinates: FloatArray
    pairs: IntArray
    information: FloatArray
    bound: FloatArray
    cost: FloatArray
    prompt: IntArray
    cap: int
    seed: int
    used: Float64Array


def lazy_greedy(design: Design, n: int) -> tuple[IntArray, FloatArray]:
    """Up to ``n`` positions in ``design.pairs`` in order of choice, and the gain of each when it was chosen."""
    return _Search(design, n).run(n)


class _Search:
    """The state of one search. Everything is kept in order of falling first bound; the front is a prefix of it."""

    def __init__(self, design: Design, n: int) -> None:
        self.coordinates, self.cap, self.seed = design.coordinates, design.cap, design.seed
        self.order = np.argsort(-design.bound, kind="stable")
        self.first = design.bound[self.order]
        self.pairs, self.prompt = design.pairs[self.order], design.prompt[self.order]
        self.information, self.cost = design.information[self.order], design.cost[self.order]
        self.gain = self.first.copy()
        self.variance = np.zeros(len(self.order))
        self.seen = np.full(len(self.order), -1)  # directions that the gain takes into account; −1: only a bound
        self.directions = np.empty((len(design.used) + n, design.coordinates.shape[1]))
        self.directions[: len(design.used)] = design.used
        self.known = len(design.used)
        self.front = 0
        self.picked: dict[int, int] = {}
        self.evaluated = 0

    def run(self, n: int) -> tuple[IntArray, FloatArray]:
        picks: list[int] = []
        gains: list[float] = []
        while len(picks) < n and (winner := self._winner()) is not None:
            picks.append(int(self.order[winner]))
            gains.append(float(self.gain[winner]))
            self._take(winner)
        return np.array(picks, dtype=np.int64), np.array(gains)

    def _winner(self) -> int | None:
        """The best open pair; every pair that could tie with it has an up-to-date gain. None: nothing is open."""
        block = _FIRST_BLOCK
        while True:
            gain, fresh = self.gain[: self.front], self.seen[: self.front] == self.known
            best = float(np.max(gain, where=fresh, initial=_CLOSED))
            floor = best * (1.0 - TIED)
            stale = np.flatnonzero((gain >= floor) & ~fresh & (gain > _CLOSED))
            if len(stale):
                self._refresh(stale if len(stale) <= block else _top(gain, stale, block))
                block = min(2 * block, _LARGEST_BLOCK)
            elif not self._extend(floor):
                return self._by_key(np.flatnonzero(fresh & (gain >= floor) & (gain > _CLOSED)))

    def _extend(self, floor: float) -> bool:
        """Let the front reach every pair whose first bound is at least ``floor``, step by step; False: it does."""
        needed = int(np.searchsorted(-self.first, -floor, side="right"))
        if needed <= self.front:
            return False
        start, self.front = self.front, min(needed, max(_FIRST_FRONT, 2 * self.front))
        full = np.array([p for p, count in self.picked.items() if 0 < self.cap <= count], dtype=self.prompt.dtype)
        self.gain[start : self.front][np.isin(self.prompt[start : self.front], full)] = _CLOSED
        return True

    def _refresh(self, rows: IntArray) -> None:
        new = self.seen[rows] < 0
        for group in (rows[new], rows[~new]):
            if len(group):
                self._update(group)
        self.gain[rows] = np.log1p(self.information[rows] * self.variance[rows]) / self.cost[rows]
        self.seen[rows] = self.known
        self.evaluated += len(rows)

    def _update(self, rows: IntArray) -> None:
        """Bring the variances of ``rows`` (all new, or all seen before) up to date."""
        z = differences(self.coordinates, self.pairs[rows])
        seen = self.seen[rows]
        if seen[0] < 0:
            self.variance[rows] = np.einsum("nd,nd->n", z, z)
        start = max(int(seen.min()), 0)
        projected = z @ self.directions[start : self.known].T
        np.square(projected, out=projected)
        if seen.max() > start:
            projected[np.arange(start, self.known) < seen[:, None]] = 0.0
        self.variance[rows] = np.maximum(self.variance[rows] - projected.sum(axis=1), 0.0)

    def _by_key(self, tied: IntArray) -> int | None:
        if not len(tied):
            return None
        return int(tied[np.argmin(pair_keys(self.pairs[tied], self.seed))])

    def _take(self, winner: int) -> None:
        z = differences(self.coordinates, self.pairs[winner : winner + 1])[0]
        past = self.directions[: self.known]
        reduced = z - past.T @ (past @ z)
        information = self.information[winner]
        self.directions[self.known] = np.sqrt(information / (1.0 + information * self.variance[winner])) * reduced
        self.known += 1
        self.gain[winner] = _CLOSED
        prompt = int(self.prompt[winner])
        self.picked[prompt] = self.picked.get(prompt, 0) + 1
        if self.picked[prompt] == self.cap:
            self.gain[: self.front][self.prompt[: self.front] == prompt] = _CLOSED


def _top(gain: FloatArray, rows: IntArray, count: int) -> IntArray:
    """The ``count`` rows of highest gain."""
    return rows[np.argpartition(gain[rows], len(rows) - count)[len(rows) - count :]]
