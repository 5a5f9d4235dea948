"""Several kills in one campaign, at points that nobody chose: between any two SQL statements or file operations."""

from collections.abc import Callable

import numpy as np
import pytest
from support.sweep import Kill, Sweep

Sweeps = Callable[[str], Sweep]
QUICK, MANY = range(4), range(4, 60)


def schedule(sweep: Sweep, seed: int) -> list[Kill]:
    """Four to six kills, each after a random part of what is left, so that resumed runs are killed too."""
    rng = np.random.default_rng(seed)
    left = float(sweep.whole["ticks"])
    kills = []
    for _ in range(int(rng.integers(4, 7))):
        at = int(rng.integers(1, max(int(left / 2), 2)))
        kills.append(("tick", at))
        left = max(left - at * 0.8, 40.0)  # a resumed run repeats a little
    return kills


def check(sweeps: Sweeps, seed: int, signal: str = "SIGKILL") -> None:
    sweep = sweeps(("plain", "people", "faulty")[seed % 3])
    kills = schedule(sweep, seed)
    assert sweep.problems(kills, signal=signal) == [], kills


@pytest.mark.parametrize("seed", QUICK)
def test_random_kills_change_nothing(sweeps: Sweeps, seed: int) -> None:
    check(sweeps, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_many_random_kills_change_nothing(sweeps: Sweeps, seed: int) -> None:
    check(sweeps, seed)


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("seed", [100, 101, 102])
def test_being_interrupted_changes_nothing(sweeps: Sweeps, seed: int, signal: str) -> None:
    """Ctrl-C unwinds (rolling back, releasing the lock) and SIGTERM does not; both can be resumed from."""
    check(sweeps, seed, signal)


def test_an_interrupted_run_says_so(sweeps: Sweeps) -> None:
    """Ctrl-C reaches the caller as KeyboardInterrupt."""
    assert sweeps("plain").was_killed(("publish.after_send", 1), "SIGINT") == {"outcome": "interrupted"}
    assert sweeps("plain").was_killed(("publish.after_send", 1), "SIGTERM") == {"outcome": "killed by signal 15"}


@pytest.mark.parametrize("name", ["publish.after_send", "tune.before_save", "collect.after_page"])
def test_a_resumed_run_can_be_killed_at_the_same_point_again(sweeps: Sweeps, name: str) -> None:
    """Five times over: no recovery is left half-done by a kill of the recovery."""
    assert sweeps("plain").problems([(name, 1)] * 5) == []


def test_killed_while_it_is_being_made(sweeps: Sweeps) -> None:
    """The first statements and files of a new campaign, one after the other."""
    for tick in range(1, 60, 4):
        assert sweeps("plain").problems([("tick", tick)]) == [], tick
