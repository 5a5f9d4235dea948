"""Core-set selection: the batch that leaves no pair far from a picked one (k-center greedy).

Sener & Savarese 2018; the greedy farthest-first traversal is Gonzalez 1985, at most twice the best radius. Their points
are last-layer features; a pair's are the difference of its responses', whose sign says only which side is left. So
``z`` and ``−z`` are one point here. The centres before the first pick are the pairs asked before, as published, and
those in flight; where there are none, the origin, so that the pair of widest margin goes first.
"""

from dataclasses import dataclass

import numpy as np

from pairloop.acquisition import request
from pairloop.acquisition.geometry import differences, squared_lengths
from pairloop.acquisition.keys import canonical
from pairloop.acquisition.nearest import Nearest
from pairloop.acquisition.picking import Room, pick_lazily, with_rest
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import Selection, SelectionContext


@dataclass(frozen=True, slots=True)
class CoresetStrategy:
    """Farthest first. A score is the distance to the nearest centre, over cost (the radius, where costs are equal)."""

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; see `pairloop.protocols.BatchStrategy`."""
        request.check(context, n)
        if not n or not len(context.candidates):
            return request.empty()
        with numeric_threads(), np.errstate(invalid="ignore", over="ignore"):
            return _farthest_first(context, n)


def _farthest_first(context: SelectionContext, n: int) -> Selection:
    coordinates, pairs = context.posterior.whitened, canonical(context.candidates)
    length = squared_lengths(coordinates, pairs)
    usable = np.flatnonzero(np.isfinite(length))
    nearest = Nearest(coordinates, pairs[usable], np.ones(len(usable)), length[usable], either_sign=True)
    known = differences(coordinates, canonical(np.concatenate([context.asked, context.pending])))
    nearest.add(known[np.isfinite(known).all(axis=1)])
    if nearest.count:
        nearest.forget_origin()
    cost = context.cost[usable]

    def renew(rows: IntArray) -> FloatArray:
        nearest.renew(rows)
        return np.asarray(np.sqrt(nearest.square[rows]) / cost[rows])

    def take(winner: int, _: float) -> None:
        nearest.add(nearest.vectors(np.array([winner])))

    picks, scores = pick_lazily(Room(context, usable), np.sqrt(nearest.square) * (1 + 1e-6) / cost, renew, take, n)
    both = with_rest(context, usable[picks], n)
    return request.selection(both, np.r_[scores, np.full(len(both) - len(picks), np.nan)])
