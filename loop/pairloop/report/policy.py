"""Facts about the policy: what tuning did step by step, and how people judge tuned against initial responses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pairloop.metrics import Estimate
from pairloop.records import Response
from pairloop.report.estimates import share_over
from pairloop.report.table import SKIP, VoteTable
from pairloop.steps.generate import INITIAL, TUNED
from pairloop.store.models import ModelRow

SERIES = ("reward", "kl", "length", "entropy", "probe_reward", "probe_kl", "probe_length")
_PROBES = {"reward": "reward (mean − k·std)", "std": "its standard deviation", "kl": "KL to the initial policy, nats",
           "length": "length, tokens", "unfinished": "share cut off"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One step of tuning; a number that the tuner did not report is None.

    ``probe_``: on probe prompts, which are not tuned on; measured at some steps only.
    """

    step: float
    reward: float | None
    kl: float | None
    length: float | None
    entropy: float | None
    probe_reward: float | None
    probe_kl: float | None
    probe_length: float | None


@dataclass(frozen=True, slots=True)
class Probed:
    """A number on the probe prompts before and after tuning."""

    name: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """One tuning of the policy.

    Attributes:
        steps: of gradient methods; best_of: (n, reward, KL bound) of best-of-n, which has no steps.
        probes: prompts that the probe numbers are means over, None where unknown.
        optimistic: True when those prompts were tuned on.
    """

    round: int
    tuner: str
    stop_reason: str
    steps: tuple[Step, ...]
    best_of: tuple[tuple[float, float, float | None], ...]
    probed: tuple[Probed, ...]
    probes: int | None
    optimistic: bool
    kl_budget: float | None
    kl_weight: float | None


@dataclass(frozen=True, slots=True)
class Duel:
    """How often responses of a tuned policy won; a tie counts half in ``share``."""

    tuned: str
    opponent: str
    wins: int
    ties: int
    losses: int
    share: Estimate | None


def tunings(rows: Sequence[ModelRow]) -> tuple[Tuning, ...]:
    """Every tuning in order."""
    return tuple(_tuning(row) for row in rows)


def _tuning(row: ModelRow) -> Tuning:
    report, summary = row.report, row.report.get("summary") or {}
    metrics = [m for m in report.get("metrics") or () if isinstance(m, Mapping)]
    curve = [m for m in metrics if _number(m.get("n")) is not None]
    probed = [
        Probed(label, before, after)
        for name, label in _PROBES.items()
        if (before := _number(summary.get(f"probe_{name}_before"))) is not None
        and (after := _number(summary.get(f"probe_{name}_after"))) is not None
    ]
    probes = _number(summary.get("probe_prompts"))
    return Tuning(
        round=row.round,
        tuner=str(report.get("tuner") or "unknown tuner"),
        stop_reason=str(report.get("stop_reason") or ""),
        steps=() if curve else tuple(_step(i, m) for i, m in enumerate(metrics)),
        best_of=tuple(
            (float(m["n"]), reward, _number(m.get("kl")))
            for m in (curve or _list(summary.get("best_of_n")))
            if (reward := _number(m.get("reward"))) is not None
        ),
        probed=tuple(probed),
        probes=None if probes is None else int(probes),
        optimistic=bool(summary.get("probe_is_training")),
        kl_budget=_number(report.get("kl_budget")),
        kl_weight=_number(report.get("kl_weight")),
    )


def _step(number: int, metrics: Mapping[str, Any]) -> Step:
    values = {name: _number(metrics.get(name)) for name in SERIES}
    step = _number(metrics.get("step"))
    return Step(float(number) if step is None else step, **values)


def _list(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, Mapping) and _number(item.get("n")) is not None]


def _number(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None


def duels(table: VoteTable, responses: Sequence[Response]) -> tuple[Duel, ...]:
    """Votes between a tuned response and an initial one, or one of the data; a row for each tuned policy.

    A text that both policies wrote, or that the data also holds, says nothing and is left out.
    """
    author = np.array([_author(response) for response in responses], dtype=object)
    judged = np.flatnonzero(table.outcome < SKIP)
    left, right = author[table.left[judged]], author[table.right[judged]]
    tuned_left = np.array([str(name).startswith(TUNED) for name in left], dtype=bool)
    tuned_right = np.array([str(name).startswith(TUNED) for name in right], dtype=bool)
    mixed = (tuned_left ^ tuned_right) & (left != "") & (right != "")
    won = np.where(tuned_left, table.outcome[judged] == 0, table.outcome[judged] == 1)
    value = np.where(table.outcome[judged] == SKIP - 1, 0.5, won)
    tuned, other = np.where(tuned_left, left, right), np.where(tuned_left, right, left)
    out = []
    for name in sorted({str(n) for n in tuned[mixed]}, key=lambda n: (len(n), n)):
        for opponent in sorted({str(n) for n in other[mixed & (tuned == name)]}, key=lambda n: (n != INITIAL, n)):
            rows = mixed & (tuned == name) & (other == opponent)
            at = judged[rows]
            out.append(
                Duel(
                    tuned=name,
                    opponent=opponent,
                    wins=int((value[rows] == 1).sum()),
                    ties=int((value[rows] == 0.5).sum()),
                    losses=int((value[rows] == 0).sum()),
                    share=share_over(value[rows], table.group[at], table.annotator[at]),
                )
            )
    return tuple(out)


def _author(response: Response) -> str:
    """ "policy-tuned-3", "policy-initial" or "data"; empty when more than one of them wrote the text."""
    names = {item.model or "" if item.source == "policy" else "data" for item in response.provenance} or {"data"}
    return names.pop() if len(names) == 1 else ""
