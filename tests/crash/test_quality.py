"""kill -9 while gold items and second opinions are planned, sent and answered, and nothing is different."""

from collections.abc import Callable

import pytest
from support.sweep import Sweep

Sweeps = Callable[[str], Sweep]

POINTS = ("select.before_commit", "select.after_commit", "publish.after_send", "collect.after_page")


@pytest.mark.parametrize("name", POINTS)
def test_a_kill_changes_nothing(sweeps: Sweeps, name: str) -> None:
    sweep = sweeps("checked")
    assert sweep.reached[name] >= 2
    assert sweep.problems([(name, 1)]) == []
    assert sweep.problems([(name, 2)]) == []


def test_a_kill_while_the_gold_file_is_read_changes_nothing(sweeps: Sweeps) -> None:
    """The third commits of a campaign hold its gold items."""
    sweep = sweeps("checked")
    for hit in (4, 5, 6):
        assert sweep.problems([("transaction.before_commit", hit)]) == []
