"""Margin, ensemble variance and PowerBALD against direct computation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from pairloop.acquisition.functions import bald, entropy
from pairloop.acquisition.keys import canonical, uniforms
from pairloop.acquisition.uncertainty import PowerBaldOptions, PowerBaldStrategy, ensemble_variance, margin
from pairloop.kit.seeds import derive_seed
from pairloop.posterior import PreferencePosterior
from pairloop.testing.fakes import fake_context, fake_posterior

PAIRS = np.stack([np.arange(20), np.arange(20, 40)], axis=1)


def test_margin_is_one_less_the_gap_between_the_two_probabilities():
    posterior = replace(fake_posterior(40, 5), temperature=1.7)
    p = expit(posterior.margin(PAIRS) / 1.7)
    np.testing.assert_allclose(margin(posterior, PAIRS), 1 - np.abs(2 * p - 1))


def test_margin_and_entropy_rank_differently_where_uncertainty_differs():
    # Same order of means, but the second pair is so uncertain that its moderated probability is the nearer to ½.
    posterior = PreferencePosterior(np.array([0.5, 0.0, 1.0, 0.0]), np.array([[0.0], [0.0], [30.0], [0.0]]))
    pairs = np.array([[0, 1], [2, 3]])
    assert margin(posterior, pairs)[0] > margin(posterior, pairs)[1]
    assert entropy(posterior, pairs)[0] < entropy(posterior, pairs)[1]


@pytest.mark.parametrize("flip_rate", [0.0, 0.2])
@pytest.mark.parametrize("variance", [1e-3, 0.3, 4.0, 40.0])
def test_ensemble_variance_is_the_variance_of_the_win_probability(variance, flip_rate):
    means = np.array([0.0, 0.4, -1.5, 5.0])
    x = np.linspace(-80, 80, 160_001)
    weight = np.exp(-((x[:, None] - means / 1.5) ** 2) / (2 * variance / 1.5**2))
    weight /= weight.sum(axis=0)
    p = ((1 - 2 * flip_rate) * expit(x) + flip_rate)[:, None]
    exact = (weight * p**2).sum(axis=0) - (weight * p).sum(axis=0) ** 2
    posterior = PreferencePosterior(
        np.r_[means, 0.0], np.r_[np.full(4, np.sqrt(variance)), 0.0][:, None], flip_rate=flip_rate, temperature=1.5
    )
    pairs = np.array([[k, 4] for k in range(4)])
    np.testing.assert_allclose(ensemble_variance(posterior, pairs), exact, atol=1e-4)


def test_a_large_ensemble_of_members_shows_that_variance():
    posterior, members = fake_posterior(40, 5), 200_000
    draws = np.random.default_rng(0).standard_normal((5, members))
    z = posterior.whitened[PAIRS[:, 0]] - posterior.whitened[PAIRS[:, 1]]
    sampled = np.var(expit(posterior.margin(PAIRS)[:, None] + z @ draws), axis=1)
    np.testing.assert_allclose(ensemble_variance(posterior, PAIRS), sampled, rtol=0.03)


def test_power_bald_is_the_top_of_log_scores_with_gumbel_noise():
    context = fake_context(per_prompt=0)
    noise = -np.log(-np.log(uniforms(context.candidates, derive_seed(context.seed, "gumbel"))))
    worth = np.log(bald(context.posterior, canonical(context.candidates)) / context.cost) + noise / 2.0
    got = PowerBaldStrategy(PowerBaldOptions(beta=2.0)).select(context, 10)
    assert got.picks.tolist() == np.argsort(-worth)[:10].tolist()
    np.testing.assert_allclose(got.scores, worth[got.picks])


def test_first_picks_of_power_bald_come_with_odds_to_the_power_of_beta():
    context = fake_context(3, 3, pending=0, per_prompt=0)
    odds = (bald(context.posterior, canonical(context.candidates)) / context.cost) ** 2.0
    strategy = PowerBaldStrategy(PowerBaldOptions(beta=2.0))
    firsts = [int(strategy.select(replace(context, seed=seed), 1).picks[0]) for seed in range(2000)]
    share = np.bincount(firsts, minlength=9) / 2000
    np.testing.assert_allclose(share, odds / odds.sum(), atol=0.04)


def test_a_cold_power_bald_is_bald():
    context = fake_context()
    worth = bald(context.posterior, canonical(context.candidates)) / context.cost
    picks = PowerBaldStrategy(PowerBaldOptions(beta=1e6)).select(replace(context, per_prompt=0), 12).picks
    assert picks.tolist() == np.argsort(-worth)[:12].tolist()


def test_uniforms_lie_inside_the_unit_interval_and_fill_it():
    pairs = np.stack(np.triu_indices(200, 1), axis=1)
    u = np.sort(uniforms(pairs, 3))
    assert u[0] > 0
    assert u[-1] < 1
    assert np.max(np.abs(u - (np.arange(len(u)) + 0.5) / len(u))) < 0.02
