"""From a judge's answers to what the reward model learns from: one vote a pair, whichever the order.

The two orders are one judgement, not two: asked twice, the same model makes the same mistakes twice. Where they agree,
the pair gets one vote for that side. Where they differ, what decided was the position, so the texts are about equal to
this judge: a tie (or nothing at all, by option). In simulations (``docs/judge.md``) that was at least as good as two
half votes with a position bias that is estimated, and leaving such pairs out was the worst.

Where the model gives probabilities, its log-odds are averaged over the two orders, which takes a constant position bias
out, and the vote weighs ``|2p − 1|``: it then pulls a margin of zero as hard as the soft label p would.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pairloop.pool import Pool
from pairloop.posterior import FloatArray
from pairloop.protocols import TrainingData
from pairloop.records import Choice, Vote
from pairloop.votes import training_data

Inconsistent = Literal["tie", "abstain"]
_SURE = 1e-6


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the judge said about one pair, in both orders; either may be an abstention."""

    straight: Vote
    swapped: Vote

    @property
    def answered(self) -> bool:
        """Both orders have an answer."""
        return Choice.SKIP not in (self.straight.choice, self.swapped.choice)

    @property
    def consistent(self) -> bool:
        """Both orders say the same."""
        return self.answered and self.straight.choice is self.swapped.choice.mirrored()

    @property
    def choice(self) -> Choice:
        """About ``first`` (left) and ``second``: what both say, TIE where they differ, SKIP for an abstention."""
        if not self.answered:
            return Choice.SKIP
        return self.straight.choice if self.consistent else Choice.TIE

    @property
    def weight(self) -> float:
        """|2p − 1| of the probability without position bias, where there is one and the vote is decisive; else 1."""
        p, q = self.straight.p_left, self.swapped.p_left
        if p is None or q is None or not self.choice.is_decisive:
            return 1.0
        return abs(float(np.tanh((_log_odds(p) - _log_odds(q)) / 4.0)))


def _log_odds(p: float) -> float:
    clipped = min(max(p, _SURE), 1.0 - _SURE)
    return float(np.log(clipped) - np.log1p(-clipped))


def judgements(votes: Sequence[Vote]) -> list[Judgement]:
    """Both orders of each pair brought together, by judge and pair, in order of arrival."""
    found: dict[tuple[str, str], dict[bool, Vote]] = {}
    for vote in votes:
        found.setdefault((vote.annotator, vote.pair_id), {})[vote.flipped] = vote
    return [Judgement(both[False], both[True]) for both in found.values() if len(both) == 2]


def judge_data(pool: Pool, found: Sequence[Judgement], inconsistent: Inconsistent) -> TrainingData:
    """One row a pair; nothing of the holdout, of excluded prompts or of an excluded judge."""
    kept = [each for each in found if _trains(pool, each, inconsistent)]
    # displayed as the first order was for every second pair, so that no side is the judge's favourite by construction
    votes = [_displayed(each) for each in kept]
    weight: FloatArray = np.array([each.weight for each in kept], dtype=np.float64)
    data = training_data(pool, votes)
    return replace(data, weight=weight, control=np.zeros(len(votes), dtype=bool))


def _trains(pool: Pool, found: Judgement, inconsistent: Inconsistent) -> bool:
    row = pool.row_of[found.straight.left]
    usable = found.answered and (found.consistent or inconsistent == "tie")
    return usable and not (pool.holdout[row] or pool.excluded[row] or found.straight.excluded)


def _displayed(found: Judgement) -> Vote:
    swap = int(found.straight.pair_id[-1], 16) % 2 == 1
    choice = found.choice.mirrored() if swap else found.choice
    return replace(found.swapped if swap else found.straight, choice=choice)
