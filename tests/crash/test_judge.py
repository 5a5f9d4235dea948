"""A judge is never paid twice, whenever the process dies."""

import shutil
from collections import Counter
from collections.abc import Callable

import pytest
from support.forkserver import ForkServer
from support.sweep import Sweep


@pytest.mark.parametrize(
    "kills",
    [
        [("judge.after_answer", 1)], [("judge.after_answer", 7)], [("judge.after_answer", 2)] * 4,
        [("judge.before_commit", 1), ("judge.before_commit", 1)], [("judge.after_commit", 2)],
        [("train.before_commit", 1), ("judge.after_answer", 3)],
    ],
    ids=str,
)  # fmt: skip
def test_no_question_is_asked_twice(
    sweeps: Callable[[str], Sweep], fork_server: ForkServer, kills: list[tuple[str, int]]
) -> None:
    sweep = sweeps("judged")
    place = sweep.place()
    try:
        for kill in kills:
            assert fork_server.run(place, "judged", kill=kill)["outcome"] == "killed by signal 9"
        assert sweep.resumed(place) == []
        asked = Counter((place / "asked.txt").read_text(encoding="utf-8").split())
        assert max(asked.values()) == 1
        assert len(asked) == 62, "the budget of 0.63 pays for 31 pairs at 0.02"
    finally:
        shutil.rmtree(place.parent)


@pytest.mark.parametrize("part", range(1, 8))
@pytest.mark.parametrize("scenario", ["judged", "alone"])
def test_a_kill_anywhere_changes_nothing(sweeps: Callable[[str], Sweep], scenario: str, part: int) -> None:
    """Between any two statements or file operations; here the answer that was about to be kept may be lost."""
    sweep = sweeps(scenario)
    assert sweep.problems([("tick", sweep.whole["ticks"] * part // 8)]) == []
