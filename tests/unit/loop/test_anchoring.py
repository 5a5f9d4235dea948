"""Do shown guesses sway people: the difference and its interval."""

import numpy as np
import pytest
from scipy.stats import binom

from pairloop.anchoring import difference


def votes(seed: int, *, effect: float = 0.1, people: int = 12, groups: int = 40, n: int = 400):
    """Agreement with the guess, by people who let themselves be led more or less."""
    random = np.random.default_rng(seed)
    annotator, group = random.integers(people, size=n), random.integers(groups, size=n)
    shown = random.random(n) < 0.8
    base = np.clip(0.65 + random.normal(0, 0.08, people)[annotator] + random.normal(0, 0.08, groups)[group], 0, 1)
    led = effect + random.normal(0, 0.1, people)[annotator]
    agrees = (random.random(n) < np.clip(base + led * shown, 0, 1)).astype(float)
    return agrees, shown, group, annotator


def test_the_effect_is_found():
    found = difference(*votes(0, effect=0.2, n=4000))
    assert found is not None
    assert found.value == pytest.approx(0.2, abs=0.08)
    assert found.low is not None
    assert found.low > 0


def test_the_widest_clustering_counts():
    agrees, shown, group, annotator = votes(1)
    widths = []
    for clusterings in ((group,), (annotator,), (group, annotator)):
        found = difference(agrees, shown, *clusterings)
        assert found is not None
        widths.append((found.high or 0) - (found.low or 0))
    assert widths[2] == max(widths[:2])


def test_one_cluster_or_one_side_gives_no_interval():
    agrees, shown, _, _ = votes(2, n=20)
    alone = difference(agrees, shown, np.zeros(20, dtype=int))
    assert alone is not None
    assert alone.low is None
    assert difference(agrees, np.ones(20, dtype=bool), np.arange(20)) is None


@pytest.mark.parametrize("people", [5, 12])
def test_the_interval_covers_the_mean_effect(people):
    runs, covered = 200, 0
    for seed in range(runs):
        found = difference(*votes(seed, people=people))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.1 <= found.high
    assert covered >= binom.ppf(0.001, runs, 0.95)
