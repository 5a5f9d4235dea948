"""Greedy maximisation of log det(I + Σ I_k z_k z_kᵀ) by lazy evaluation, under a cap for each prompt.

Adding pair k to the batch raises the log-determinant by ``log(1 + I_k q_k)``, where ``q_k = z_kᵀ S z_k`` is the
margin's variance given what was picked before; S starts at the identity (whitened coordinates) and each pick takes
``v vᵀ`` from it, ``v = √(I/(1 + I q)) · S z``. So ``q_k`` falls by ``(v·z_k)²`` a pick and never rises: an old gain is
an upper bound on the new one, and only pairs whose old gain reaches the best new one need a second look (Minoux 1978;
Leskovec et al. 2007 call it CELF). The objective is monotone and submodular, so greedy is within 1 − 1/e of the best
batch (Nemhauser, Wolsey & Fisher 1978), and within ½ under the cap. For preferences: Das et al. 2024 (APO), Shen, Sun
& Ton 2025.

A heap of single pairs would spend its time in the interpreter, so the search goes by short lists: the few thousand
pairs of highest bound, copied side by side and kept exact, serve picks until their best falls below the bound of the
rest; then bounds are renewed from the top down and the next list is drawn. Most bounds are lowered in the precision of
the storage first (`screening`), which few pairs survive; only survivors are evaluated in float64.

What is the same as a full pass for every pick: every pick, in order. Gains of the short list are evaluated in float64
from differences of the stored coordinates, taken in their own precision; pairs whose gains differ by less than 1e-9 of
the best count as tied and go by their key, so float64 rounding (about 1e-13) could matter only for a gain within that
of the edge of a tie. The first bounds come from one pass in the precision of the storage, widened by a bound on its
rounding; so are the screened bounds; renewed ones are float64.
"""

from dataclasses import dataclass

import numpy as np

from pairloop.acquisition.geometry import Float64Array, chunks, differences
from pairloop.acquisition.keys import pair_keys
from pairloop.acquisition.screening import Screen
from pairloop.posterior import FloatArray, IntArray

TIED = 1e-9
_CLOSED = -np.inf
_LIST = 2048  # pairs of a short list: its coordinates should stay in the cache
_LONGEST = 16 * _LIST  # beyond this many near-ties, pick one by one instead of copying them
_SAMPLE = 1 << 15
_BULK = 0.25  # share of the pool from which on all of it is screened
_FEW = 512  # pairs that are sooner renewed than screened


@dataclass(frozen=True, slots=True)
class Design:
    """What the greedy search works on; all arrays are aligned with ``pairs``.

    Attributes:
        coordinates: (R, D) whitened coordinates.
        pairs: (N, 2) rows, smaller row first.
        information: (N,) of one vote about the margin.
        variance: (N,) upper bounds of the margins' variances ``‖z‖²`` before any pick.
        cost: (N,) > 0; ``prompt``: (N,) ≥ 0; ``cap``: picks of one prompt, < 1 for no limit; ``seed``: of the ties.
        used: (K, D) directions that pending pairs have used up.
    """

    coordinates: FloatArray
    pairs: IntArray
    information: FloatArray
    variance: FloatArray
    cost: FloatArray
    prompt: IntArray
    cap: int
    seed: int
    used: Float64Array


def lazy_greedy(design: Design, n: int) -> tuple[IntArray, FloatArray]:
    """Up to ``n`` positions in ``design.pairs`` in order of choice, and the gain of each when it was chosen."""
    search = Search(design, n)
    search.run()
    return np.array(search.picks, dtype=np.int64), np.array(search.gains)


class Search:
    """The state of one search.

    Attributes:
        gain: (N,) gains, or upper bounds where ``seen`` is behind; −inf once a pair cannot be picked any more.
        variance: (N,) q when the gain was computed, or its first bound.
        seen: (N,) directions that the gain takes into account; −1: it is a first bound.
        directions: (known, D) the vectors v of pending pairs and picks.
        bound: (N,) screened upper bounds of the variances; ``screened``: (N,) directions that they take into account.
        renewals, screenings: how many gains were computed and bounds lowered, for benchmarks.
    """

    def __init__(self, design: Design, n: int) -> None:
        size = len(design.pairs)
        self.design, self.n = design, min(n, size)
        self.variance = np.array(design.variance, dtype=np.float64)
        self.gain = np.log1p(design.information * self.variance) / design.cost
        self.seen = np.full(size, -1, dtype=np.int32)
        self.bound = self.variance.copy()
        self.screened = np.zeros(size, dtype=np.int32)
        self.known = len(design.used)
        self.directions = np.empty((self.known + self.n, design.coordinates.shape[1]))
        self.directions[: self.known] = design.used
        self.picks: list[int] = []
        self.gains: list[float] = []
        self.per_prompt: dict[int, int] = {}
        # Levels are read off a fixed sample of the pairs; the step is odd so that it visits all places in a prompt.
        self.sample = slice(None, None, max(1, size // _SAMPLE) | 1)
        self.screen = Screen(design.coordinates, design.pairs, self.sample)
        self.levels = [_CLOSED, _CLOSED]
        self.renewals = self.screenings = 0
        self.by_prompt = np.argsort(design.prompt, kind="stable")
        self.prompts = design.prompt[self.by_prompt]

    def run(self) -> None:
        """Pick until there are ``n``, or nothing is open."""
        while len(self.picks) < self.n:
            rows, level = self._short_list()
            if not len(rows):
                return
            if len(rows) > _LONGEST or not self._pick_from(rows, level):
                self._pick_one()

    def _short_list(self) -> tuple[IntArray, float]:
        """Open pairs whose up-to-date gain is at least a level that bounds all others."""
        wide, width = _LIST, _LIST
        self._screen_ahead()
        while True:
            level = self._level(_LIST)
            rows = np.flatnonzero(self.gain >= level)
            if not np.any(self.seen[rows] != self.known):
                self.levels = [self.levels[1], level]
                return rows, level
            behind = self._stale(wide)
            behind = behind[self.screened[behind] != self.known]
            if len(behind) > _FEW:
                self._screen(behind)
                wide *= 4
            else:
                self._renew(self._stale(width))
                width += width // 2

    def _stale(self, width: int) -> IntArray:
        """Those of the ``width`` pairs of highest bound whose gains are not up to date."""
        return np.flatnonzero((self.gain >= self._level(width)) & (self.seen != self.known))

    def _screen_ahead(self) -> None:
        """Screen at once what the next list, if the level falls as it fell before it, will ask for bit by bit."""
        before, last = self.levels
        if last > 0.0:
            expected = last * (max(last / before, 0.8) if before > 0.0 else 0.5)
            rows = np.flatnonzero((self.gain >= expected) & (self.seen != self.known))
            if len(rows) > _FEW:
                self._screen(rows)

    def _screen(self, rows: IntArray) -> None:
        """Lower the bounds of ``rows``: by the directions since the last time, or by all where that is less work."""
        if len(rows) > _BULK * len(self.gain):  # the whole pool as it lies costs about as much
            rows = np.flatnonzero(self.gain > _CLOSED)
        basis = self.screen.basis(self.directions[: self.known])
        since = self.known - self.screened[rows]
        since[since > len(basis)] = self.known
        for count in np.unique(since):
            some = rows[since == count]
            anew = count == self.known
            factor = basis if anew else self.screen.rounded(self.directions[self.known - count : self.known])
            before = self.design.variance[some] if anew else self.bound[some]
            # Not a number: coordinates too large to multiply; the old bound stays.
            self.bound[some] = np.fmin(self.bound[some], before - self.screen.reduction(some, factor))
        bound = np.log1p(self.design.information[rows] * np.maximum(self.bound[rows], 0.0)) / self.design.cost[rows]
        self.gain[rows] = np.minimum(self.gain[rows], bound)
        self.screened[rows] = self.known
        self.screenings += len(rows)

    def _level(self, count: int) -> float:
        """A gain that about ``count`` open pairs reach."""
        sample = self.gain[self.sample]
        step = self.sample.step
        place = len(sample) - max(1, count // step)
        level = float(np.partition(sample, place)[place]) if place > 0 else _CLOSED
        if level == _CLOSED:  # fewer are open: take them all
            level = float(np.min(self.gain, where=self.gain > _CLOSED, initial=np.inf))
        return level

    def _renew(self, rows: IntArray) -> None:
        """Bring the gains of ``rows`` up to date."""
        seen = self.seen[rows]
        for value in np.unique(seen):
            self._renew_group(rows[seen == value], int(value))
        self.renewals += len(rows)

    def _renew_group(self, rows: IntArray, seen: int) -> None:
        """Renew rows that have seen the same directions: take off the later ones, or start anew if that is less."""
        width = self.design.coordinates.shape[1]
        root = self._root() if self.known - max(seen, 0) > width else None
        factor = self.directions[max(seen, 0) : self.known] if root is None else root
        for part in chunks(len(rows), width):
            block = rows[part]
            z = differences(self.design.coordinates, self.design.pairs[block])
            projected = z @ factor.T
            length = np.einsum("nk,nk->n", projected, projected)
            if root is None:
                before = np.einsum("nd,nd->n", z, z) if seen < 0 else self.variance[block]
                length = np.maximum(before - length, 0.0)
            self._store(block, length)

    def _root(self) -> Float64Array | None:
        """C (D, D) with S = CᵀC; None where some direction is so well known that S is singular to rounding."""
        past = self.directions[: self.known]
        try:
            return np.asarray(np.linalg.cholesky(np.eye(past.shape[1]) - past.T @ past).T, np.float64)
        except np.linalg.LinAlgError:
            return None

    def _store(self, rows: IntArray, variance: Float64Array) -> None:
        self.variance[rows] = variance
        self.gain[rows] = np.log1p(self.design.information[rows] * variance) / self.design.cost[rows]
        self.seen[rows] = self.known

    def _pick_from(self, rows: IntArray, level: float) -> bool:
        """Pick among ``rows``, all up to date, while the best is surely better than the rest; False: none was."""
        design, before = self.design, len(self.picks)
        z = differences(design.coordinates, design.pairs[rows])
        variance, gain = self.variance[rows], self.gain[rows]
        information, cost, prompt = design.information[rows], design.cost[rows], design.prompt[rows]
        while len(self.picks) < self.n:
            best = float(gain.max())
            if best == _CLOSED or best * (1.0 - TIED) < level:
                break
            winner = self._by_key(rows, np.flatnonzero(gain >= best * (1.0 - TIED)))
            direction = self._take(int(rows[winner]), z[winner], float(variance[winner]), float(gain[winner]))
            np.maximum(variance - np.square(z @ direction), 0.0, out=variance)
            gain = np.where(gain > _CLOSED, np.log1p(information * variance) / cost, _CLOSED)
            gain[winner] = _CLOSED
            if self._is_full(int(prompt[winner])):
                gain[prompt == prompt[winner]] = _CLOSED
        is_open = gain > _CLOSED
        self._store(rows[is_open], variance[is_open])
        return len(self.picks) > before

    def _pick_one(self) -> None:
        """One pick when more pairs tie than a short list holds: everything that could tie is renewed in place."""
        while True:
            current = self.seen == self.known
            best = float(np.max(self.gain, where=current, initial=_CLOSED))
            candidates = np.flatnonzero((self.gain >= best * (1.0 - TIED)) & (self.gain > _CLOSED))
            stale = candidates[~current[candidates]]
            if not len(stale):
                break
            self._renew(stale)
        winner = int(candidates[self._by_key(candidates, np.arange(len(candidates)))])
        z = differences(self.design.coordinates, self.design.pairs[[winner]])[0]
        self._take(winner, z, float(self.variance[winner]), float(self.gain[winner]))

    def _by_key(self, rows: IntArray, tied: IntArray) -> int:
        """The one of the places ``tied`` in ``rows`` whose pair has the smallest key."""
        if len(tied) == 1:
            return int(tied[0])
        return int(tied[np.argmin(pair_keys(self.design.pairs[rows[tied]], self.design.seed))])

    def _take(self, winner: int, z: Float64Array, variance: float, gain: float) -> Float64Array:
        """Record a pick and return its direction v."""
        past = self.directions[: self.known]
        information = float(self.design.information[winner])
        direction = np.sqrt(information / (1.0 + information * variance)) * (z - past.T @ (past @ z))
        self.directions[self.known] = direction
        self.known += 1
        self.picks.append(winner)
        self.gains.append(gain)
        self._close(winner)
        return np.asarray(direction)

    def _close(self, winner: int) -> None:
        self.gain[winner] = _CLOSED
        prompt = int(self.design.prompt[winner])
        self.per_prompt[prompt] = self.per_prompt.get(prompt, 0) + 1
        if self._is_full(prompt):
            first, last = np.searchsorted(self.prompts, [prompt, prompt + 1])
            self.gain[self.by_prompt[first:last]] = _CLOSED

    def _is_full(self, prompt: int) -> bool:
        return 0 < self.design.cap <= self.per_prompt.get(prompt, 0)
