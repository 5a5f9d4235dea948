"""kill -9 at every failpoint, resume in a new process, and nothing is different."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.sweep import Sweep

import pairloop
from pairloop.kit.failpoints import FAILPOINTS

Sweeps = Callable[[str], Sweep]

SHARES = {
    "faulty": ("publish.", "collect.", "ingest."),
    "people": ("publish.", "collect.", "ingest."),
    "judged": ("judge.",),
}
"""Which failpoints the side scenarios visit in the quick sweep; the slow one visits all of them everywhere."""


def test_failpoints_in_the_code_are_those_that_are_declared() -> None:
    """A name that is not declared would never be visited; one that is not in the code is a promise without a test."""
    code = "".join(path.read_text(encoding="utf-8") for path in Path(pairloop.__file__).parent.rglob("*.py"))
    assert set(re.findall(r'failpoint\("([a-z_.]+)"\)', code)) == FAILPOINTS


def test_every_failpoint_is_reached(sweeps: Sweeps) -> None:
    """The scenarios visit all of them, and most of them twice."""
    reached = {name for scenario in ("plain", *SHARES) for name in sweeps(scenario).reached}
    # What an interrupted push left is found only after a kill, or after a lost answer as in "faulty".
    assert FAILPOINTS - reached == set()


@pytest.mark.parametrize("name", sorted(FAILPOINTS))
def test_a_kill_changes_nothing(sweeps: Sweeps, name: str) -> None:
    """At the first and at the second hit of every failpoint."""
    visited = 0
    for scenario in ("plain", *SHARES):
        sweep = sweeps(scenario)
        if scenario == "plain" or name.startswith(SHARES[scenario]) or name not in sweeps("plain").reached:
            for hit in range(1, min(2, sweep.reached.get(name, 0)) + 1):
                assert sweep.problems([(name, hit)]) == [], (scenario, name, hit)
                visited += 1
    assert visited


@pytest.mark.parametrize("hit", [10, 12, 18])
def test_a_kill_while_the_policy_is_written(sweeps: Sweeps, hit: int) -> None:
    """What a killed write left in the tuner's folder once became part of the policy."""
    assert sweeps("plain").reached["atomic.before_rename"] >= 18
    assert sweeps("plain").problems([("atomic.before_rename", hit)]) == []


def test_a_kill_is_a_kill(sweeps: Sweeps) -> None:
    """The sweep would prove nothing if the child finished."""
    assert sweeps("plain").was_killed(("publish.after_send", 1)) == {"outcome": "killed by signal 9"}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["plain", "faulty", "people", "judged"])
def test_a_kill_changes_nothing_at_any_hit(sweeps: Sweeps, scenario: str) -> None:
    """Every hit of every failpoint, every transaction among them."""
    sweep = sweeps(scenario)
    broken = [
        (name, hit, problems)
        for name, hits in sorted(sweep.reached.items())
        for hit in range(1, hits + 1)
        if (problems := sweep.problems([(name, hit)]))
    ]
    assert broken == []
