"""Facts about whether active selection pays, from what training stored: the sequence over votes, and who chooses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pairloop.anytime import confidence_sequence
from pairloop.fallback import RANDOM
from pairloop.saving import sequence_of
from pairloop.store.models import ModelRow

_POINTS = 200  # of the drawn sequence


@dataclass(frozen=True, slots=True)
class Contest:
    """The comparison of the arms that may be looked at all the time.

    Attributes:
        state: as `pairloop.fallback.decide` left it after the last training.
        questions: (P,) numbers of holdout questions judged, at most 200 of them; mean, low, high: (P,) difference of
            Brier losses at equal votes, active − random, with its confidence sequence.
        switches: (round, questions judged until then, who chose from then on) of each change.
    """

    state: dict[str, Any]
    questions: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    switches: tuple[tuple[int, int, str], ...]

    @property
    def random_chooses(self) -> bool:
        """True when the campaign has fallen back."""
        return bool(self.state["mode"] == RANDOM)


def contest(models: Sequence[ModelRow]) -> Contest | None:
    """What the models' reports say about the strategy of the last one; None before the first comparison."""
    states = [row.report["selection"] for row in models if row.report.get("selection")]
    if not states:
        return None
    mine = [row for row in models if (row.report.get("selection") or {}).get("strategy") == states[-1]["strategy"]]
    records = [row.report["shadows"] for row in mine if row.report.get("shadows")]
    values, bounds = sequence_of(records, 1.0)
    found = confidence_sequence(values, bounds)
    rows = np.unique(np.linspace(0, len(values) - 1, min(_POINTS, len(values))).round().astype(int))
    return Contest(
        state=states[-1],
        questions=tuple(int(row) + 1 for row in rows),
        mean=tuple(found.mean[rows].tolist()),
        low=tuple(found.low[rows].tolist()),
        high=tuple(found.high[rows].tolist()),
        switches=_switches(mine),
    )


def _switches(rows: Sequence[ModelRow]) -> tuple[tuple[int, int, str], ...]:
    out, judged, mode = [], 0, "active"
    for row in rows:
        record = row.report.get("shadows")
        judged += len(sequence_of([record], 1.0)[0]) if record else 0
        if row.report["selection"]["mode"] != mode:
            mode = row.report["selection"]["mode"]
            out.append((row.round, judged, mode))
    return tuple(out)
