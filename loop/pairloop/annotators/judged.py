"""Votes as columns, as the measures of annotators need them."""

from dataclasses import dataclass

import numpy as np

from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray

FIRST, SECOND, TIE, SKIP = range(4)
NOT_GOLD = -1


@dataclass(frozen=True, slots=True)
class Judged:
    """N votes in order of arrival.

    Attributes:
        names: A annotators. machine, excluded: (A,) a model and no person; votes count for nothing by decision.
        annotator, item: (N,) numbers of annotator and pair. round: (N,).
        preferred: (N,) `FIRST`, `SECOND`, `TIE` (both bad included) or `SKIP`, about the stored order of the pair.
        left: (N,) True where the response displayed on the left was chosen.
        answer: (N,) the right answer on gold items, `NOT_GOLD` elsewhere.
        seconds, words: (N,) working time (NaN: unknown); words of both responses.
        p_chosen: (N,) what the model gave the chosen side before it learned from the vote; NaN: not asked, or no side.
    """

    names: tuple[str, ...]
    machine: BoolArray
    excluded: BoolArray
    annotator: IntArray
    item: IntArray
    round: IntArray
    preferred: IntArray
    left: BoolArray
    answer: IntArray
    seconds: FloatArray
    words: FloatArray
    p_chosen: FloatArray

    def __len__(self) -> int:
        return len(self.annotator)

    @property
    def decisive(self) -> BoolArray:
        """(N,) True where a side was chosen."""
        return np.asarray(self.preferred < TIE)

    @property
    def gold(self) -> BoolArray:
        """(N,) True on gold items, skips left out."""
        return np.asarray((self.answer != NOT_GOLD) & (self.preferred != SKIP))

    @property
    def compared(self) -> BoolArray:
        """(N,) True for votes of people that count on pairs without a known answer: what people are compared by."""
        counts = ~(self.machine | self.excluded)[self.annotator] if len(self) else np.zeros(0, dtype=bool)
        return np.asarray(counts & (self.preferred != SKIP) & (self.answer == NOT_GOLD))

    def of(self, number: int) -> IntArray:
        """Rows of one annotator, in order."""
        return np.flatnonzero(self.annotator == number)


def consensus(votes: Judged) -> IntArray:
    """(N,) what most of the *other* people said about the pair (first, second or tie); −1 where none or drawn.

    For every vote that is no skip and not on a gold item, a model's and an excluded annotator's included: they are
    compared with people, and nobody is compared with them.
    """
    out = np.full(len(votes), -1, dtype=np.int64)
    asked = (votes.preferred != SKIP) & (votes.answer == NOT_GOLD)
    counted = np.flatnonzero(votes.compared)
    counts = np.zeros((int(votes.item.max()) + 1 if len(votes) else 0, SKIP), dtype=np.int64)
    np.add.at(counts, (votes.item[counted], votes.preferred[counted]), 1)
    rows = np.flatnonzero(asked)
    others = counts[votes.item[rows]]
    mine = np.flatnonzero(votes.compared[rows])
    others[mine, votes.preferred[rows[mine]]] -= 1
    ordered = np.sort(others, axis=1)
    clear = ordered[:, -1] > ordered[:, -2]
    out[rows[clear]] = others[clear].argmax(axis=1)
    return out


def references(votes: Judged) -> tuple[IntArray, IntArray, IntArray]:
    """(N,) what the vote is compared with, −1 where there is nothing: gold answer, others' consensus, sure model."""
    gold = np.where(votes.gold, votes.answer, -1)
    sure = (np.abs(votes.p_chosen - 0.5) >= SURE - 0.5) & votes.decisive & (votes.answer == NOT_GOLD)
    predicted = np.where(votes.p_chosen > 0.5, votes.preferred, 1 - votes.preferred)
    return gold, consensus(votes), np.where(sure, predicted, -1)


def matches(votes: Judged, reference: IntArray) -> FloatArray:
    """(N,) 1 where the vote says the same, 0 where not, NaN where there is nothing to compare with.

    A tie on a gold item that has an answer is wrong; a skip says nothing.
    """
    return np.where(reference >= 0, votes.preferred == reference, np.nan)


SURE = 0.7
"""A prediction that leans at least so far to one side counts as sure."""


def relative_seconds(votes: Judged) -> FloatArray:
    """(N,) working time over what people typically take for about as many words; NaN where unknown.

    Typical: in each quarter of the votes by length, the median of the annotators' own medians, so that neither one busy
    annotator nor a minority of hasty ones sets it.
    """
    out = np.full(len(votes), np.nan)
    known = np.flatnonzero(~np.isnan(votes.seconds) & (votes.preferred != SKIP))
    people = known[~votes.machine[votes.annotator[known]]]
    if not len(people):
        return out
    edges = np.quantile(votes.words[people], [0.25, 0.5, 0.75])
    part = np.searchsorted(edges, votes.words, side="right")
    for quarter in range(4):
        rows = people[part[people] == quarter]
        if not len(rows):
            continue
        typical = float(np.median([np.median(votes.seconds[rows[votes.annotator[rows] == number]])
                                   for number in np.unique(votes.annotator[rows])]))  # fmt: skip
        mine = known[part[known] == quarter]
        out[mine] = votes.seconds[mine] / max(typical, 1e-9)
    return out
