"""Failing a CI run on a real regression and not on luck.

A condition reads ``metric<bound`` or ``metric>bound`` over an arm's summary, for example ``accuracy<0.72``,
``saved<0``, ``area.drop>0.01`` or ``log_loss.rise>0.02``. It fails only when the whole 95 % interval lies on the
failing side. ``drop`` and ``rise`` compare with a baseline file (an older JSON result) and need both intervals apart.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pairloop.errors import UsageError

_FORM = re.compile(
    r"^\s*(?:(?P<arm>[a-z0-9_-]+):)?(?P<metric>[a-z_]+)(?:\.(?P<change>drop|rise))?\s*(?P<sign>[<>])\s*(?P<bound>-?[0-9.]+)\s*$"
)
METRICS = (
    "accuracy",
    "log_loss",
    "log_loss_raw",
    "brier",
    "ece",
    "spearman",
    "best_of_n",
    "area",
    "votes_to_target",
    "saved",
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One ``--fail-if``."""

    text: str
    arm: str | None
    metric: str
    change: str | None
    sign: str
    bound: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condition applied to one arm of one block."""

    condition: str
    where: str
    failed: bool
    detail: str


def parse(text: str) -> Condition:
    """Read one condition.

    Raises:
        UsageError: it has another form, or an unknown metric.
    """
    found = _FORM.match(text)
    if found is None:
        raise UsageError(
            f"--fail-if {text!r} cannot be read", "Write for example: accuracy<0.7, logdet:saved<0 or area.drop>0.01"
        )
    if found["metric"] not in METRICS:
        raise UsageError(f"--fail-if {text!r}: no metric {found['metric']!r}", f"Known: {', '.join(METRICS)}")
    return Condition(text, found["arm"], found["metric"], found["change"], found["sign"], float(found["bound"]))


def judge(
    conditions: Sequence[Condition], blocks: Sequence[Mapping[str, Any]], baseline: Sequence[Mapping[str, Any]] | None
) -> list[Verdict]:
    """Apply every condition to every arm that it names.

    Raises:
        UsageError: a condition compares with a baseline that was not given, or matches no arm.
    """
    verdicts = []
    for condition in conditions:
        matched = False
        for block in blocks:
            for arm in block["arms"]:
                if condition.arm not in (None, arm["name"]):
                    continue
                matched = True
                where = f"{block['data']}/{block['annotators']}/{block['model']}/{arm['name']}"
                verdicts.append(_judge_one(condition, where, arm, _find(baseline, block, arm)))
        if not matched:
            raise UsageError(f"--fail-if {condition.text!r} matches no arm")
    return verdicts


def _judge_one(condition: Condition, where: str, arm: Mapping[str, Any], old: Mapping[str, Any] | None) -> Verdict:
    now = _value(arm, condition.metric)
    if now is None:
        return Verdict(condition.text, where, False, "not measured here")
    if condition.change is not None:
        if old is None:
            raise UsageError(
                f"--fail-if {condition.text!r}: {where} is not in the baseline", "Give one: --baseline old.json"
            )
        before = _value(old, condition.metric)
        if before is None:
            return Verdict(condition.text, where, False, "not measured in the baseline")
        now = _difference(now, before, falling=condition.change == "drop")
    low, high = now
    failed = (high if condition.sign == "<" else -low) < (
        condition.bound if condition.sign == "<" else -condition.bound
    )
    return Verdict(condition.text, where, failed, f"95 % interval [{low:.4f}, {high:.4f}]")


def _value(arm: Mapping[str, Any], metric: str) -> tuple[float, float] | None:
    item = arm.get(metric) if metric in ("area", "votes_to_target", "saved") else None
    if item is None and metric in arm["curves"]:
        item = arm["curves"][metric][-1]
    if item is None:
        return None
    low = item["value"] if item["low"] is None else item["low"]
    high = item["value"] if item["high"] is None else item["high"]
    return low, high


def _difference(now: tuple[float, float], before: tuple[float, float], *, falling: bool) -> tuple[float, float]:
    """Interval of the drop (before − now) or rise (now − before): the most cautious one, both taken as independent."""
    one, other = (before, now) if falling else (now, before)
    return one[0] - other[1], one[1] - other[0]


def _find(
    blocks: Sequence[Mapping[str, Any]] | None, block: Mapping[str, Any], arm: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    for other in blocks or ():
        if all(other[key] == block[key] for key in ("data", "annotators", "model")):
            for candidate in other["arms"]:
                if candidate["name"] == arm["name"]:
                    return candidate  # type: ignore[no-any-return]
    return None
