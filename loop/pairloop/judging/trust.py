"""How much a judge's votes may weigh: as much as demonstrably helps to predict people, and no more.

A judge answers thousands of pairs. Random mistakes average out, and the reward model's flip rate of the judge accounts
for them; a taste of its own (for length, say) does not average out, and would in the end outvote people. So all of
the judge's votes are raised to one power c in [0, 1] (the power prior of Ibrahim & Chen 2000, Statistical Science
15:46), and c is chosen by cross-validation on people: the groups of prompts are dealt into folds, the reward model is
fitted without a fold's votes of anybody, once for each c, and judged by its log-loss on the *people's* votes in the
fold. Of the c whose loss is below that of people alone beyond its 95 % interval, clustered by group, the judge gets the
best; if there is none it weighs nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pairloop import metrics
from pairloop.errors import ModelError
from pairloop.kit.seeds import generator
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import RewardModel, TrainingData

POWERS = (1.0 / 16.0, 1.0 / 4.0, 1.0)
"""Fractions of the largest weight that are tried."""

FOLDS = 4
FEWEST_VOTES, FEWEST_GROUPS = 20, 4
"""Decisive votes of people, and groups among them, below which nothing can be said of a judge."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a judge's votes weigh, and why.

    Attributes:
        power: the weight of each of its votes, in [0, 1].
        reason: a sentence.
        gain: people's log-loss with the judge minus without it, in nats (below zero: it helps), as an estimate's JSON;
            None where nothing could be tested.
        tried: power → the same difference, for everything that was tried.
    """

    power: float
    reason: str
    gain: dict[str, Any] | None = None
    tried: tuple[tuple[float, dict[str, Any]], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the store."""
        tried = [{"power": power, "difference": found} for power, found in self.tried]
        return {"power": self.power, "reason": self.reason, "gain": self.gain, "tried": tried}


def joined(people: TrainingData, judge: TrainingData, power: float) -> TrainingData:
    """People's votes, then the judge's with ``power`` as a factor of their weight; both over the same responses."""
    if power == 0.0 or len(judge) == 0:
        return people
    names = tuple(sorted({*people.annotators, *judge.annotators}))
    number = {name: i for i, name in enumerate(names)}

    def renamed(data: TrainingData) -> IntArray:
        own = np.array([number[name] for name in data.annotators], dtype=np.int32)
        return own[data.annotator] if len(data) else data.annotator

    def both(name: str) -> Any:
        return np.concatenate([getattr(people, name), getattr(judge, name)])

    return replace(
        people, annotators=names, annotator=np.concatenate([renamed(people), renamed(judge)]),
        weight=np.concatenate([people.weight, judge.weight * power]),
        **{name: both(name) for name in ("left", "right", "outcome", "group", "control", "prelabel_shown", "round")},
    )  # fmt: skip


def trusted(
    new_model: Callable[[], RewardModel], people: TrainingData, judge: TrainingData, *, max_weight: float, seed: int
) -> Trust:
    """How much the judge may weigh beside these people.

    Args:
        new_model: makes an unfitted reward model.
        people, judge: votes that train, over the same responses; the judge's weights as they would be without limit.
        max_weight: the judge's votes may weigh at most this many times what the people's weigh, in sum.
        seed: deals the groups into folds.
    """
    total = float(judge.weight.sum())
    if total == 0.0:
        return Trust(0.0, "the judge has no votes")
    decisive = people.outcome != 2
    groups = np.unique(people.group[decisive])
    if decisive.sum() < FEWEST_VOTES or len(groups) < FEWEST_GROUPS:
        return Trust(
            0.0, f"people have cast fewer than {FEWEST_VOTES} decisive votes in {FEWEST_GROUPS} groups to hold it to"
        )
    largest = min(1.0, max_weight * float(people.weight.sum()) / total)
    if largest == 0.0:
        return Trust(0.0, "max_weight = 0")
    fold = _folds(np.concatenate([people.group, judge.group]), groups, seed)
    alone = _losses(new_model, people, judge, fold, 0.0, seed)
    tried = []
    for share in POWERS:
        loss = _losses(new_model, people, judge, fold, share * largest, seed)
        tried.append((share * largest, metrics.paired_difference(loss, alone, people.group)))
    facts = tuple((each, _json(found)) for each, found in tried)
    helpful = [(each, found) for each, found in tried if _upper(found) < 0.0]
    if not helpful:
        least = min((found for _, found in tried), key=_upper)
        return Trust(0.0, "it does not demonstrably help to predict people's votes", _json(least), facts)
    power, best = min(helpful, key=lambda found: found[1].value)
    limit = f", limited by max_weight = {max_weight:g}" if power == largest < 1.0 else ""
    return Trust(power, f"it helps to predict people's votes{limit}", _json(best), facts)


def _folds(group: IntArray, measured: IntArray, seed: int) -> dict[int, int]:
    """Fold of every group; those that people voted on are dealt evenly."""
    rng = generator(seed, "judge folds")
    dealt = rng.permutation(measured)
    fold = {int(each): i % FOLDS for i, each in enumerate(dealt)}
    rest = [int(each) for each in np.unique(group) if int(each) not in fold]
    return fold | dict.fromkeys(rest, -1)


def _losses(
    new_model: Callable[[], RewardModel],
    people: TrainingData,
    judge: TrainingData,
    fold: dict[int, int],
    power: float,
    seed: int,
) -> FloatArray:
    """(N,) log-loss of each of the people's votes by a model that saw no vote of its fold; NaN for ties."""
    of_people, of_judge = (np.array([fold[int(g)] for g in data.group], dtype=int) for data in (people, judge))
    out = np.full(len(people), np.nan)
    for number in range(FOLDS):
        held = of_people == number
        data = joined(people.subset(~held), judge.subset(of_judge != number), power)
        model = new_model()
        try:
            model.fit(data, seed=seed)
            p = model.posterior(people.responses).probability(people.pairs[held])
        except ModelError:
            p = np.full(int(held.sum()), 0.5)
        out[held] = metrics.log_losses(p, people.outcome[held])
    return out


def _upper(found: metrics.Estimate) -> float:
    return found.value if found.high is None else found.high


def _json(found: metrics.Estimate) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n, "clusters": found.clusters}
