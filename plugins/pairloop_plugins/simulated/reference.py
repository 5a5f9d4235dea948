"""The scale of gold scores, estimated from the first pairs that were asked.

A gold score has no natural unit, so thresholds are quantiles: ``equal = ε`` calls a pair a tie when |Δr| is at most
the ε-quantile of |Δr|, and ``skip = ε`` skips it when max(r) is at most the ε-quantile of max(r); both over the
reference, the first 200 different pairs asked. So a share ε of pairs like those is tied or skipped, whatever is
added to the gold score or multiplied with it. B-Pref instead takes ε times the mean recent return, which depends on
the zero of the score; its published training script moreover multiplies by ε before handing over to code that does
so again, so that from the second session on its thresholds are those of ε² (train_PEBBLE.py, lines 275–276,
rll-research/BPref at f3ece2e).

The reference is stored with the tasks and grows in the transaction that creates them: a repeated publish finds the
same thresholds.
"""

import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from pairloop_plugins.simulated.perception import Seen

SIZE = 200
"""Pairs in a complete reference."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS reference (
    pair_id TEXT PRIMARY KEY, gap REAL NOT NULL, best REAL NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Reference:
    """Sorted |Δr| and max(r) of the reference pairs."""

    gaps: Sequence[float]
    bests: Sequence[float]

    def unit(self) -> float:
        """The median of the gaps that are not zero; 1 where there is none."""
        positive = [gap for gap in self.gaps if gap > 0]
        return median(positive) if positive else 1.0


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least a share of the sorted values does not exceed; None for share 0 or no value."""
    if share <= 0 or not ordered:
        return None
    return ordered[min(math.ceil(share * len(ordered) - 1e-9), len(ordered)) - 1]


def extend(db: sqlite3.Connection, pairs: Iterable[tuple[str, Seen]]) -> Reference:
    """Add pairs (id and view) while the reference is incomplete; returns what it is now."""
    known = {row[0] for row in db.execute("SELECT pair_id FROM reference")}
    for pair, seen in pairs:
        if len(known) >= SIZE:
            break
        if pair not in known:
            known.add(pair)
            db.execute("INSERT INTO reference VALUES (?, ?, ?)", (pair, seen.gap, seen.best))
    rows = db.execute("SELECT gap, best FROM reference").fetchall()
    return Reference(sorted(row[0] for row in rows), sorted(row[1] for row in rows))
