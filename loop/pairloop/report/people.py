"""Facts about the annotators: who answers how, and habits that have nothing to do with quality."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pairloop.metrics import Estimate
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray
from pairloop.records import AnnotatorKind
from pairloop.report.agreement import agreement_by_vote
from pairloop.report.estimates import LEVEL, share, share_over, side_of
from pairloop.report.table import CHOICES, SKIP, VoteTable

SHOWN = 30
_ROW = 5  # votes that make a row of the table, unless nobody has them
CONFIDENT = 0.7  # a prediction that leans at least so far to one side
_FEWEST = 10  # votes below which nobody is said to stand out
_HASTY = 1 / 3  # of the median of all


@dataclass(frozen=True, slots=True)
class Annotator:
    """One annotator.

    Attributes:
        left: share of the decisive votes for the response displayed on the left.
        seconds: median seconds a vote, None where unknown.
        others: agreement with the other people on the same pairs; model: with the model's confident predictions.
        remarks: what stands out, tested at a level that allows for the number of annotators tested.
    """

    name: str
    kind: str
    votes: int
    decisive: float
    tie: float
    skip: float
    left: Estimate | None
    seconds: float | None
    others: Estimate | None
    model: Estimate | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class People:
    """All annotators.

    Attributes:
        rows: those with the most votes, at most `SHOWN`; rest: how many more there are; rest_votes: their votes.
        by_kind: votes of people, models and simulators.
    """

    count: int
    rows: tuple[Annotator, ...]
    rest: int
    rest_votes: int
    by_kind: dict[str, int]
    median_votes: float
    median_seconds: float | None


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


def people(table: VoteTable) -> People:
    """The table of annotators, most votes first."""
    total = np.bincount(table.annotator, minlength=len(table.annotators))
    order = np.lexsort((np.arange(len(total)), -total))
    several = int((total >= _ROW).sum()) or _ROW
    shown = order[: min(several, SHOWN)]
    seconds = _median(table.seconds)
    kind = {vote.annotator: vote.kind for vote in table.votes}
    describe = _describer(table, len(shown), seconds)
    rows = tuple(describe(int(number), kind[table.annotators[number]].value) for number in shown)
    return People(
        count=len(total),
        rows=rows,
        rest=len(total) - len(shown),
        rest_votes=int(total[order[len(shown) :]].sum()),
        by_kind={k.value: sum(vote.kind is k for vote in table.votes) for k in AnnotatorKind},
        median_votes=float(np.median(total)) if len(total) else 0.0,
        median_seconds=seconds,
    )


def _describer(table: VoteTable, tested: int, everyone: float | None) -> Callable[[int, str], Annotator]:
    """What says all about one annotator, with the columns that all of them share made once."""
    same = agreement_by_vote(table)
    compared = ~np.isnan(same)
    average = float(same[compared].mean()) if compared.any() else 0.0
    sure = table.decisive & (np.maximum(table.p_left, 1.0 - table.p_left) >= CONFIDENT)
    right = (table.p_left > 0.5) == (table.outcome == 0)
    expected = float(right[sure].mean()) if sure.any() else 0.0
    by_annotator = np.argsort(table.annotator, kind="stable")
    starts = np.searchsorted(table.annotator[by_annotator], np.arange(len(table.annotators) + 1))
    level = 1.0 - (1.0 - LEVEL) / max(tested, 1)  # Bonferroni: thirty honest people must not bring one false alarm

    def describe(number: int, kind: str) -> Annotator:
        rows = np.sort(by_annotator[starts[number] : starts[number + 1]])
        decisive, seconds = rows[table.decisive[rows]], _median(table.seconds[rows])
        measures: list[tuple[FloatArray | BoolArray, IntArray, float, str, str]] = [
            (table.outcome == 0, decisive, 0.5, "prefers the right side", "prefers the left side"),
            (same, rows[compared[rows]], average, "agrees less with the others than they do", ""),
            (right, rows[sure[rows]], expected, "contradicts the model's confident predictions more than others", ""),
        ]
        remarks = [_remark(v, r, table.group, at, below, above, level) for v, r, at, below, above in measures]
        if everyone and seconds is not None and len(rows) >= _FEWEST and seconds < _HASTY * everyone:
            remarks.append("very fast")
        left, others, model = (share(v[r], table.group[r]) for v, r, *_ in measures)
        return Annotator(
            name=table.annotators[number],
            kind=kind,
            votes=len(rows),
            decisive=len(decisive) / len(rows),
            tie=float(np.isin(table.outcome[rows], [2]).mean()),
            skip=float((table.outcome[rows] == SKIP).mean()),
            left=left,
            seconds=seconds,
            others=others,
            model=model,
            remarks=tuple(remark for remark in remarks if remark),
        )

    return describe


def _remark(
    values: FloatArray | BoolArray, rows: IntArray, group: IntArray, at: float, below: str, above: str, level: float
) -> str:
    if len(rows) < _FEWEST:
        return ""
    return {-1: below, 0: "", 1: above}[side_of(share(values[rows], group[rows], level=level), at)]


def habits(table: VoteTable) -> Habits:
    """Position and length bias over all, and over the parts in which they would mean something else."""
    decisive = np.flatnonzero(table.decisive)
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
