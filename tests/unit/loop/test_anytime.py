"""Confidence sequences hold at all times at once, whatever the means do, and are not absurdly wide."""

import numpy as np
import pytest
from scipy.stats import binom

from pairloop.anytime import confidence_sequence

N = 200
SCENES = {
    "no difference": np.zeros(N),
    "a small one": np.full(N, 0.03),
    "one that drifts": 0.15 * np.cos(np.arange(N) / 30),
    "one that turns": np.where(np.arange(N) < 60, 0.2, -0.05),
    "one that jumps by rounds": np.repeat(np.random.default_rng(5).normal(0, 0.1, N // 20), 20),
}
NOISES = {"all or nothing": 1.0, "moderate": 0.4, "far below the bound": 0.05}


def path(mean, noise, random):
    """Numbers with these means: two-point, skewed, bounded by 1."""
    low, high = np.maximum(mean - noise, -1.0), np.minimum(mean + 0.5 * noise, 1.0)
    p = np.divide(mean - low, high - low, out=np.zeros(len(mean)), where=high > low)
    return np.where(random.random(len(mean)) < p, high, low)


def ever_missed(mean, noise, seed, bound=1.0):
    found = confidence_sequence(path(mean, noise, np.random.default_rng(seed)), bound)
    truth = np.cumsum(mean) / np.arange(1, len(mean) + 1)
    return bool(np.any((truth < found.low - 1e-12) | (truth > found.high + 1e-12)))


def most_misses(runs, rate=0.05):
    """What a sequence that misses at its rate stays below, all but once in a thousand tests."""
    return binom.ppf(0.999, runs, rate)


@pytest.mark.parametrize("mean", SCENES.values(), ids=SCENES)
def test_it_hardly_ever_misses_at_any_time(mean):
    runs = 40
    assert sum(ever_missed(mean, 1.0, seed) for seed in range(runs)) <= most_misses(runs)


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
@pytest.mark.parametrize("mean", SCENES.values(), ids=SCENES)
def test_it_hardly_ever_misses_in_many_runs(mean, noise):
    runs = 1000
    missed = sum(ever_missed(mean, noise, seed) for seed in range(runs))
    assert missed <= most_misses(runs)


def test_stopping_when_it_excludes_zero_is_allowed():
    """The very thing that ruins an ordinary interval: look after every vote, stop at the first significant one."""
    runs, fooled, fooled_by_t = 60, 0, 0
    for seed in range(runs):
        values = path(np.zeros(N), 0.4, np.random.default_rng(seed))
        found = confidence_sequence(values, 1.0)
        n = np.arange(1, N + 1)
        spread = 1.96 * np.sqrt(np.maximum(np.cumsum(values**2) / n - found.mean**2, 1e-12) / n)
        fooled += bool(np.any((found.low > 0) | (found.high < 0)))
        fooled_by_t += bool(np.any((np.abs(found.mean) > spread)[20:]))
    assert fooled <= most_misses(runs)
    assert fooled_by_t > 0.2 * runs, "or the test tests nothing"


def test_votes_that_hang_together_are_allowed():
    """Twenty questions of a group that go wrong together: the mean of each, given the past, is what is covered."""
    runs, missed = 40, 0
    for seed in range(runs):
        random = np.random.default_rng(seed)
        groups = np.repeat(random.choice([-0.3, 0.3], N // 20), 20)
        drawn = path(groups, 0.5, random)
        # the first question of a group is a surprise, the others are not
        mean = np.where(np.arange(N) % 20 == 0, 0.0, groups)
        found = confidence_sequence(drawn, 1.0)
        truth = np.cumsum(mean) / np.arange(1, N + 1)
        missed += bool(np.any((truth < found.low) | (truth > found.high)))
    assert missed <= most_misses(runs)


def test_the_width_is_near_that_of_an_ordinary_interval():
    """Measured: 1.7 to 2.2 times the width of a 95 % interval that may be looked at once."""
    for noise, n in ((1.0, 400), (0.4, 400), (1.0, 2000), (0.4, 2000)):
        values = path(np.zeros(n), noise, np.random.default_rng(0))
        found = confidence_sequence(values, 1.0, last=True)
        once = 2 * 1.96 * values.std() / np.sqrt(n)
        assert 1.3 < float(found.high[0] - found.low[0]) / once < 2.5


def test_bounds_that_shrink_narrow_it():
    values = path(np.zeros(N), 0.05, np.random.default_rng(0))
    wide, narrow = (confidence_sequence(values, bound, last=True) for bound in (1.0, 0.1))
    assert float(narrow.high[0] - narrow.low[0]) < 0.5 * float(wide.high[0] - wide.low[0])


def test_the_last_interval_alone_is_the_same():
    values = path(SCENES["one that drifts"], 0.4, np.random.default_rng(0))
    every, last = confidence_sequence(values, 0.9), confidence_sequence(values, 0.9, last=True)
    assert (every.mean[-1], every.low[-1], every.high[-1]) == (last.mean[0], last.low[0], last.high[0])


def test_it_is_symmetric_and_stays_within_what_is_possible():
    values = path(SCENES["a small one"], 0.4, np.random.default_rng(0))
    one, other = confidence_sequence(values, 1.0), confidence_sequence(-values, 1.0)
    assert np.array_equal(one.low, -other.high)
    assert np.all(one.low <= one.mean)
    assert np.all(one.mean <= one.high)
    assert np.all(one.low >= -1)
    assert np.all(one.high <= 1)
    zero = confidence_sequence(np.zeros(3), 0.0)
    assert zero.low.tolist() == zero.high.tolist() == [0, 0, 0]
    assert len(confidence_sequence(np.zeros(0), 1.0).mean) == 0
