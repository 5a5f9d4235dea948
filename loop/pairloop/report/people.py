"""Facts about the annotators: who answers how, and habits that have nothing to do with quality."""

from dataclasses import dataclass

import numpy as np

from pairloop.annotators import Quality
from pairloop.annotators.facts import Annotator as Measured
from pairloop.annotators.facts import GoldFacts
from pairloop.metrics import Estimate
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray
from pairloop.records import AnnotatorKind
from pairloop.report.estimates import share_over
from pairloop.report.table import CHOICES, VoteTable

SHOWN = 30
_ROW = 5  # votes that make a row of the table, unless nobody has them


@dataclass(frozen=True, slots=True)
class Annotator:
    """One annotator, as `pairloop.annotators` measures them.

    Attributes:
        left: share of the decisive votes for the response displayed on the left.
        seconds: median seconds a vote; fast: share of implausibly fast votes; None where unknown.
        gold: right answers on gold items; others: agreement with what most others said; model: with sure predictions.
        flip_rate, spammer: of the reward model's fit, None where it does not tell.
        excluded: why the votes count for nothing, None where they count.
        remarks: significant flags, as "test: evidence".
    """

    name: str
    kind: str
    votes: int
    decisive: float
    tie: float
    skip: float
    left: Estimate | None
    seconds: float | None
    fast: float | None
    gold: Estimate | None
    others: Estimate | None
    model: Estimate | None
    flip_rate: float | None
    spammer: float | None
    excluded: str | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class People:
    """All annotators.

    Attributes:
        rows: those with the most votes, at most `SHOWN`, and all who have a flag or are excluded; rest: how many more
            there are; rest_votes: their votes.
        by_kind: votes of people, models and simulators.
        gold: how gold items fared. alpha_random: Krippendorff's alpha on randomly drawn pairs. tests: flags looked for.
    """

    count: int
    rows: tuple[Annotator, ...]
    rest: int
    rest_votes: int
    by_kind: dict[str, int]
    median_votes: float
    median_seconds: float | None
    gold: tuple[GoldFacts, ...] = ()
    alpha_random: Estimate | None = None
    tests: int = 0


@dataclass(frozen=True, slots=True)
class Habit:
    """A share of decisive votes that 50 % is the neutral value of."""

    label: str
    estimate: Estimate | None


@dataclass(frozen=True, slots=True)
class Habits:
    """Position and length: shares for the left and for the longer response."""

    position: tuple[Habit, ...]
    length: tuple[Habit, ...]
    same_length: int


def people(table: VoteTable, found: Quality) -> People:
    """The table of annotators, most votes first."""
    total = np.array([person.numbers.votes for person in found.annotators], dtype=np.int64)
    several = min(int((total >= _ROW).sum()) or _ROW, SHOWN)
    rows = tuple(
        _row(person)
        for number, person in enumerate(found.annotators)
        if number < several or person.flags or person.decision
    )
    return People(
        count=len(total),
        rows=rows,
        rest=len(total) - len(rows),
        rest_votes=int(total.sum()) - sum(row.votes for row in rows),
        by_kind={k.value: sum(vote.kind is k for vote in table.votes) for k in AnnotatorKind},
        median_votes=float(np.median(total)) if len(total) else 0.0,
        median_seconds=_median(table.seconds),
        gold=found.gold,
        alpha_random=found.alpha_random,
        tests=found.tests,
    )


def _row(person: Measured) -> Annotator:
    numbers, decision = person.numbers, person.decision
    return Annotator(
        name=person.name,
        kind=person.kind,
        votes=numbers.votes,
        decisive=numbers.decisive,
        tie=numbers.tie,
        skip=numbers.skip,
        left=numbers.left,
        seconds=numbers.seconds,
        fast=numbers.fast,
        gold=numbers.gold,
        others=numbers.others,
        model=numbers.model,
        flip_rate=person.fit.get("flip_rate"),
        spammer=person.fit.get("spammer"),
        excluded=None if decision is None else f"excluded by {decision.decided_by}: {decision.reason or 'no reason'}",
        remarks=tuple(f"{flag.test}: {flag.evidence}" for flag in person.flags),
    )


def habits(table: VoteTable) -> Habits:
    """Position and length bias over all, and over the parts in which they would mean something else."""
    decisive = np.flatnonzero(table.decisive & ~table.gold)
    left, right = table.length[table.left[decisive]], table.length[table.right[decisive]]
    differ = left != right
    rows, ratio = decisive[differ], np.maximum(left, right)[differ] / np.maximum(np.minimum(left, right)[differ], 1)
    longer_left = (left > right)[differ]
    longer = longer_left == (table.outcome[rows] == 0)
    random = table.uniform[rows]
    known = ~np.isnan(table.p_left[rows]) & (table.p_left[rows] != 0.5)
    model_longer = longer_left == (table.p_left[rows] > 0.5)

    def habit(label: str, values: BoolArray, where: IntArray, mask: BoolArray) -> Habit:
        picked = where[mask]
        return Habit(label, share_over(values[mask], table.group[picked], table.annotator[picked]))

    first = table.outcome[decisive] == 0
    everything = np.ones(len(rows), dtype=bool)
    position = [habit("all decisive votes", first, decisive, np.ones(len(decisive), dtype=bool))]
    kinds = np.array([vote.kind.value for vote in table.votes])[decisive] if len(decisive) else np.array([])
    if len(np.unique(kinds)) > 1:
        position += [habit(f"votes by {k}s", first, decisive, kinds == k) for k in np.unique(kinds).tolist()]
    length = [
        habit("all decisive votes", longer, rows, everything),
        habit("randomly drawn pairs only", longer, rows, random),
        habit("longer by up to 25 %", longer, rows, ratio <= 1.25),
        habit("longer by 25 to 100 %", longer, rows, (ratio > 1.25) & (ratio <= 2.0)),
        habit("more than twice as long", longer, rows, ratio > 2.0),
        habit("the model's guess, where it had one", model_longer, rows, known),
    ]
    return Habits(tuple(position), tuple(length), int((~differ).sum()))


def choice_shares(table: VoteTable) -> dict[str, int]:
    """Votes by choice."""
    counts = np.bincount(table.choice, minlength=len(CHOICES))
    return {choice.value: int(n) for choice, n in zip(CHOICES, counts, strict=True)}


def _median(seconds: FloatArray) -> float | None:
    known = seconds[~np.isnan(seconds)]
    return float(np.median(known)) if len(known) else None
