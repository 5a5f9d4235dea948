"""From stored votes to what reward models learn from, and to what measures them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pairloop.pool import Pool, read_only
from pairloop.posterior import IntArray
from pairloop.protocols import TrainingData
from pairloop.records import Arm, Choice, Vote

_ONLY_MEASURE = (Arm.HOLDOUT, Arm.GOLD)
_OUTCOME = {Choice.LEFT: 0, Choice.RIGHT: 1, Choice.TIE: 2, Choice.BOTH_BAD: 2}


def training_votes(pool: Pool, votes: Sequence[Vote]) -> list[Vote]:
    """Votes that may train: not skipped, not of the holdout or gold arm, prompt and annotator not excluded.

    Votes of excluded annotators are left out rather than given weight zero, which is the same fit for every model,
    also for one that knows no weights.
    """
    return [
        vote
        for vote in votes
        if vote.choice is not Choice.SKIP and vote.arm not in _ONLY_MEASURE and not _excluded(pool, vote)
    ]


def holdout_votes(pool: Pool, votes: Sequence[Vote]) -> list[Vote]:
    """Decisive votes of the holdout arm: the unbiased measure."""
    return [vote for vote in votes if vote.arm is Arm.HOLDOUT and vote.choice.is_decisive and not _excluded(pool, vote)]


def _excluded(pool: Pool, vote: Vote) -> bool:
    return vote.excluded or bool(pool.excluded[pool.row_of[vote.left]])


def training_data(pool: Pool, votes: Sequence[Vote]) -> TrainingData:
    """Columns for the votes; both-bad counts as a tie between the two."""
    left = np.array([pool.row_of[vote.left] for vote in votes], dtype=np.int32)
    right = np.array([pool.row_of[vote.right] for vote in votes], dtype=np.int32)
    annotators = tuple(sorted({vote.annotator for vote in votes}))
    number = {name: i for i, name in enumerate(annotators)}
    return TrainingData(
        responses=pool.responses,
        trainable=pool.trainable,
        left=read_only(left),
        right=read_only(right),
        outcome=read_only(np.array([_OUTCOME[vote.choice] for vote in votes], dtype=np.int8)),
        annotator=read_only(np.array([number[vote.annotator] for vote in votes], dtype=np.int32)),
        annotators=annotators,
        weight=np.ones(len(votes)),
        group=pool.group[left] if len(votes) else np.zeros(0, dtype=np.int32),
        control=np.array([vote.arm is Arm.RANDOM for vote in votes], dtype=bool),
        prelabel_shown=np.array([vote.prelabel_shown for vote in votes], dtype=bool),
        round=np.array([vote.round for vote in votes], dtype=np.int32),
    )


def occurring(*pairs: IntArray) -> tuple[IntArray, ...]:
    """(K,) the rows that occur in any of these (M, 2) pairs, then each of the pairs in terms of them."""
    rows, index = np.unique(np.concatenate([each.ravel() for each in pairs]), return_inverse=True)
    ends = np.cumsum([each.size for each in pairs])[:-1]
    return rows, *(part.reshape(-1, 2).astype(np.int32) for part in np.split(index.ravel(), ends))


@dataclass(frozen=True, slots=True)
class MeasuredVotes:
    """Decisive votes as arrays: (N, 2) rows left first, (N,) outcomes (0 left, 1 right), (N,) group numbers."""

    pairs: IntArray
    outcome: IntArray
    group: IntArray

    def __len__(self) -> int:
        return len(self.outcome)


def measured(pool: Pool, votes: Sequence[Vote]) -> MeasuredVotes:
    """Arrays of decisive votes."""
    pairs = np.array([(pool.row_of[v.left], pool.row_of[v.right]) for v in votes], dtype=np.int32).reshape(-1, 2)
    outcome = np.array([_OUTCOME[v.choice] for v in votes], dtype=np.int8)
    return MeasuredVotes(pairs, outcome, pool.group[pairs[:, 0]])
