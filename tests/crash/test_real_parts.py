"""The same kills with the parts that are shipped: simulated annotators, TF-IDF rewards, log-det selection."""

from collections.abc import Callable

import pytest
from support.sweep import Sweep

QUICK = (
    "campaign.adopted", "select.before_commit", "publish.after_send", "collect.after_page", "train.before_commit",
    "artifact.after_rename",
)  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_a_kill_changes_nothing(sweeps: Callable[[str], Sweep], name: str) -> None:
    sweep = sweeps("real")
    hit = min(2, sweep.reached[name])
    assert sweep.problems([(name, hit)]) == [], hit


@pytest.mark.slow
def test_a_kill_changes_nothing_at_any_failpoint(sweeps: Callable[[str], Sweep]) -> None:
    sweep = sweeps("real")
    broken = [
        (name, hit, problems)
        for name, hits in sorted(sweep.reached.items())
        for hit in range(1, min(2, hits) + 1)
        if (problems := sweep.problems([(name, hit)]))
    ]
    assert broken == []
