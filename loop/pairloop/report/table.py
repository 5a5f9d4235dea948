"""All votes of a campaign as columns, read once: every number of the report is a few array operations away."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pairloop.pool import Pool, load_pool
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray
from pairloop.records import AnnotatorKind, Arm, Choice, Vote
from pairloop.store import Store

ARMS = tuple(Arm)
CHOICES = tuple(Choice)
FIRST, SECOND, TIE, SKIP = range(4)
_PREFERENCE = {Choice.LEFT: FIRST, Choice.RIGHT: SECOND, Choice.TIE: TIE, Choice.BOTH_BAD: TIE, Choice.SKIP: SKIP}


@dataclass(frozen=True)
class VoteTable:
    """The votes that stand, in order of arrival, as (N,) columns.

    Attributes:
        seq, round: as stored. annotator: number in ``annotators``; pair: number in ``pairs``.
        choice: number in `CHOICES`; arm: number in `ARMS`.
        left, right: rows of the pool as displayed; group: number of the prompt's group.
        outcome: 0 left, 1 right, 2 tie or both bad, 3 skip; ``preferred``: the same about (first, second) of the pair.
        excluded: True where the prompt has left the campaign.
        seconds: NaN where unknown. p_left: what the model of the moment said before it learned from the vote, NaN
            where it was not asked.
    """

    votes: tuple[Vote, ...]
    pool: Pool
    annotators: tuple[str, ...]
    pairs: tuple[str, ...]
    seq: IntArray
    round: IntArray
    annotator: IntArray
    pair: IntArray
    choice: IntArray
    arm: IntArray
    left: IntArray
    right: IntArray
    group: IntArray
    outcome: IntArray
    preferred: IntArray
    excluded: BoolArray
    seconds: FloatArray
    cost: FloatArray
    p_left: FloatArray

    def __len__(self) -> int:
        return len(self.votes)

    @cached_property
    def decisive(self) -> BoolArray:
        """(N,) True for left and right."""
        return np.asarray(self.outcome < TIE)

    @cached_property
    def gold(self) -> BoolArray:
        """(N,) True on gold items: they say something about annotators only."""
        return np.asarray(self.arm == ARMS.index(Arm.GOLD))

    @cached_property
    def counts(self) -> BoolArray:
        """(N,) True for votes of people whose votes count, on pairs without a known answer."""
        told = [v.kind is not AnnotatorKind.MODEL and not v.excluded for v in self.votes]
        return np.asarray(~self.gold & np.array(told, dtype=bool))

    @cached_property
    def uniform(self) -> BoolArray:
        """(N,) True for the arms that were drawn at random: holdout and control."""
        return np.isin(self.arm, [ARMS.index(Arm.HOLDOUT), ARMS.index(Arm.RANDOM)])

    @cached_property
    def length(self) -> IntArray:
        """(R,) characters of each response of the pool."""
        return np.array([len(response.text) for response in self.pool.responses], dtype=np.int64)


def read_table(store: Store) -> VoteTable:
    """Read votes, pool and predictions."""
    votes = store.annotations.votes()
    return make_table(votes, load_pool(store), store.models.predictions())


def make_table(votes: list[Vote], pool: Pool, predictions: Mapping[int, float]) -> VoteTable:
    """The columns of these votes; ``predictions``: p_left by seq."""
    annotators = tuple(sorted({vote.annotator for vote in votes}))
    pairs = tuple(dict.fromkeys(vote.pair_id for vote in votes))
    number = {name: i for i, name in enumerate(annotators)}
    pair_number = {pair: i for i, pair in enumerate(pairs)}
    arm_number = {arm: i for i, arm in enumerate(ARMS)}
    choice_number = {choice: i for i, choice in enumerate(CHOICES)}
    left = _ints([pool.row_of[vote.left] for vote in votes])
    outcome = _ints([_PREFERENCE[vote.choice] for vote in votes])
    flipped = np.array([vote.flipped for vote in votes], dtype=bool)
    seconds = [np.nan if vote.seconds is None else vote.seconds for vote in votes]
    return VoteTable(
        votes=tuple(votes),
        pool=pool,
        annotators=annotators,
        pairs=pairs,
        seq=np.array([vote.seq for vote in votes], dtype=np.int64),
        round=_ints([vote.round for vote in votes]),
        annotator=_ints([number[vote.annotator] for vote in votes]),
        pair=_ints([pair_number[vote.pair_id] for vote in votes]),
        choice=_ints([choice_number[vote.choice] for vote in votes]),
        arm=_ints([arm_number[vote.arm] for vote in votes]),
        left=left,
        right=_ints([pool.row_of[vote.right] for vote in votes]),
        group=pool.group[left] if len(votes) else _ints([]),
        outcome=outcome,
        preferred=np.where(flipped & (outcome < TIE), 1 - outcome, outcome),
        excluded=pool.excluded[left] if len(votes) else np.zeros(0, dtype=bool),
        seconds=np.array(seconds, dtype=np.float64),
        cost=np.array([vote.cost for vote in votes], dtype=np.float64),
        p_left=np.array([predictions.get(vote.seq, np.nan) for vote in votes], dtype=np.float64),
    )


def _ints(values: list[int]) -> IntArray:
    return np.array(values, dtype=np.int64)
