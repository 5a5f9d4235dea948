"""BADGE: a batch of gradients that are large and point different ways (k-means++ seeding).

Ash et al. 2020. The gradient embedding of a vote is the gradient of its loss with respect to the last layer, for the
label that the model thinks likelier. For a pair that is ``(p − ŷ)(x_i − x_j)``: with its sign it does not change when
the sides are swapped (it points to the likelier loser), without it it would. The last layer's features are the
posterior's whitened coordinates.

k-means++ (Arthur & Vassilvitskii 2007) draws each pick with chance proportional to the squared distance to the nearest
earlier pick. Every pair gets an exponential clock that runs at that rate, and the next pair to ring is picked: the
chances are the same (the exponential race, memoryless), one random number a pair suffices, taken from its key, so
neither the order of candidates nor their sides matter, and since rates only fall, a ring predicted from an old rate is
too early, never too late: only pairs whose predicted ring comes up are looked at again.
"""

from dataclasses import dataclass, field

import numpy as np

from pairloop.acquisition import request
from pairloop.acquisition.geometry import squared_lengths
from pairloop.acquisition.keys import canonical, uniforms
from pairloop.acquisition.nearest import Nearest
from pairloop.acquisition.picking import CLOSED, TIED, Room, pick_lazily, with_rest
from pairloop.kit.options import Options
from pairloop.kit.seeds import derive_seed
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import Selection, SelectionContext


class BadgeOptions(Options):
    """Options of BADGE."""

    origin: bool = True
    """Count the zero gradient, a vote that teaches nothing, as picked; otherwise the largest gradient goes first."""

    asked: bool = False
    """Count the gradients of pairs asked in earlier rounds as picked too; the paper starts afresh every round."""


@dataclass(frozen=True, slots=True)
class BadgeStrategy:
    """k-means++ on gradient embeddings, rates divided by cost. A score is the rate when the pair was picked."""

    options: BadgeOptions = field(default_factory=BadgeOptions)

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; see `pairloop.protocols.BatchStrategy`."""
        request.check(context, n)
        if not n or not len(context.candidates):
            return request.empty()
        with numeric_threads(), np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            return self._seeds(context, n)

    def _seeds(self, context: SelectionContext, n: int) -> Selection:
        pairs = canonical(context.candidates)
        factor, length = gradients(context, pairs)
        usable = np.flatnonzero(np.isfinite(length))
        coordinates = context.posterior.whitened
        nearest = Nearest(coordinates, pairs[usable], factor[usable], length[usable], either_sign=False)
        past = np.concatenate([context.pending, context.asked]) if self.options.asked else context.pending
        past = canonical(past)
        scale, size = gradients(context, past)
        known = np.flatnonzero(np.isfinite(size))
        nearest.add(Nearest(coordinates, past, scale, size, either_sign=False).vectors(known))
        room = Room(context, usable)
        first = np.empty(0, dtype=np.int64) if self.options.origin else _without_origin(nearest, room)
        race = Race(nearest, context, usable)
        bound = race.bound()
        for winner in first:
            bound[room.shut(int(winner))] = CLOSED
        picks, _ = pick_lazily(room, bound, race.renew, race.take, n - len(first))
        both = with_rest(context, usable[np.r_[first, picks]], n)
        scores = np.r_[nearest.length[first] / context.cost[usable[first]], race.rates]
        return request.selection(both, np.r_[scores, np.full(len(both) - len(scores), np.nan)])


def _without_origin(nearest: Nearest, room: Room) -> IntArray:
    """Measure from the centres only; where there are none, from the longest gradient, which is returned."""
    first = np.empty(0, dtype=np.int64)
    if not len(nearest.length):
        return first
    if not nearest.count:
        longest = np.flatnonzero(nearest.length >= nearest.length.max() * (1.0 - TIED))
        first = np.array([room.by_key(longest)])
        nearest.add(nearest.vectors(first))
    nearest.forget_origin()
    return first


def gradients(context: SelectionContext, pairs: IntArray) -> tuple[FloatArray, FloatArray]:
    """Factors p − ŷ and squared lengths of the embeddings of (N, 2) pairs, smaller row first → (N,), (N,)."""
    p = context.posterior.probability(pairs)
    factor = np.where(p >= 0.5, p - 1.0, p)
    return factor, factor**2 * squared_lengths(context.posterior.whitened, pairs)


class Race:
    """The clocks. Priorities are 1 / time of the predicted ring, 0 for a clock that stands still.

    Attributes:
        ring: (N,) predicted times, each as of the centres that ``nearest`` has shown the pair.
        start: how many centres there were before the race; ``times``: when each centre was picked, 0 for those.
        rates: of the picks, when they were picked.
    """

    def __init__(self, nearest: Nearest, context: SelectionContext, rows: IntArray) -> None:
        self.nearest, self.cost = nearest, context.cost[rows]
        energy = -np.log(uniforms(context.candidates[rows], derive_seed(context.seed, "clock")))
        self.start = nearest.count
        self.times = [0.0] * nearest.count
        self.ring = np.asarray(energy * self.cost / nearest.square, np.float64)
        self.rates: list[float] = []

    def bound(self) -> FloatArray:
        """Highest possible priorities before any pick."""
        return np.asarray(1.0 / self.ring)

    def renew(self, rows: IntArray) -> FloatArray:
        """Predict the rings of ``rows`` from their present rates."""
        for places, seen in self.nearest.groups(rows):
            self._slow_down(rows[places], seen)
        return np.asarray(1.0 / self.ring[rows])

    def _slow_down(self, rows: IntArray, seen: int) -> None:
        if seen < self.start:
            before = self.nearest.square[rows]
            self.nearest.see(rows, seen, self.start)
            self.ring[rows] = _stretched(self.ring[rows], 0.0, before, self.nearest.square[rows])
        first = max(seen, self.start)
        rate: FloatArray = self.nearest.square[rows]
        ring: FloatArray = self.ring[rows]
        for time, new in zip(self.times[first:], self.nearest.steps(rows, first).T, strict=True):
            ring, rate = _stretched(ring, time, rate, new), new
        self.ring[rows] = ring

    def take(self, winner: int, _: float) -> None:
        """Make a pick a centre at the time of its ring."""
        self.rates.append(float(self.nearest.square[winner] / self.cost[winner]))
        self.times.append(float(self.ring[winner]) if np.isfinite(self.ring[winner]) else self._now())
        self.nearest.add(self.nearest.vectors(np.array([winner])))

    def _now(self) -> float:
        return self.times[-1] if self.times else 0.0


def _stretched(ring: FloatArray, time: float, rate: FloatArray, new: FloatArray) -> FloatArray:
    """When a clock rings that slows down at ``time``: what was left to run takes rate/new times as long."""
    return np.asarray(np.where(new > 0.0, time + np.maximum(ring - time, 0.0) * (rate / new), np.inf))
