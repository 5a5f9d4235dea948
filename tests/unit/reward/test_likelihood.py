"""The likelihood of single votes against its definition and finite differences."""

import numpy as np
import pytest

from pairloop.posterior import PreferencePosterior
from pairloop_reward.likelihood import LEFT, RIGHT, TIE, probabilities, vote_terms

MARGINS = np.array([-6.0, -1.3, -0.2, 0.0, 0.4, 2.0, 5.0])


@pytest.mark.parametrize("flip_rate", [0.0, 0.1, 0.4])
def test_probabilities_sum_to_one_and_match_the_log_likelihood(flip_rate):
    p = probabilities(MARGINS, 0.7, flip_rate)
    assert p.sum(axis=1) == pytest.approx(1.0)
    for outcome in (LEFT, RIGHT, TIE):
        terms = vote_terms(MARGINS, np.log(0.7), flip_rate, np.full(len(MARGINS), outcome))
        assert np.exp(terms.log_likelihood) == pytest.approx(p[:, outcome])


def test_it_is_davidson_without_flips():
    strength = np.exp(1.2), np.exp(0.3)
    total = sum(strength) + 0.8 * np.sqrt(strength[0] * strength[1])
    expected = [strength[0] / total, strength[1] / total, 0.8 * np.sqrt(strength[0] * strength[1]) / total]
    assert probabilities(np.array([0.9]), 0.8, 0.0)[0] == pytest.approx(expected)


def test_tie_odds_at_equal_rewards_are_half_nu_as_the_posterior_says():
    tie = probabilities(np.array([0.0]), 0.6, 0.2)[0, 2]
    assert tie / (1 - tie) == pytest.approx(0.6 / 2)


@pytest.mark.parametrize("flip_rate", [0.0, 0.2])
@pytest.mark.parametrize("outcome", [LEFT, RIGHT, TIE])
def test_scores_match_finite_differences(flip_rate, outcome):
    outcomes, u, step = np.full(len(MARGINS), outcome), np.log(0.7), 1e-5

    def value(shift_margin, shift_tie):
        return vote_terms(MARGINS + shift_margin, u + shift_tie, flip_rate, outcomes).log_likelihood

    terms = vote_terms(MARGINS, u, flip_rate, outcomes)
    assert terms.score_margin == pytest.approx((value(step, 0) - value(-step, 0)) / (2 * step), abs=1e-8)
    assert terms.score_tie == pytest.approx((value(0, step) - value(0, -step)) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("flip_rate", [0.0, 0.2])
def test_information_is_the_expected_outer_product_of_the_scores(flip_rate):
    p = probabilities(MARGINS, 0.7, flip_rate)
    expected = np.zeros((3, len(MARGINS)))
    for outcome in (LEFT, RIGHT, TIE):
        terms = vote_terms(MARGINS, np.log(0.7), flip_rate, np.full(len(MARGINS), outcome))
        margin, tie = terms.score_margin, terms.score_tie
        expected += p[:, outcome] * np.stack([margin**2, margin * tie, tie**2])
    found = np.stack([terms.information_margin, terms.information_cross, terms.information_tie])
    assert found == pytest.approx(expected)


def test_information_of_a_decisive_vote_is_what_selection_assumes():
    posterior = PreferencePosterior(np.array([1.3, 0.0]), np.zeros((2, 1)), flip_rate=0.1)
    terms = vote_terms(np.array([1.3]), -50.0, 0.1, np.array([LEFT]))  # u = −50: no ties
    assert terms.information_margin == pytest.approx(posterior.information(np.array([[0, 1]])))


@pytest.mark.parametrize("flip_rate", [0.0, 0.1])
@pytest.mark.parametrize("margin", [-1e5, 1e5])
def test_huge_margins_stay_finite(flip_rate, margin):
    for outcome in (LEFT, RIGHT, TIE):
        terms = vote_terms(np.array([margin]), -1.0, flip_rate, np.array([outcome]))
        assert all(np.isfinite(getattr(terms, name)).all() for name in terms.__slots__)


def test_mirrored_votes_have_mirrored_scores():
    one = vote_terms(MARGINS, -0.5, 0.1, np.full(7, LEFT))
    other = vote_terms(-MARGINS, -0.5, 0.1, np.full(7, RIGHT))
    assert one.log_likelihood == pytest.approx(other.log_likelihood)
    assert one.score_margin == pytest.approx(-other.score_margin)
