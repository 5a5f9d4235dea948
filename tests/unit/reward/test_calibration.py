"""The temperature: from votes of left-out groups, and in the end from control votes."""

import numpy as np
import pytest

from pairloop_reward.calibration import calibrate
from pairloop_reward.head import fit_head
from pairloop_reward.likelihood import TIE, Votes, probabilities

PRIOR = np.ones(3)


@pytest.fixture
def sample(simulate, truth):
    """Votes, groups and a head."""
    votes = simulate(truth, 1200, 1)
    return votes, np.arange(1200) // 20, fit_head(votes, PRIOR, truth.flip_rate)


def everyone(votes):
    return np.ones(len(votes), dtype=bool)


def test_a_right_model_needs_no_temperature(sample):
    votes, group, fit = sample
    found = calibrate(votes, group, everyone(votes), fit, folds=5, seed=0)
    assert found.temperature == pytest.approx(1.0, abs=0.3)
    assert found.votes == int((votes.outcome != TIE).sum())
    assert found.log_loss_after <= found.log_loss_before


def mixed(control_strength, seed=2, n=3000):
    """Votes of which every sixth group is the control and follows the reward ``control_strength`` times as strongly."""
    random = np.random.default_rng(seed)
    group = np.arange(n) // 10
    control = group % 6 == 0
    difference = random.normal(size=(n, 3))
    margin = difference @ np.array([2.0, -2.0, 1.0]) * np.where(control, control_strength, 1.0)
    p = probabilities(margin, 0.2, 0.0)
    outcome = (random.random(n)[:, None] > np.cumsum(p, axis=1)[:, :2]).sum(axis=1)
    votes = Votes(difference, outcome, np.ones(n))
    return votes, group, control, fit_head(votes, PRIOR, 0.0)


@pytest.mark.parametrize(("strength", "low", "high"), [(0.4, 1.4, 3.5), (2.0, 0.3, 0.8)])
def test_control_votes_decide(strength, low, high):
    votes, group, control, fit = mixed(strength)
    found = calibrate(votes, group, control, fit, folds=5, seed=0)
    assert low < found.temperature < high
    assert found.log_loss_after < found.log_loss_before
    assert calibrate(votes, group, ~control, fit, folds=5, seed=0).temperature == pytest.approx(1.0, abs=0.35)


@pytest.mark.parametrize(("strength", "low", "high"), [(0.4, 1.4, 3.5), (2.0, 0.3, 0.8)])
def test_many_other_votes_do_not_outvote_the_control(strength, low, high):
    votes, group, control, fit = mixed(strength)
    assert low < calibrate(votes, group, control, fit, folds=5, seed=0, others=~control).temperature < high


def test_where_control_votes_are_few_the_others_say_where_the_temperature_is():
    """All votes follow half the margins: 24 control votes alone hardly show it."""
    random = np.random.default_rng(5)
    difference = random.normal(size=(2000, 3))
    won = random.random(2000) < 1 / (1 + np.exp(-difference @ np.array([3.0, -2.0, 1.0])))
    votes, group = Votes(difference, np.where(won, 0, 1), np.ones(2000)), np.arange(2000) // 4
    strong = fit_head(votes, np.full(3, 1e-6), 0.25)  # believes in flips that there are not: margins too large
    few = np.arange(2000) < 24
    alone, helped, fair = (
        calibrate(votes, group, usable, strong, folds=5, seed=0, others=others).temperature
        for usable, others in ((few, None), (few, ~few), (few | ~few, None))
    )
    assert abs(np.log(helped / fair)) < 0.2
    assert abs(np.log(helped / fair)) < abs(np.log(alone / fair))


def test_votes_are_predicted_without_their_group():
    """Random labels that the head has memorised group by group: seen in-sample they would call for a sharp T."""
    random = np.random.default_rng(3)
    group = np.repeat(np.arange(40), 4)
    votes = Votes(
        np.eye(40)[group] + 0.3 * random.normal(size=(160, 40)), random.integers(0, 2, 40)[group], np.ones(160)
    )
    fit = fit_head(votes, np.full(40, 0.05), 0.0)
    found = calibrate(votes, group, everyone(votes), fit, folds=5, seed=0)
    assert found.log_loss_before > 0.65
    assert found.temperature > 1.2


def test_few_votes_stay_near_one():
    votes, group, _, fit = mixed(1.0, n=30)
    assert 0.4 < calibrate(votes, group, everyone(votes), fit, folds=3, seed=0).temperature < 2.5


@pytest.mark.parametrize(("rows", "groups"), [(15, 60), (400, 1)])
def test_too_little_to_calibrate_is_noted(sample, rows, groups):
    votes, group, fit = sample
    usable = (np.arange(1200) < rows) if groups > 1 else (group == 0)
    found = calibrate(votes, group, usable, fit, folds=5, seed=0)
    assert (found.temperature, found.votes) == (1.0, 0)
    assert "not calibrated" in found.note


def test_the_seed_decides_the_folds(sample):
    votes, group, fit = sample
    one, same, other = (
        calibrate(votes, group, everyone(votes), fit, folds=5, seed=seed).temperature for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other
