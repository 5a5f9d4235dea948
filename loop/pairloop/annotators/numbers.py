"""What is measured of each annotator: plain shares with intervals, the same for every backend."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from pairloop.annotators.judged import SKIP, TIE, Judged, matches, references, relative_seconds
from pairloop.metrics import Estimate
from pairloop.posterior import FloatArray
from pairloop.protocols import BoolArray

FAST = 0.25
"""A vote that took less than this share of what others take for as many words is implausibly fast."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """One annotator.

    Attributes:
        votes: votes, skips included; decisive, tie, skip: shares of them.
        left: share of the decisive votes for the response on the left.
        gold: share of right answers on gold items.
        others: share of votes that say what most others said about the pair.
        model: share of votes that agree with a sure prediction made before the vote.
        seconds: median working time; fast: share of implausibly fast votes, None where no time is known.
        early, late: right answers (gold and consensus together) in the first and the second half of the votes.
    """

    votes: int
    decisive: float
    tie: float
    skip: float
    left: Estimate | None
    gold: Estimate | None
    others: Estimate | None
    model: Estimate | None
    seconds: float | None
    fast: float | None
    early: Estimate | None
    late: Estimate | None


def share(hit: FloatArray | BoolArray) -> Estimate | None:
    """Share of (n,) outcomes with Wilson's 95 % interval (Wilson 1927); NaN are left out, None where none is left.

    Each outcome is another pair, so ``clusters`` equals ``n``.
    """
    known = np.asarray(hit, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return None
    found = binomtest(int(known.sum()), len(known)).proportion_ci(0.95, "wilson")
    return Estimate(float(known.mean()), float(found.low), float(found.high), len(known), len(known))


def measure(votes: Judged) -> list[Numbers]:
    """The numbers of every annotator, in the order of ``votes.names``."""
    gold, others, model = (matches(votes, each) for each in references(votes))
    right = np.where(np.isnan(gold), others, gold)
    relative = relative_seconds(votes)
    order = np.argsort(votes.annotator, kind="stable")
    starts = np.searchsorted(votes.annotator[order], np.arange(len(votes.names) + 1))
    out = []
    for number in range(len(votes.names)):
        rows = order[starts[number] : starts[number + 1]]
        preferred, seconds = votes.preferred[rows], votes.seconds[rows]
        half = len(rows) // 2
        timed = relative[rows][~np.isnan(relative[rows])]
        out.append(
            Numbers(
                votes=len(rows),
                decisive=float((preferred < TIE).mean()) if len(rows) else 0.0,
                tie=float((preferred == TIE).mean()) if len(rows) else 0.0,
                skip=float((preferred == SKIP).mean()) if len(rows) else 0.0,
                left=share(votes.left[rows][preferred < TIE]),
                gold=share(gold[rows]),
                others=share(others[rows]),
                model=share(model[rows]),
                seconds=float(np.median(seconds[~np.isnan(seconds)])) if (~np.isnan(seconds)).any() else None,
                fast=float((timed < FAST).mean()) if len(timed) else None,
                early=share(right[rows[:half]]),
                late=share(right[rows[half:]]),
            )
        )
    return out
