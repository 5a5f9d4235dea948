"""Prequential comparison (Dawid 1984): each vote of the random arm is predicted by a fit on earlier rounds only.

Fitting every candidate in every round would cost too much, so fits are made when votes have grown by a factor, and
predict the random votes of all rounds until the next fit. The votes of the random arm are a fair sample of the pool,
were bought anyway, and train the model later: the comparison costs no label.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from pairloop import metrics
from pairloop.errors import ModelError
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import RewardModel, TrainingData
from pairloop_reward.likelihood import TIE


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that a fit learns from, and rows that it predicts."""

    train: IntArray
    test: IntArray


def blocks(data: TrainingData, first: int, growth: float) -> list[Block]:
    """The fits of the comparison, from the rounds of the votes alone, so that later rounds only add to them.

    A fit comes before the first round that finds ``first`` votes, and then whenever they are ``growth`` times as many.
    """
    fair = data.control & ~data.prelabel_shown & (data.outcome != TIE) & (data.weight > 0)
    starts, wanted = [], float(first)
    for number in np.unique(data.round).tolist():
        known = int((data.round < number).sum())
        if known >= wanted:
            starts.append(number)
            wanted = known * growth
    out = []
    for start, end in zip_longest(starts, starts[1:]):
        inside = fair & (data.round >= start) & (True if end is None else data.round < end)
        if inside.any():
            out.append(Block(np.flatnonzero(data.round < start), np.flatnonzero(inside)))
    return out


def narrowed(data: TrainingData, block: Block) -> TrainingData:
    """The votes of the fit over the responses of the block only: later imports must not change an old comparison."""
    rows = np.concatenate([block.train, block.test])
    used = np.unique(np.concatenate([data.left[rows], data.right[rows]]))
    place = np.full(len(data.responses), -1, dtype=np.int64)
    place[used] = np.arange(len(used))
    votes = data.subset(block.train)
    return TrainingData(
        [data.responses[i] for i in used.tolist()], data.trainable[used], place[votes.left], place[votes.right],
        votes.outcome, votes.annotator, votes.annotators, votes.weight, votes.group, votes.control,
        votes.prelabel_shown, votes.round,
    )  # fmt: skip


def block_losses(make: Callable[[], RewardModel], data: TrainingData, block: Block, *, seed: int) -> FloatArray:
    """(n,) log-losses of the block's predicted votes, nats; log 2 each where the earlier votes hold no signal."""
    train = narrowed(data, block)
    model = make()
    try:
        model.fit(train, seed=seed)
    except ModelError:
        return np.full(len(block.test), np.log(2.0))
    ends = [data.responses[i] for side in (data.left, data.right) for i in side[block.test].tolist()]
    n = len(block.test)
    p = model.posterior(ends).probability(np.stack([np.arange(n), np.arange(n) + n], axis=1))
    return metrics.log_losses(p, data.outcome[block.test])


@dataclass(frozen=True, slots=True)
class Choice:
    """What the comparison says.

    Attributes:
        index: the candidate. losses: mean log-loss of each. behind: how much worse the chosen one is than the best, and
            the standard error of that.
    """

    index: int
    losses: tuple[float, ...]
    behind: float
    error: float


def choose_candidate(losses: Sequence[FloatArray], group: IntArray) -> Choice:
    """The cheapest candidate that is not worse than the best by more than one standard error (Breiman et al. 1984).

    Args:
        losses: (n,) of each candidate on the same votes, the cheapest first. group: (n,) clusters of the votes.
    """
    means = [float(each.mean()) for each in losses]
    best = int(np.argmin(means))
    for index, each in enumerate(losses[:best]):
        apart = each - losses[best]
        error = clustered_error(apart, group)
        if float(apart.mean()) <= error:
            return Choice(index, tuple(means), float(apart.mean()), error)
    return Choice(best, tuple(means), 0.0, 0.0)


def clustered_error(values: FloatArray, group: IntArray) -> float:
    """Standard error of the mean of (n,) values with clusters; 0 where all values are the same."""
    _, index = np.unique(group, return_inverse=True)
    sums = np.bincount(index, values - values.mean())
    count = len(sums)
    if count < 2:
        return float(np.std(values) / np.sqrt(len(values)))
    return float(np.sqrt(np.sum(sums**2) * count / (count - 1)) / len(values))
