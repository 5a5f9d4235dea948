"""The crash suite finds what it is meant to find: each broken variant of the loop makes it fail."""

from collections.abc import Callable

import pytest
from support.mutants import MUTANTS
from support.projection import differences
from support.sweep import Sweep


@pytest.mark.parametrize("name", [name for name, mutant in MUTANTS.items() if mutant.kills])
def test_a_broken_variant_is_caught_by_a_kill(sweeps: Callable[..., Sweep], name: str) -> None:
    """It runs through when nothing happens, and differs from that when it is killed where the real loop does not."""
    mutant = MUTANTS[name]
    broken, real = sweeps(mutant.scenario, name), sweeps(mutant.scenario)
    caught = []
    for kill in mutant.kills:
        assert real.problems([kill]) == []
        caught += broken.problems([kill])
    assert caught, mutant.what


@pytest.mark.parametrize("name", [name for name, mutant in MUTANTS.items() if not mutant.kills])
def test_a_broken_variant_is_caught_by_a_faulty_remote(sweeps: Callable[..., Sweep], name: str) -> None:
    """Lost answers and repeated pages are enough."""
    mutant = MUTANTS[name]
    assert differences(sweeps(mutant.scenario, name).expected, sweeps(mutant.scenario).expected), mutant.what


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 8
