"""kill -9 while files go out and come back: the same votes, and no question is asked twice or lost."""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.sweep import Sweep

OWN = (
    "exchange.published", "exchange.before_file", "exchange.after_file", "exchange.after_read",
    "exchange.before_commit", "exchange.after_commit",
)  # fmt: skip
OTHERS = (
    "atomic.before_rename",
    "atomic.after_rename",
    "publish.after_send",
    "collect.after_poll",
    "ingest.before_commit",
)


@pytest.mark.parametrize("name", OWN + OTHERS)
def test_a_kill_changes_nothing(sweeps: Callable[[str], Sweep], name: str) -> None:
    sweep = sweeps("files")
    hits = sweep.reached[name]
    for hit in sorted({1, 2, (hits + 1) // 2, hits} & set(range(1, hits + 1))):
        assert sweep.problems([(name, hit)]) == [], hit


def test_after_a_kill_every_question_is_in_one_file(sweeps: Callable[[str], Sweep]) -> None:
    """Between the receipt of a batch and its file, where a push is not repeated."""
    sweep = sweeps("files")
    for name in ("exchange.published", "exchange.before_file", "exchange.after_file"):
        for hit in (1, 2):
            place = sweep.place()
            sweep.kill(place, (name, hit))
            assert sweep.resumed(place) == []
            asked = Counter(key for path in (place / "outbox").glob("*.csv") for key in keys(path))
            assert set(asked.values()) == {1}
            assert len(asked) == 20


def keys(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row["key"] for row in csv.DictReader(file, delimiter=";")]
