"""Acquisition values against dense integration, and their symmetries."""

import numpy as np
import pytest
from scipy.special import entr, expit

from pairloop.acquisition.functions import (
    bald,
    entropy,
    expected_information,
    mutual_information,
    vote_information,
)
from pairloop.acquisition.quadrature import gaussian_mean
from pairloop.posterior import PreferencePosterior
from pairloop.testing.fakes import fake_context, fake_posterior

MARGINS = [0.0, 0.3, 1.0, 2.5, 6.0]
VARIANCES = [1e-4, 0.05, 0.5, 2.0, 9.0, 60.0]
GRID = np.linspace(-80, 80, 160_001)


def integral(function, mean, variance):
    density = np.exp(-((GRID - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    # A grid of 0.001 resolves a standard deviation of 0.01 well.
    return np.trapezoid(function(GRID) * density, GRID)


def each():
    m, v = np.meshgrid(MARGINS, VARIANCES)
    return m.ravel(), v.ravel()


@pytest.mark.parametrize("flip_rate", [0.0, 0.1, 0.3])
def test_bald_is_the_mutual_information(flip_rate):
    def p(x):
        return (1 - 2 * flip_rate) * expit(x) + flip_rate

    def h(q):
        return entr(q) + entr(1 - q)

    m, v = each()
    exact = [h(integral(p, a, b)) - integral(lambda x: h(p(x)), a, b) for a, b in zip(m, v, strict=True)]
    np.testing.assert_allclose(mutual_information(m, v, flip_rate), exact, atol=3e-5)


@pytest.mark.parametrize(("flip_rate", "tie"), [(0.0, 0.0), (0.1, 0.0), (0.05, 0.7)])
def test_expected_information_is_the_average_over_the_margin(flip_rate, tie):
    m, v = each()
    exact = [integral(lambda x: vote_information(x, flip_rate, tie), a, b) for a, b in zip(m, v, strict=True)]
    posterior = PreferencePosterior(np.zeros(1), np.zeros((1, 1)), flip_rate=flip_rate, tie=tie)
    np.testing.assert_allclose(expected_information(posterior, m, v), exact, atol=3e-4)
    np.testing.assert_allclose(expected_information(posterior, m, v, 0), vote_information(m, flip_rate, tie))


def test_information_without_ties_equals_that_of_the_posterior():
    posterior = fake_posterior(40, 5, seed=3)
    for flip_rate in (0.0, 0.2):
        noisy = PreferencePosterior(posterior.mean, posterior.whitened, flip_rate=flip_rate)
        pairs = np.stack([np.arange(20), np.arange(20, 40)], axis=1)
        np.testing.assert_allclose(vote_information(noisy.margin(pairs), flip_rate), noisy.information(pairs))


def test_information_with_ties_is_the_variance_of_the_score():
    # Davidson's model is an exponential family in s = ½, −½, 0, so the information is Var(s).
    m, nu = np.linspace(-6, 6, 25), 0.8
    weights = np.stack([np.exp(m / 2), np.exp(-m / 2), np.full_like(m, nu)])
    win, lose, _ = weights / weights.sum(axis=0)
    np.testing.assert_allclose(vote_information(m, 0.0, nu), (win + lose) / 4 - ((win - lose) / 2) ** 2)


def test_temperature_is_a_change_of_units():
    posterior = fake_posterior(40, 5, seed=3)
    hot = PreferencePosterior(posterior.mean, posterior.whitened, temperature=2.0)
    cool = PreferencePosterior(posterior.mean / 2, posterior.whitened / 2)
    pairs = np.stack([np.arange(20), np.arange(20, 40)], axis=1)
    np.testing.assert_allclose(bald(hot, pairs), bald(cool, pairs), rtol=1e-9, atol=1e-12)
    information = [expected_information(p, p.margin(pairs), p.variance(pairs)) for p in (hot, cool)]
    np.testing.assert_allclose(information[0] * 4, information[1])


def test_entropy_is_that_of_the_predictive_probability():
    context = fake_context()
    p = context.posterior.probability(context.candidates)
    np.testing.assert_allclose(
        entropy(context.posterior, context.candidates), -(p * np.log(p) + (1 - p) * np.log1p(-p))
    )


@pytest.mark.parametrize("function", [bald, entropy])
def test_swapping_sides_changes_no_more_than_rounding(function):
    context = fake_context(seed=4)
    swapped = context.candidates[:, ::-1]
    np.testing.assert_allclose(
        function(context.posterior, swapped), function(context.posterior, context.candidates), rtol=1e-12
    )


def test_extremes_stay_finite_and_not_numbers_stay_visible():
    m = np.array([0.0, 1e3, 1e6, np.nan, 5.0])
    v = np.array([0.0, 1e-12, 1e12, 1.0, np.nan])
    for values in (mutual_information(m, v, 0.0), gaussian_mean(vote_information, m, v, 9)):
        assert np.isfinite(values[:3]).all()
        assert np.isnan(values[3:]).all()
    assert mutual_information(np.zeros(1), np.zeros(1), 0.0)[0] == pytest.approx(0.0, abs=1e-12)
    assert mutual_information(np.zeros(1), np.array([1e8]), 0.0)[0] == pytest.approx(np.log(2), abs=1e-3)
