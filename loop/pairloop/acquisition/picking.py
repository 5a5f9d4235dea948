"""Picking one pair after another, best first, when a pair's priority can only fall as others are picked.

An old priority then bounds the new one, and only pairs whose bound reaches the best renewed one are looked at again
(lazy evaluation: Minoux 1978). The picks are those of a full pass before every pick.
"""

from collections.abc import Callable

import numpy as np

from pairloop.acquisition import request
from pairloop.acquisition.geometry import Float64Array
from pairloop.acquisition.keys import pair_keys
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import SelectionContext

TIED = 1e-9  # relative; priorities this close are equal and go by the pair's key
CLOSED = -1.0
_BLOCK = 1024

Renew = Callable[[IntArray], FloatArray]
"""Positions (K,) → their priorities now (K,), ≥ 0, not above what was returned before."""

Take = Callable[[int, float], None]
"""Told the position and priority of each pick."""


class Room:
    """Which of the context's candidates at ``rows`` may still be picked; positions are places in ``rows``."""

    def __init__(self, context: SelectionContext, rows: IntArray) -> None:
        self.pairs, self.seed, self.cap = context.candidates[rows], context.seed, context.per_prompt
        self.prompt = request.prompt_of(context)[rows]
        self.count: dict[int, int] = {}

    def by_key(self, tied: IntArray) -> int:
        """The one of the positions ``tied`` whose pair has the smallest key."""
        return int(tied[np.argmin(pair_keys(self.pairs[tied], self.seed))] if len(tied) > 1 else tied[0])

    def shut(self, winner: int) -> IntArray:
        """Count a pick; the positions that cannot be picked after it (itself, or all of a full prompt)."""
        prompt = int(self.prompt[winner])
        self.count[prompt] = self.count.get(prompt, 0) + 1
        if 0 < self.cap <= self.count[prompt]:
            return np.flatnonzero(self.prompt == prompt)
        return np.array([winner])


def pick_lazily(room: Room, bound: FloatArray, renew: Renew, take: Take, n: int) -> tuple[IntArray, Float64Array]:
    """Positions of up to ``n`` picks in order and the priority of each when it was picked.

    Args:
        room: what may be picked.
        bound: (N,) upper bounds of the priorities, ≥ 0; a priority of 0 is final.
        renew: gives priorities as they are now.
        take: is told of each pick.
        n: how many.
    """
    bounds: Float64Array = np.array(bound, dtype=np.float64)
    seen = np.full(len(bounds), -1, dtype=np.int32)
    picks: list[int] = []
    priorities: list[float] = []
    while len(picks) < min(n, len(bounds)):
        best = _renewed_best(bounds, seen, len(picks), renew)
        if best <= CLOSED:
            break
        winner = room.by_key(np.flatnonzero(bounds >= best * (1.0 - TIED)))
        picks.append(winner)
        priorities.append(float(bounds[winner]))
        bounds[room.shut(winner)] = CLOSED
        take(winner, priorities[-1])
    return np.array(picks, dtype=np.int64), np.array(priorities)


def _renewed_best(bound: Float64Array, seen: IntArray, now: int, renew: Renew) -> float:
    """The highest priority, after renewing, in place, every bound that reaches it."""
    rows, width = np.array([int(np.argmax(bound))]), _BLOCK
    best = CLOSED
    while True:
        rows = rows[(bound[rows] > 0.0) & (seen[rows] != now)]
        if len(rows):
            bound[rows] = renew(rows)
            seen[rows] = now
        best = float(np.max(bound, where=(seen == now) | (bound <= 0.0), initial=CLOSED))
        rows = np.flatnonzero((bound >= best * (1.0 - TIED)) & (seen != now) & (bound > 0.0))
        if not len(rows):
            return best
        if len(rows) > width:
            rows = rows[np.argpartition(-bound[rows], width)[:width]]
            width *= 2


def with_rest(context: SelectionContext, picks: IntArray, n: int) -> IntArray:
    """``picks`` and then, up to ``n``, the other candidates in the order of their keys, under the cap."""
    if len(picks) >= n:
        return picks[:n]
    others = np.setdiff1d(np.arange(len(context.candidates)), picks)
    others = others[np.argsort(pair_keys(context.candidates[others], context.seed), kind="stable")]
    both = np.r_[picks, others]
    return np.asarray(both[request.capped(request.prompt_of(context)[both], context.per_prompt)][:n])
