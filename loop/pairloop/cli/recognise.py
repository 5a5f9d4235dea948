"""What a data file holds, from its first rows: for ``init`` and ``doctor``, without importing anything into a store."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pairloop.errors import DataError
from pairloop.kit.text import plain
from pairloop.protocols import PairSource
from pairloop.records import RejectedRow, SourceRow
from pairloop.registry import Registry, options_of

PEEK = 1000  # rows that are looked at
_SHOWN = 3


@dataclass
class Recognised:
    """What the first rows look like; ``complete`` when there were no more."""

    rows: int = 0
    usable: int = 0
    conversations: int = 0
    pairs: int = 0
    recorded_votes: int = 0
    named_groups: int = 0
    responses_each: Counter[int] = field(default_factory=Counter)
    models: set[str] = field(default_factory=set)
    gold_responses: int = 0
    responses: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)
    examples: list[SourceRow] = field(default_factory=list)
    complete: bool = True

    @property
    def has_gold(self) -> bool:
        """Every response carries a number under "gold", so simulated annotators can judge by it."""
        return self.responses > 0 and self.gold_responses == self.responses

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "rows": self.rows,
            "usable": self.usable,
            "rejected": len(self.rejected),
            "first_rejected": [{"line": r.line, "reason": r.reason} for r in self.rejected[:_SHOWN]],
            "conversations": self.conversations,
            "responses": self.responses,
            "responses_each": {str(n): count for n, count in sorted(self.responses_each.items())},
            "candidate_pairs": self.pairs,
            "recorded_votes": self.recorded_votes,
            "rows_with_group": self.named_groups,
            "models": sorted(self.models),
            "gold_in_metadata": self.has_gold,
            "complete": self.complete,
            "examples": [
                {"prompt": plain(row.prompt), "responses": [response.text for response in row.responses]}
                for row in self.examples
            ],
        }


def recognise(source: PairSource, limit: int = PEEK) -> Recognised:
    """Look at up to ``limit`` rows.

    Raises:
        DataError: the source cannot be opened, or none of these rows is usable.
    """
    found = Recognised()
    rows = source.rows()
    for row in islice(rows, limit):
        found.rows += 1
        if isinstance(row, RejectedRow):
            found.rejected.append(row)
        else:
            _count(found, row)
    found.complete = next(rows, None) is None
    if not found.usable:
        first = found.rejected[0] if found.rejected else None
        raise DataError(
            f"none of the first {found.rows} rows can be used" if found.rows else "there is no row in it",
            f"Line {first.line}: {first.reason}" if first else None,
        )
    return found


def _count(found: Recognised, row: SourceRow) -> None:
    n = len(row.responses)
    found.usable += 1
    found.conversations += not isinstance(row.prompt, str)
    found.pairs += n * (n - 1) // 2 if row.pairs is None else len(row.pairs)
    found.recorded_votes += len(row.recorded)
    found.named_groups += row.group is not None
    found.responses_each[n] += 1
    found.responses += n
    found.gold_responses += sum(_is_number(response.metadata.get("gold")) for response in row.responses)
    found.models.update(response.provenance.model for response in row.responses if response.provenance.model)
    if len(found.examples) < _SHOWN:
        found.examples.append(row)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def open_source(registry: Registry, name: str, options: dict[str, Any], path: Path | None, origin: str) -> PairSource:
    """The pair source ``name`` over ``path``.

    Raises:
        PluginNotFound, ConfigError, DataError.
    """
    spec = registry.spec("source", name, "data.source")
    source: PairSource = spec.factory(options_of(spec, options, origin, "data.options"), path)
    return source
