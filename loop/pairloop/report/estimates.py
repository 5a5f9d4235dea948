"""Estimates of the report: shares and medians that carry their interval, or say that there is nothing to estimate."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pairloop import metrics
from pairloop.metrics import Estimate
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray

LEVEL = 0.95


def from_json(value: Any) -> Estimate | None:
    """An estimate as `pairloop.evaluation.as_json` stored it; None for anything else."""
    if not isinstance(value, Mapping) or not isinstance(value.get("value"), int | float):
        return None
    return Estimate(
        float(value["value"]), value.get("low"), value.get("high"), value.get("n", 0), value.get("clusters", 0)
    )


def share(hit: BoolArray | FloatArray, cluster: IntArray, *, level: float = LEVEL) -> Estimate | None:
    """Mean of (N,) values in [0, 1] with an interval clustered by ``cluster`` and cut to [0, 1]; None without rows.

    Where all clusters agree, the linearised interval has no width; it is widened to what the binomial over clusters
    allows ("rule of three": Hanley and Lippman-Hand 1983), so that 5 of 5 is not certainty.
    """
    values = np.asarray(hit, dtype=np.float64)
    if not len(values):
        return None
    found = metrics.clustered_mean(values, cluster, level=level)
    if found.low is None or found.high is None:
        return found
    low, high = max(found.low, 0.0), min(found.high, 1.0)
    if high - low < 1e-12:
        room = 1.0 - (1.0 - level) ** (1.0 / found.clusters)
        low, high = max(found.value - room, 0.0), min(found.value + room, 1.0)
    return Estimate(found.value, low, high, found.n, found.clusters)


def share_over(hit: BoolArray | FloatArray, group: IntArray, annotator: IntArray) -> Estimate | None:
    """As `share`, clustered by group or by annotator, whichever gives the wider interval.

    What people do by habit (choosing the left, the longer) varies between people more than between prompts, and an
    interval that knows only prompts would be too sure. With one annotator it is about that person alone.
    """
    by_group, by_annotator = share(hit, group), share(hit, annotator)
    if by_group is None or by_annotator is None or width(by_annotator) is None:
        return by_group
    if width(by_group) is None:
        return by_annotator
    return max(by_group, by_annotator, key=lambda estimate: width(estimate) or 0.0)


def width(estimate: Estimate) -> float | None:
    """High minus low; None without an interval."""
    return None if estimate.low is None or estimate.high is None else estimate.high - estimate.low


def side_of(estimate: Estimate | None, reference: float) -> int:
    """+1 when the whole interval is above ``reference``, −1 when below, 0 when it cannot be told."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return 0
    return int(estimate.low > reference) - int(estimate.high < reference)
