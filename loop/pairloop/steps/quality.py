"""What checks annotators within a batch: gold items mixed in, and pairs that two people are asked about.

Everything here follows from the campaign's seed and the store, so that a round that was killed is planned again as it
was.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pairloop.gold import read_gold, store_gold
from pairloop.kit.seeds import generator, unit_interval
from pairloop.steps.base import StepContext
from pairloop.store.quality import GoldRow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shape:
    """How ``n`` questions divide.

    Attributes:
        gold: questions on gold items. pairs: pairs to choose. twice: how many of those a second person is asked about.
    """

    gold: int
    pairs: int
    twice: int


def sync_gold(ctx: StepContext) -> None:
    """Bring the store's gold items in step with the file of the configuration.

    Raises:
        DataError: the file cannot be read or a line is wrong; nothing is stored then.
    """
    path = ctx.parts.gold_path()
    if path is not None and ctx.config.quality.gold_share > 0:
        store_gold(ctx.store, read_gold(path))


def shape(ctx: StepContext, number: int, n: int, gold_available: int) -> Shape:
    """Divide the ``n`` questions of a round into gold, pairs and second opinions; shares are kept over the rounds."""
    quality, replicas = ctx.config.quality, ctx.config.round.replicas
    gold = min(_due(ctx, number, "gold", n * quality.gold_share), gold_available)
    rest = n - gold
    if replicas > 1:
        return Shape(gold, max(rest // replicas, 1), 0)
    twice = _due(ctx, number, "overlap", rest * quality.overlap_share / (1.0 + quality.overlap_share))
    return Shape(gold, max(rest - twice, 1), twice)


def _due(ctx: StepContext, number: int, what: str, due: float) -> int:
    """``due`` rounded up or down at random, so that over many rounds as many come as are due."""
    whole = math.floor(due)
    return whole + int(unit_interval(ctx.config.campaign.seed, number, "share", what) < due - whole)


def drawn_twice(ctx: StepContext, number: int, pairs: int, twice: int) -> frozenset[int]:
    """Which of the round's picks a second person is asked about: uniformly, whatever arm or strategy picked them."""
    rng = generator(ctx.config.campaign.seed, number, "overlap")
    return frozenset(rng.choice(pairs, min(twice, pairs), replace=False).tolist())


class GoldChooser:
    """Chooses the gold items of one round: those first that were asked least, and none that everybody knows."""

    def __init__(self, ctx: StepContext, number: int) -> None:
        self._ctx = ctx
        self._number = number
        capabilities = ctx.parts.backend.capabilities
        active = [row for row in ctx.store.quality.gold() if row.active] if ctx.config.quality.gold_share > 0 else []
        if capabilities.only_recorded and active:
            recorded = ctx.store.pool.recorded_counts()
            active = [row for row in active if recorded.get(row.pair_id)]
        asked = ctx.store.rounds.asked() if active else {}
        self._asked = Counter({pair: len(found) for pair, found in asked.items()})
        self._room = _room(ctx, active, assigns=capabilities.assigns_annotators)
        self._active = [row for row in active if self._room[row.pair_id] > 0]

    @property
    def available(self) -> int:
        """Questions that there are gold items for."""
        return sum(self._room[row.pair_id] for row in self._active)

    def choose(self, n: int) -> list[tuple[str, int]]:
        """(pair, questions about it), ``n`` questions in all."""
        seed = self._ctx.config.campaign.seed
        by_need = sorted(
            self._active,
            key=lambda row: (
                self._asked[row.pair_id],
                unit_interval(seed, self._number, "gold", row.pair_id),
                row.pair_id,
            ),
        )
        wanted: Counter[str] = Counter()
        while wanted.total() < min(n, self.available):
            for row in by_need:
                if wanted[row.pair_id] < self._room[row.pair_id] and wanted.total() < n:
                    wanted[row.pair_id] += 1
        return [(row.pair_id, wanted[row.pair_id]) for row in by_need if wanted[row.pair_id]]


def _room(ctx: StepContext, active: Sequence[GoldRow], *, assigns: bool) -> dict[str, int]:
    """How many more people each item can be shown to; one where the backend cannot give it to another person."""
    votes = ctx.store.annotations.votes() if active else []
    people = {vote.annotator for vote in votes}
    judges: dict[str, set[str]] = {}
    for vote in votes:
        judges.setdefault(vote.pair_id, set()).add(vote.annotator)
    room = {}
    for row in active:
        left = len(people) - len(judges.get(row.pair_id, ())) if people else 1
        room[row.pair_id] = left if assigns else min(left, 1)
    return room


def spread(ctx: StepContext, number: int, questions: Sequence[T], gold: Sequence[T]) -> list[T]:
    """The gold items strewn among the questions: one at a random place of each of as many equal stretches.

    Whoever works through a part of the batch meets about the share of gold that the batch has.
    """
    rng = generator(ctx.config.campaign.seed, number, "gold places")
    total = len(questions) + len(gold)
    order = [gold[i] for i in rng.permutation(len(gold))]
    edges = [total * i // max(len(gold), 1) for i in range(len(gold) + 1)]
    places = {int(rng.integers(start, end)): item for start, end, item in zip(edges, edges[1:], order, strict=False)}
    rest = iter(questions)
    return [places[i] if i in places else next(rest) for i in range(total)]
