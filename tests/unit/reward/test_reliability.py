"""Flip rates of annotators: the grid posterior against integration, and who counts how much."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from pairloop_reward.reliability import NODES, FlipPrior, flip_posterior

CHANCE = np.array([0.9, 0.8, 0.2, 0.95, 0.6, 0.7, 0.1])
OWNER = np.array([0, 0, 0, 0, 0, 1, 1])


def posterior(chance, owner, prior, weight=None, left=None):
    n = len(chance)
    sides = np.arange(n) % 2 == 0 if left is None else left
    return flip_posterior(chance, sides, np.ones(n) if weight is None else weight, owner, owner.max() + 1, prior)


def integrated(chance, mean, concentration):
    """E[ε | votes] by quadrature over ε."""
    density = beta(2 * mean * concentration, (1 - 2 * mean) * concentration).pdf

    def moment(power):
        return quad(lambda e: e**power * density(2 * e) * np.prod((1 - 2 * e) * chance + e), 0, 0.5)[0]

    return moment(1) / moment(0)


@pytest.mark.parametrize(("mean", "concentration"), [(0.1, 20.0), (0.2, 8.0)])
def test_posterior_means_match_integration(mean, concentration):
    found = posterior(CHANCE, OWNER, FlipPrior.fixed(mean, concentration))
    expected = [integrated(CHANCE[a == OWNER], mean, concentration) for a in (0, 1)]
    assert found.mean == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("spammers", [0.0, 0.2])
def test_left_out_means_are_those_of_the_other_votes(spammers):
    prior = FlipPrior.fixed(0.15, 5.0, spammers)
    found = posterior(CHANCE, OWNER, prior)
    without = [posterior(CHANCE, OWNER, prior, np.where(np.arange(7) == row, 0.0, 1.0)) for row in range(7)]
    assert found.left_out == pytest.approx([without[row].mean[OWNER[row]] for row in range(7)])


def test_the_head_sees_the_gradient_of_the_integrated_likelihood():
    """d log ∫ ∏ p_i(ε) dp(ε) / ds_i is the slope of vote i alone at its left-out mean."""
    prior, step = FlipPrior.fixed(0.15, 5.0), 1e-6

    def log_marginal(chance):
        table = sum(np.log((1 - 2 * NODES) * s + NODES) for s in chance)
        return np.log(prior.mass[0] @ np.exp(table))

    chance = CHANCE[:5]
    flip = posterior(chance, OWNER[:5], prior).left_out
    expected = [(log_marginal(chance + step * e) - log_marginal(chance - step * e)) / (2 * step) for e in np.eye(5)]
    assert (1 - 2 * flip) / ((1 - 2 * flip) * chance + flip) == pytest.approx(expected, rel=1e-5)


def test_a_single_vote_leaves_its_annotator_at_the_pool():
    found = posterior(np.array([0.05, 0.9]), np.array([0, 1]), FlipPrior.fixed(0.1, 4.0))
    assert found.left_out == pytest.approx(0.1, abs=1e-3)


def simulated(seed, flip, votes):
    """Chances of a confident reward, as votes of annotators with these flip rates would be."""
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(flip)), votes)
    margin = random.logistic(scale=1.5, size=len(owner))
    agrees = (random.random(len(owner)) < 1 / (1 + np.exp(-margin))) ^ (random.random(len(owner)) < flip[owner])
    return 1 / (1 + np.exp(np.where(agrees, -margin, margin))), owner


def test_few_votes_shrink_to_the_pool_and_many_do_not():
    flip = np.full(60, 0.05)
    votes = np.full(60, 40)
    flip[:2], votes[:2] = 0.5, (2, 400)
    found = posterior(*simulated(1, flip, votes), FlipPrior.standard())
    assert found.mean[0] < 0.2
    assert found.mean[1] > 0.45
    assert found.high[0] - found.low[0] > 3 * (found.high[1] - found.low[1])


def test_the_prior_is_learned_from_the_annotators():
    honest = posterior(*simulated(2, np.full(80, 0.02), np.full(80, 30)), FlipPrior.standard())
    mixed = posterior(*simulated(3, np.where(np.arange(80) < 32, 0.5, 0.02), np.full(80, 30)), FlipPrior.standard())
    assert honest.spammers < 0.04
    assert honest.new_mean < 0.06
    assert 0.2 < mixed.spammers < 0.45
    assert mixed.spammer[:32].mean() > 0.7
    assert mixed.spammer[32:].mean() < 0.1


def test_intervals_cover():
    random = np.random.default_rng(4)
    flip = np.where(random.random(600) < 0.15, 0.5, random.beta(1, 9, size=600) / 2)
    found = posterior(*simulated(5, flip, np.full(600, 15)), FlipPrior.standard())
    assert np.mean((found.low <= flip) & (flip <= found.high)) > 0.92


def test_votes_without_weight_say_nothing():
    found = posterior(CHANCE, OWNER, FlipPrior.fixed(0.2, 8.0), np.where(OWNER == 1, 0.0, 1.0))
    assert found.mean[1] == pytest.approx(0.2, abs=1e-3)


def test_a_new_annotator_is_the_prior_mean_spammers_included():
    found = posterior(CHANCE, OWNER, FlipPrior.fixed(0.1, 10.0, 0.25))
    assert found.new_mean == pytest.approx(0.75 * 0.1 + 0.25 * 0.5)


def test_who_names_one_side_whatever_the_texts_is_a_spammer():
    chance, owner = simulated(6, np.full(20, 0.03), np.full(20, 20))
    uninformed = np.where(owner < 3, np.random.default_rng(7).uniform(0.1, 0.9, size=len(owner)), chance)
    stuck = np.where(owner < 3, True, np.arange(len(owner)) % 2 == 0)
    found = posterior(uninformed, owner, FlipPrior.standard(), left=stuck)
    assert found.spammer[:3].min() > 0.95
    assert found.spammer[3:].max() < 0.2
