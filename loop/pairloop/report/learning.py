"""Facts about the reward model: learning curve, active against random arm, calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pairloop import metrics
from pairloop.metrics import Estimate
from pairloop.posterior import FloatArray, IntArray
from pairloop.report.estimates import from_json, share, side_of
from pairloop.report.table import VoteTable
from pairloop.store.models import ModelRow

FEWEST = 20  # votes below which an estimate is not drawn
_BINS = 10
_PER_BIN = 20
_RESAMPLES = 20_000_000  # groups × bootstrap draws, to bound time and memory


@dataclass(frozen=True, slots=True)
class Point:
    """A fit of the reward model, measured on the holdout votes of that moment, or of today where that was possible.

    Attributes:
        votes: votes given when it was fitted, without skips; cost: what all votes until then cost.
        rejected: why the fit was not used; None for a model that was.
    """

    round: int
    votes: int
    cost: float
    accuracy: Estimate | None
    log_loss: Estimate | None
    brier: Estimate | None
    ece: Estimate | None
    flip_rate: float | None
    temperature: float | None
    notes: tuple[str, ...]
    rejected: str | None


@dataclass(frozen=True, slots=True)
class ArmPoint:
    """The same model learned from as many active as control votes. Log-loss in nats; difference = active − random."""

    round: int
    votes_per_arm: int
    active: Estimate
    random: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Bin:
    """Votes of similar confidence."""

    confidence: float
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidence against success, of predictions that were made before the model learned from the votes.

    Attributes:
        n: decisive votes of the holdout and control arms that a model had predicted.
        bins, ece, accuracy, log_loss: empty and None when ``n`` is too small.
    """

    n: int
    bins: tuple[Bin, ...]
    ece: Estimate | None
    accuracy: Estimate | None
    log_loss: Estimate | None


def learning_curve(
    models: Sequence[ModelRow], table: VoteTable, remeasured: Mapping[int, Mapping[str, Any]]
) -> tuple[Point, ...]:
    """One point a fit, rejected ones included; with ``remeasured`` only those, so that all face the same votes."""
    spent = np.concatenate([[0.0], np.cumsum(table.cost)])
    shown = [row for row in models if not remeasured or row.id in remeasured or not row.accepted]
    return tuple(
        _point(
            row,
            float(spent[np.searchsorted(table.seq, row.last_seq, side="right")]),
            remeasured.get(row.id) or row.report.get("holdout") or {},
        )
        for row in shown
    )


def _point(row: ModelRow, cost: float, holdout: Mapping[str, Any]) -> Point:
    return Point(
        round=row.round,
        votes=row.votes,
        cost=cost,
        accuracy=from_json(holdout.get("accuracy")),
        log_loss=from_json(holdout.get("log_loss")),
        brier=from_json(holdout.get("brier")),
        ece=from_json(holdout.get("ece")),
        flip_rate=row.report.get("flip_rate"),
        temperature=row.report.get("temperature"),
        notes=tuple(row.report.get("notes") or ()),
        rejected=None if row.accepted else str(row.report.get("rejected") or "no reason was stored"),
    )


def arms(models: Sequence[ModelRow]) -> tuple[ArmPoint, ...]:
    """The comparisons that were possible, in order."""
    points = []
    for row in models:
        found = row.report.get("arms") or {}
        estimates = [from_json(found.get(name)) for name in ("active", "random", "difference")]
        active, random, difference = estimates
        if active is not None and random is not None and difference is not None:
            points.append(ArmPoint(row.round, int(found.get("votes_per_arm", 0)), active, random, difference))
    return tuple(points)


def arms_verdict(points: Sequence[ArmPoint]) -> str:
    """By the last comparison: "pays", "costs" or "open"; "unmeasured" before the first one."""
    if not points:
        return "unmeasured"
    return {-1: "pays", 0: "open", 1: "costs"}[side_of(points[-1].difference, 0.0)]


def calibration(table: VoteTable) -> Calibration:
    """Reliability of the prequential predictions on votes of the arms that were drawn at random."""
    rows = np.flatnonzero(table.decisive & table.uniform & ~table.excluded & ~np.isnan(table.p_left))
    if len(rows) < FEWEST:
        return Calibration(len(rows), (), None, None, None)
    p, outcome, group = table.p_left[rows], table.outcome[rows], table.group[rows]
    size = int(np.clip(len(rows) // _PER_BIN, 1, _BINS))
    draws = int(np.clip(_RESAMPLES // len(np.unique(group)), 200, 1000))
    return Calibration(
        n=len(rows),
        bins=_bins(p, outcome, group, size),
        ece=metrics.ece(p, outcome, group, bins=size, draws=draws),
        accuracy=metrics.accuracy(p, outcome, group),
        log_loss=metrics.log_loss(p, outcome, group),
    )


def _bins(p: FloatArray, outcome: IntArray, group: IntArray, size: int) -> tuple[Bin, ...]:
    """Bins of about equal mass, the same as those of `metrics.ece`."""
    confidence = np.maximum(p, 1.0 - p)
    hit = np.where(p == 0.5, 0.5, (p > 0.5) == (outcome == 0))
    edges = np.quantile(confidence, np.arange(1, size) / size)
    index = np.searchsorted(edges, confidence, side="right")
    out = []
    for number in np.unique(index):
        inside = index == number
        accuracy = share(hit[inside], group[inside])
        if accuracy is not None:
            out.append(Bin(float(confidence[inside].mean()), accuracy))
    return tuple(out)
