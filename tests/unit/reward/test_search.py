"""Prior strength and flip rate are chosen from the votes, by evidence or by left-out groups."""

import numpy as np
import pytest
from scipy.special import expit

from pairloop_reward.crossfit import group_folds, held_out_log_likelihood
from pairloop_reward.head import fit_head
from pairloop_reward.laplace import cholesky, marginal_precision, whiten
from pairloop_reward.likelihood import Votes, probabilities, vote_terms
from pairloop_reward.search import block_precision, choose


def test_groups_are_never_parted_and_parts_are_even():
    group = np.repeat(np.arange(13), np.arange(1, 14))
    parts = group_folds(group, 5)
    assert np.sort(np.concatenate(parts)).tolist() == list(range(len(group)))
    owners = [set(group[part]) for part in parts]
    assert sum(map(len, owners)) == 13
    assert max(map(len, parts)) - min(map(len, parts)) <= 4


def test_fewer_groups_than_folds_give_one_part_a_group():
    assert [len(part) for part in group_folds(np.array([7, 7, 9]), 20)] == [2, 1]


def exact_held_out(votes, rows, fit):
    """The same number by really refitting without the part."""
    rest = np.setdiff1d(np.arange(len(votes)), rows)
    refit, part = fit_head(votes.subset(rest), fit.prior, fit.flip_rate), votes.subset(rows)
    covariance = np.linalg.inv(refit.precision[:-1, :-1])
    design = np.hstack([part.difference, np.ones((len(rows), 1))])
    variance = np.einsum("nd,de,ne->n", design, covariance, design)
    margin = design @ refit.parameters[:-1] / np.sqrt(1 + np.pi * variance / 8)
    return vote_terms(margin, refit.parameters[-1], fit.flip_rate, part.outcome).log_likelihood.sum()


@pytest.mark.parametrize("flip_rate", [0.0, 0.1])
def test_one_step_predicts_left_out_groups_like_a_refit(simulate, truth, flip_rate):
    votes = simulate(truth, 400, 1)
    fit = fit_head(votes, np.ones(3), flip_rate)
    folds = group_folds(np.arange(400) // 10, 20)
    expected = sum(exact_held_out(votes, rows, fit) for rows in folds)
    found = held_out_log_likelihood([votes.subset(rows) for rows in folds], fit)
    assert found == pytest.approx(expected, abs=0.5)
    assert found < fit.log_likelihood


def test_left_out_groups_are_really_left_out():
    """Votes on responses that only their own group knows are not predictable, however well they are memorised."""
    random = np.random.default_rng(2)
    group = np.repeat(np.arange(40), 5)
    difference = np.eye(40)[group] * 3.0
    outcome = np.where(random.random(40) < 0.5, 0, 1)[group]
    votes = Votes(difference, outcome, np.ones(200))
    parts = [votes.subset(rows) for rows in group_folds(group, 20)]
    strong, weak = (fit_head(votes, np.full(40, precision), 0.0) for precision in (100.0, 0.1))
    assert weak.log_evidence > strong.log_evidence + 80
    assert held_out_log_likelihood(parts, weak) < held_out_log_likelihood(parts, strong) + 3
    assert held_out_log_likelihood(parts, weak) < weak.log_likelihood - 100


@pytest.mark.parametrize("groups", [5, 100])
def test_flips_and_signal_are_found(simulate, truth, groups):
    votes = simulate(truth, 6000, 3)
    chosen = choose(votes, np.arange(6000) % groups, (3, 0), (1.0, 0.5), None)
    assert chosen.by_groups == (groups >= 20)
    assert chosen.fit.flip_rate == pytest.approx(truth.flip_rate, abs=0.051)
    assert chosen.fit.weights == pytest.approx(truth.weights, abs=0.3)
    assert chosen.points < 80


def test_few_votes_leave_the_flip_rate_small(simulate, truth):
    assert choose(simulate(truth, 20, 4), np.arange(20), (3, 0), (1.0, 0.5), None).fit.flip_rate <= 0.2


def test_a_fixed_flip_rate_is_kept(simulate, truth):
    assert choose(simulate(truth, 100, 5), np.arange(100), (3, 0), (1.0, 0.5), 0.25).fit.flip_rate == 0.25


def test_a_block_of_noise_gets_the_stronger_prior():
    random = np.random.default_rng(6)
    difference = random.normal(size=(1500, 20))
    p = probabilities(difference[:, 0] * 2.0, 0.3, 0.0)
    outcome = (random.random(1500)[:, None] > np.cumsum(p, axis=1)[:, :2]).sum(axis=1)
    chosen = choose(Votes(difference, outcome, np.ones(1500)), np.arange(1500) % 7, (1, 19), (1.0, 1.0), None)
    assert chosen.taus[0] > 4 * chosen.taus[1]


@pytest.mark.parametrize("groups", [5, 100])
def test_nothing_but_noise_gives_probabilities_near_one_half(groups):
    """By small margins or by a large flip rate; a head that believes its votes says .7 and .3."""
    random = np.random.default_rng(7)
    votes = Votes(random.normal(size=(400, 40)), random.integers(0, 2, 400), np.ones(400))
    chosen = choose(votes, np.arange(400) % groups, (40, 0), (1.0, 0.5), None)
    eager = fit_head(votes, np.full(40, 0.1), 0.0)
    kept = [1.0 - 2.0 * chosen.fit.flip_rate, 1.0]
    size, eager_size = (
        share * np.abs(expit(votes.difference @ fit.weights) - 0.5).mean()
        for share, fit in zip(kept, (chosen.fit, eager), strict=True)
    )
    assert size < 0.6 * eager_size


def test_posterior_margins_cover_the_truth(simulate, truth):
    """Standardised errors of margins are about standard normal: the Laplace posterior is honest."""
    probe, errors = np.random.default_rng(8).normal(size=(50, 3)), []
    for seed in range(40):
        fit = fit_head(simulate(truth, 300, 100 + seed), np.full(3, 0.5), truth.flip_rate)
        deviation = np.sqrt((whiten(probe, cholesky(marginal_precision(fit.precision, 2))) ** 2).sum(axis=1))
        errors.append(probe @ (fit.weights - truth.weights) / deviation)
    assert 0.75 < np.std(errors) < 1.2


def test_block_precision():
    assert block_precision((2, 1), (0.5, 2.0)).tolist() == [4.0, 4.0, 0.25]


def test_a_fixed_prior_is_kept_and_the_flip_rate_still_chosen(simulate, truth):
    votes = simulate(truth, 800, 3)
    chosen = choose(votes, np.zeros(800, dtype=int), (2, 1), (300.0, 300.0), None, fixed=True)
    assert chosen.taus == (300.0, 300.0)
    np.testing.assert_allclose(chosen.fit.prior, 300.0**-2)
    assert 0.0 < chosen.fit.flip_rate < 0.3
