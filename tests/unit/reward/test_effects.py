"""Position and length biases of single annotators."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from pairloop_reward.effects import Observed, average_effects, fit_effects, left_out_effects, no_effects
from pairloop_reward.likelihood import probabilities, vote_terms


def observe(b, c, votes, seed=0, flip=0.05):
    """Votes of annotators with these effects, ``votes`` each, at known margins."""
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(b)), votes)
    n = len(owner)
    margin, length = random.normal(scale=1.5, size=n), random.normal(size=n)
    p = probabilities(margin + b[owner] + c[owner] * length, 0.5, flip)
    outcome = (random.random(n)[:, None] > np.cumsum(p, axis=1)[:, :2]).sum(axis=1)
    return Observed(
        margin, np.full(n, 0.3), length, np.full(n, flip), outcome, np.ones(n), owner, np.ones(len(b)), np.log(0.5),
        len(b),
    )  # fmt: skip


def test_the_mode_is_that_of_a_general_optimiser():
    observed, scales = observe(np.array([0.8, -0.5]), np.array([0.0, 1.0]), 30), (0.5, 0.25)

    def loss(flat):
        values = flat.reshape(2, 2)
        own = values[observed.annotator]
        margin = (observed.margin + own[:, 0] + own[:, 1] * observed.length) * observed.shrink
        fit = vote_terms(margin, observed.log_tie, observed.flip, observed.outcome).log_likelihood.sum()
        return 0.5 * ((values / np.array(scales)) ** 2).sum() - fit

    found = fit_effects(observed, scales, np.zeros((2, 2)))
    assert found.values.ravel() == pytest.approx(minimize(loss, np.zeros(4)).x, abs=1e-3)


def test_a_scale_of_zero_switches_an_effect_off():
    found = fit_effects(observe(np.array([1.0, -1.0]), np.array([1.0, -1.0]), 50), (0.5, 0.0), np.ones((2, 2)))
    assert np.abs(found.values[:, 1]).max() < 1e-9
    assert found.deviation[:, 1].tolist() == [0.0, 0.0]
    assert found.values[0, 0] > 0.1


def test_habits_are_recovered_with_honest_intervals():
    random = np.random.default_rng(1)
    b, c = random.normal(scale=0.6, size=60), random.normal(scale=0.4, size=60)
    observed = observe(b, c, 60, seed=2)
    found = average_effects(observed, no_effects(60), length=True)
    assert found.scales == pytest.approx((0.6, 0.4), abs=0.2)
    assert np.corrcoef(found.values[:, 0], b)[0, 1] > 0.7
    inside = np.abs(found.values - np.stack([b, c], axis=1)) < 1.96 * found.deviation
    assert inside.mean(axis=0).min() > 0.88


def test_where_nobody_has_a_habit_none_is_found():
    found = average_effects(observe(np.zeros(60), np.zeros(60), 40, seed=3), no_effects(60), length=True)
    assert max(found.scales) < 0.2
    assert np.abs(found.values).max() < 0.25
    assert found.deviation.min() > 0.01


def test_without_lengths_there_is_no_length_effect():
    found = average_effects(observe(np.zeros(3), np.zeros(3), 30), no_effects(3), length=False)
    assert not found.values[:, 1].any()


def test_mirrored_votes_have_mirrored_effects():
    observed = observe(np.array([0.8, -0.5, 0.1]), np.array([0.5, 1.0, -0.4]), 50)
    mirrored = replace(
        observed, margin=-observed.margin, length=-observed.length, outcome=np.array([1, 0, 2])[observed.outcome]
    )
    one, other = (average_effects(each, no_effects(3), length=True) for each in (observed, mirrored))
    assert one.values[:, 0] == pytest.approx(-other.values[:, 0])
    assert one.values[:, 1] == pytest.approx(other.values[:, 1])


def test_a_vote_does_not_speak_for_its_own_effect():
    """What one step leaves out is close to a refit without the vote."""
    observed = observe(np.array([1.0, -0.6]), np.array([0.3, 0.0]), 12, seed=4)
    full = fit_effects(observed, (0.6, 0.4), np.zeros((2, 2)))
    offset, variance = left_out_effects(observed, full)
    refits = []
    for row in range(24):
        weight = np.where(np.arange(24) == row, 0.0, 1.0)
        refit = fit_effects(replace(observed, weight=weight), (0.6, 0.4), full.values)
        refits.append(refit.offset(observed.length, observed.annotator)[row])
    inside = full.offset(observed.length, observed.annotator)
    assert np.abs(offset - refits).mean() < 0.15 * np.abs(inside - refits).mean()
    assert (variance > 0).all()


def test_who_does_not_count_says_nothing_about_the_spread():
    """Spammers have the strongest "habits"; σ is that of the others."""
    b = np.where(np.arange(30) < 6, 2.5, 0.0)
    observed = observe(b, np.zeros(30), 40, seed=5)
    everybody = average_effects(observed, no_effects(30), length=False)
    others = average_effects(replace(observed, honest=np.where(b > 0, 0.0, 1.0)), no_effects(30), length=False)
    assert everybody.scales[0] > 0.7
    assert others.scales[0] < 0.3
