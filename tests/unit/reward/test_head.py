"""The MAP fit and its evidence against finite differences, scipy, simulation and numerical integration."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from pairloop.errors import Diverged
from pairloop_reward.head import Objective, fit_head, score_and_information
from pairloop_reward.likelihood import LEFT, RIGHT, TIE, Votes

PRIOR = np.array([0.5, 1.0, 2.0])


def mirrored(votes):
    """Every vote as it would have been with the sides swapped."""
    swap = np.array([RIGHT, LEFT, TIE])
    return Votes(-votes.difference, swap[votes.outcome], votes.weight)


def numerical_gradient(function, at, step=1e-5):
    return np.array([(function(at + e) - function(at - e)) / (2 * step) for e in step * np.eye(len(at))])


@pytest.mark.parametrize("flip_rate", [0.0, 0.2])
def test_gradient_matches_finite_differences(simulate, truth, flip_rate):
    objective = Objective(simulate(truth, 50, 1), PRIOR, flip_rate)
    theta = np.array([0.3, -0.8, 1.1, 0.2, -0.4])
    expected = numerical_gradient(lambda at: objective.value(at)[1], theta)
    assert objective.gradient_and_precision(theta)[0] == pytest.approx(expected, abs=1e-6)


def test_precision_is_the_negative_hessian_without_flips(simulate, truth):
    objective = Objective(simulate(truth, 50, 2), PRIOR, 0.0)
    theta = np.array([0.3, -0.8, 1.1, 0.2, -0.4])
    hessian = numerical_gradient(lambda at: objective.gradient_and_precision(at)[0], theta)
    assert objective.gradient_and_precision(theta)[1] == pytest.approx(-hessian, abs=1e-5)


@pytest.mark.parametrize("flip_rate", [0.0, 0.3])
def test_observed_precision_is_the_negative_hessian_with_flips_too(simulate, truth, flip_rate):
    objective = Objective(simulate(truth, 50, 2), PRIOR, flip_rate)
    theta = np.array([0.3, -0.8, 1.1, 0.2, -0.4])
    hessian = numerical_gradient(lambda at: objective.gradient_and_precision(at)[0], theta)
    assert objective.gradient_and_precision(theta, observed=True)[1] == pytest.approx(-hessian, abs=1e-5)


def test_many_flips_under_a_weak_prior_converge_fast(simulate, truth):
    weights = np.random.default_rng(0).normal(size=20)
    fit = fit_head(simulate(replace(truth, weights=weights, flip_rate=0.35), 200, 1), np.full(20, 1e-2), 0.35)
    assert fit.steps < 40


@pytest.mark.parametrize("flip_rate", [0.0, 0.15])
def test_map_equals_a_general_optimiser(simulate, truth, flip_rate):
    votes = simulate(truth, 400, 3)
    fit = fit_head(votes, PRIOR, flip_rate)
    objective = Objective(votes, PRIOR, flip_rate)
    found = minimize(
        lambda at: -objective.value(at)[1], np.zeros(5), jac=lambda at: -objective.gradient_and_precision(at)[0],
        method="BFGS", options={"gtol": 1e-8},
    )  # fmt: skip
    assert fit.parameters == pytest.approx(found.x, abs=1e-4)
    assert fit.steps < 30


def test_the_start_does_not_matter(simulate, truth):
    votes = simulate(truth, 400, 4)
    cold, warm = (fit_head(votes, PRIOR, 0.1, start=start) for start in (None, np.array([3.0, 3, 3, -2, 1])))
    assert cold.parameters == pytest.approx(warm.parameters, abs=1e-4)


def test_simulated_parameters_are_recovered(simulate, truth):
    fit = fit_head(simulate(truth, 40_000, 5), np.full(3, 1e-3), truth.flip_rate)
    assert fit.weights == pytest.approx(truth.weights, abs=0.1)
    assert fit.position_bias == pytest.approx(truth.bias, abs=0.05)
    assert fit.tie == pytest.approx(truth.tie, abs=0.03)


def test_the_interval_of_the_position_bias_covers(simulate, truth):
    fit = fit_head(simulate(truth, 300, 1), np.full(3, 0.5), truth.flip_rate)
    assert fit.position_deviation == pytest.approx(np.sqrt(np.linalg.inv(fit.precision)[-2, -2]))
    covered = 0
    for seed in range(200):
        fit = fit_head(simulate(truth, 300, 1000 + seed), np.full(3, 0.5), truth.flip_rate)
        covered += abs(fit.position_bias - truth.bias) <= 1.96 * fit.position_deviation
    assert 0.90 <= covered / 200 <= 0.99, covered / 200


def test_a_wrong_flip_rate_shrinks_the_reward(simulate, truth):
    fit = fit_head(simulate(truth, 40_000, 5), np.full(3, 1e-3), 0.0)
    assert np.abs(fit.weights[:2]).max() < 1.2


def test_weight_two_is_the_same_as_two_votes(simulate, truth):
    votes = simulate(truth, 60, 6)
    heavy = Votes(votes.difference, votes.outcome, np.where(np.arange(60) < 20, 2.0, 1.0))
    doubled = votes.subset(np.concatenate([np.arange(60), np.arange(20)]))
    assert fit_head(heavy, PRIOR, 0.1).parameters == pytest.approx(fit_head(doubled, PRIOR, 0.1).parameters, abs=1e-5)


def test_swapping_all_sides_only_negates_the_position_bias(simulate, truth):
    votes = simulate(truth, 500, 7)
    one, other = fit_head(votes, PRIOR, 0.1), fit_head(mirrored(votes), PRIOR, 0.1)
    assert one.weights == pytest.approx(other.weights)
    assert one.position_bias == pytest.approx(-other.position_bias)
    assert one.log_evidence == pytest.approx(other.log_evidence)
    assert abs(one.position_bias) > 0.1


# with flips the expected information stands in for the observed one, which may be indefinite; that costs accuracy
@pytest.mark.parametrize(("flip_rate", "nats"), [(0.0, 0.1), (0.1, 0.3)])
def test_evidence_matches_numerical_integration(simulate, truth, flip_rate, nats):
    drawn = simulate(truth, 80, 8)
    votes = Votes(drawn.difference[:, :1], drawn.outcome, drawn.weight)
    objective = Objective(votes, np.array([0.7]), flip_rate)
    fit = fit_head(votes, objective.prior, flip_rate)
    spread = np.sqrt(np.diag(np.linalg.inv(fit.precision)))
    axes = [np.linspace(-5, 5, 17) * s + centre for s, centre in zip(spread, fit.parameters, strict=True)]
    values = [objective.value(np.array(point))[1] for point in itertools.product(*axes)]
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    normaliser = 0.5 * np.log(objective.prior_precision / (2 * np.pi)).sum()
    assert fit.log_evidence == pytest.approx(logsumexp(values) + np.log(cell) + normaliser, abs=nats)


def test_evidence_prefers_the_prior_that_made_the_votes(simulate, truth):
    votes = simulate(truth, 400, 9)
    evidences = [fit_head(votes, np.full(3, precision), truth.flip_rate).log_evidence for precision in (1e-4, 1.0, 1e3)]
    assert np.argmax(evidences) == 1


def test_separable_votes_converge_under_a_weak_prior():
    difference = np.linspace(-3, 3, 50)[:, None]
    fit = fit_head(Votes(difference, np.where(difference[:, 0] > 0, LEFT, RIGHT), np.ones(50)), np.array([1e-3]), 0.0)
    assert 3 < fit.weights[0] < 100


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_diverges(simulate, truth, bad):
    votes = simulate(truth, 30, 10)
    votes.difference[3, 1] = bad
    with np.errstate(invalid="ignore"), pytest.raises(Diverged):
        fit_head(votes, PRIOR, 0.0)


def test_information_of_parts_adds_up(simulate, truth):
    votes, theta = simulate(truth, 40, 11), np.array([0.3, -0.8, 1.1, 0.2, -0.4])
    parts = [score_and_information(votes.subset(np.arange(k, 40, 3)), theta, 0.1) for k in range(3)]
    score, information = score_and_information(votes, theta, 0.1)
    assert sum(part[0] for part in parts) == pytest.approx(score)
    assert sum(part[1] for part in parts) == pytest.approx(information)
