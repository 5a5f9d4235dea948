"""Head and annotators together: who counts, what stays as it was, and the posterior against a long random walk."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_expit

from pairloop_reward.head import Objective, fit_head
from pairloop_reward.joint import Panel, fit_joint, left_out_margins, summary
from pairloop_reward.likelihood import Votes, probabilities, vote_terms
from pairloop_reward.reliability import FlipPrior

PRIOR = np.array([0.5, 1.0, 2.0])


def crowd(flip, votes, seed, bias=None, weights=(1.5, -1.0, 0.5)):
    """Votes of annotators with these flip rates and position biases; whose they are comes second."""
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(flip)), votes)
    difference = 1.5 * random.normal(size=(len(owner), len(weights)))
    own = 0.0 if bias is None else bias[owner]
    p = probabilities(difference @ np.array(weights) + own, 0.4, 0.0)
    outcome = (random.random(len(owner))[:, None] > np.cumsum(p, axis=1)[:, :2]).sum(axis=1)
    swapped = (outcome < 2) & (random.random(len(owner)) < flip[owner])
    return Votes(difference, np.where(swapped, 1 - outcome, outcome), np.ones(len(owner))), owner


def names(count):
    return tuple(f"a{k}" for k in range(count))


def joint(votes, owner, flip_rate=0.1, **panel):
    made = Panel(owner, prior=FlipPrior.standard(), names=names(owner.max() + 1), **panel)
    found = fit_joint(votes, made, fit_head(votes, PRIOR, flip_rate))
    return found, summary(made, found)


def numerical_gradient(function, at, step=1e-5):
    return np.array([(function(at + e) - function(at - e)) / (2 * step) for e in step * np.eye(len(at))])


def test_gradient_and_hessian_with_own_flips_and_offsets(simulate, truth):
    random, votes = np.random.default_rng(0), simulate(truth, 50, 1)
    flip = np.where(np.arange(50) < 10, 0.5, 0.4 * random.random(50))
    flip[:3] = 0.0
    objective = Objective(replace(votes, flip=flip, offset=random.normal(size=50)), PRIOR, 0.1)
    theta = np.array([0.3, -0.8, 1.1, 0.2, -0.4])
    gradient, hessian = objective.gradient_and_precision(theta, observed=True)
    assert gradient == pytest.approx(numerical_gradient(lambda at: objective.value(at)[1], theta), abs=1e-6)
    expected = numerical_gradient(lambda at: objective.gradient_and_precision(at)[0], theta)
    assert hessian == pytest.approx(-expected, abs=1e-5)


def test_the_same_flip_rate_for_every_vote_is_the_pooled_likelihood(simulate, truth):
    votes = simulate(truth, 200, 2)
    own = replace(votes, flip=np.full(200, 0.1), offset=np.zeros(200))
    one, other = fit_head(votes, PRIOR, 0.1), fit_head(own, PRIOR, 0.3)
    assert one.parameters == pytest.approx(other.parameters)
    assert one.precision == pytest.approx(other.precision)


def test_left_out_margins_are_those_of_a_refit(simulate, truth):
    votes = simulate(truth, 60, 3)
    fit = fit_head(votes, PRIOR, 0.1)
    margin, variance = left_out_margins(votes, fit)
    for row in range(0, 60, 7):
        rest = fit_head(votes.subset(np.arange(60) != row), PRIOR, 0.1)
        design = np.append(votes.difference[row], 1.0)
        assert margin[row] == pytest.approx(design @ rest.parameters[:-1], abs=0.15)
        expected = design @ np.linalg.inv(rest.precision[:-1, :-1]) @ design
        assert variance[row] == pytest.approx(expected, rel=0.3)


def test_spammers_end_with_next_to_no_weight():
    flip = np.where(np.arange(20) < 5, 0.5, 0.03)
    votes, owner = crowd(flip, np.full(20, 60), 4)
    found, table = joint(votes, owner)
    assert table.weight[:5].max() < 0.15
    assert table.weight[5:].min() > 0.4
    assert table.spammer[:5].min() > 0.5
    # what is left of their votes moves the reward no more than leaving them out does
    honest = owner >= 5
    without = fit_head(found.votes.subset(honest), PRIOR, found.fit.flip_rate)
    pooled = fit_head(votes, PRIOR, 0.1)
    moved, pulled = (np.abs(fit.weights - without.weights).max() for fit in (found.fit, pooled))
    assert moved < 0.2 * pulled


def test_who_always_clicks_left_is_not_believed():
    votes, owner = crowd(np.full(20, 0.03), np.full(20, 60), 5)
    stuck = replace(votes, outcome=np.where(owner < 4, 0, votes.outcome))
    found, table = joint(stuck, owner)
    assert table.weight[:4].max() < 0.25
    assert table.weight[4:].min() > 0.5
    assert table.spammer[:4].min() > 0.9
    pooled, without = fit_head(stuck, PRIOR, 0.1), fit_head(found.votes.subset(owner >= 4), PRIOR, found.fit.flip_rate)
    assert abs(np.mean(table.position_bias[4:])) < 0.3 * abs(pooled.position_bias)
    assert found.fit.weights == pytest.approx(without.weights, abs=0.05)


def test_reliability_is_recovered_from_single_votes_on_different_pairs():
    flip = np.random.default_rng(6).beta(1.5, 6, size=40) / 2
    votes, owner = crowd(flip, np.full(40, 80), 6)
    _, table = joint(votes, owner)
    assert np.corrcoef(table.flip_rate, flip)[0, 1] > 0.7
    assert np.mean((table.flip_low <= flip) & (flip <= table.flip_high)) > 0.85


def test_few_votes_shrink_to_the_pool():
    counts = np.concatenate([np.full(20, 60), np.full(60, 1)])
    votes, owner = crowd(np.full(80, 0.1), counts, 7)
    found, table = joint(votes, owner)
    assert np.ptp(found.votes.flip[owner >= 20]) < 0.02
    assert np.abs(table.position_bias[20:] - found.fit.position_bias).max() < 0.3
    assert table.flip_high[20:].min() > 0.2


def test_the_pool_is_the_mean_over_votes():
    votes, owner = crowd(np.where(np.arange(10) < 5, 0.5, 0.02), np.full(10, 80), 8)
    found, table = joint(votes, owner)
    assert found.fit.flip_rate == pytest.approx(np.mean(table.flip_rate))
    assert 0.15 < found.fit.flip_rate < 0.35


def test_swapping_all_sides_only_mirrors_the_position_biases():
    random = np.random.default_rng(9)
    votes, owner = crowd(np.full(10, 0.1), np.full(10, 40), 9, bias=random.normal(size=10))
    length = random.normal(size=400)
    mirrored = Votes(-votes.difference, np.array([1, 0, 2])[votes.outcome], votes.weight)
    one, first = joint(votes, owner, length=length)
    other, second = joint(mirrored, owner, length=-length)
    assert one.fit.weights == pytest.approx(other.fit.weights, abs=1e-6)
    assert first.position_bias == pytest.approx(-second.position_bias, abs=1e-6)
    assert first.flip_rate == pytest.approx(second.flip_rate, abs=1e-6)
    assert first.length_bias == pytest.approx(second.length_bias, abs=1e-6)


def test_the_order_of_annotators_does_not_matter_and_a_repeat_is_the_same_to_the_bit():
    votes, owner = crowd(np.linspace(0, 0.4, 8), np.full(8, 30), 10)
    one, again, other = (joint(votes, number)[0] for number in (owner, owner, 7 - owner))
    assert np.array_equal(one.fit.parameters, again.fit.parameters)
    assert np.array_equal(one.fit.precision, again.fit.precision)
    assert one.fit.parameters == pytest.approx(other.fit.parameters, abs=1e-6)


def test_a_pool_tells_nobody_apart():
    assert not Panel(np.arange(50)).tells_annotators_apart
    assert not Panel(np.zeros(50, dtype=int)).tells_annotators_apart
    assert Panel(np.array([0, 1, 1])).tells_annotators_apart


def test_unknown_habits_make_the_reward_less_certain():
    votes, owner = crowd(np.full(6, 0.05), np.full(6, 50), 11)
    known = fit_joint(votes, Panel(owner, scales=(0.0, 0.0)), fit_head(votes, PRIOR, 0.05))
    unknown = fit_joint(votes, Panel(owner, scales=(1.0, 0.0)), fit_head(votes, PRIOR, 0.05))
    assert np.linalg.inv(unknown.fit.precision)[-2, -2] > 3 * np.linalg.inv(known.fit.precision)[-2, -2]


class Walk:
    """The joint posterior of (w, b, u), position biases and flip rates (as logits of 2ε), by its definition alone."""

    def __init__(self, votes, owner, mean, concentration, scale):
        self.votes, self.owner, self.count, self.scale = votes, owner, owner.max() + 1, scale
        self.shapes = 2 * mean * concentration, (1 - 2 * mean) * concentration
        self.head = Objective(votes, PRIOR, 0.0)

    def log_density(self, at):
        theta, bias, logit = at[:5], at[5 : 5 + self.count], at[5 + self.count :]
        margin = self.votes.difference @ theta[:3] + theta[3] + bias[self.owner]
        flip = 0.5 * np.exp(log_expit(logit))
        likelihood = vote_terms(margin, theta[4], flip[self.owner], self.votes.outcome).log_likelihood.sum()
        prior = -0.5 * self.head.prior_precision @ (theta - self.head.prior_mean) ** 2
        prior -= 0.5 * ((bias / self.scale) ** 2).sum()
        # the density of 2ε times the slope of the logit
        a, b = self.shapes
        return likelihood + prior + (a * log_expit(logit) + b * log_expit(-logit)).sum()

    def run(self, start, steps, seed):
        """Random walk, one block at a time: (steps, parameters)."""
        random, at, value = np.random.default_rng(seed), start.copy(), self.log_density(start)
        blocks = [np.arange(5), *np.arange(5, len(start)).reshape(2, -1).T]
        sizes, chain = [0.12] + [0.5] * (len(blocks) - 1), np.empty((steps, len(start)))
        for step in range(steps):
            for block, size in zip(blocks, sizes, strict=True):
                proposal = at.copy()
                proposal[block] += size * random.normal(size=len(block)) * (2.5 if len(block) == 2 else 1.0)
                proposed = self.log_density(proposal)
                if np.log(random.random()) < proposed - value:
                    at, value = proposal, proposed
            chain[step] = at
        return chain[steps // 5 :]


@pytest.mark.slow
def test_map_and_posterior_agree_with_a_long_random_walk():
    flip, bias = np.array([0.02, 0.05, 0.1, 0.2, 0.45]), np.array([0.0, 0.5, -0.5, 0.8, 0.0])
    votes, owner = crowd(flip, np.full(5, 80), 12, bias=bias)
    mean, concentration, scale = 0.12, 5.0, 0.5
    panel = Panel(owner, prior=FlipPrior.fixed(mean, concentration), scales=(scale, 0.0), names=names(5))
    found = fit_joint(votes, panel, fit_head(votes, PRIOR, 0.1))
    table = summary(panel, found)
    start = np.concatenate([found.fit.parameters, found.effects.values[:, 0], np.full(5, -1.5)])
    chain = Walk(votes, owner, mean, concentration, scale).run(start, 10_000, 0)
    flips, total = 0.5 * np.exp(log_expit(chain[:, 10:])), chain[:, 5:10] + chain[:, 3:4]
    deviation = np.sqrt(np.diag(np.linalg.inv(found.fit.precision)))
    assert found.fit.weights == pytest.approx(chain[:, :3].mean(axis=0), abs=0.6 * deviation[:3].max())
    assert deviation[:3] == pytest.approx(chain[:, :3].std(axis=0), rel=0.35)
    assert table.flip_rate == pytest.approx(flips.mean(axis=0), abs=0.03)
    assert table.flip_low == pytest.approx(np.quantile(flips, 0.025, axis=0), abs=0.05)
    assert table.flip_high == pytest.approx(np.quantile(flips, 0.975, axis=0), abs=0.05)
    assert table.position_bias == pytest.approx(total.mean(axis=0), abs=0.2)
    assert table.position_high - table.position_low == pytest.approx(3.92 * total.std(axis=0), rel=0.25)


def test_votes_that_a_habit_decided_are_no_evidence_of_care():
    """Who always clicks left never contradicts a model with a strong bias; that is not a low flip rate."""
    votes, owner = crowd(np.full(8, 0.1), np.full(8, 60), 13)
    stuck = replace(votes, outcome=np.where(owner == 0, 0, votes.outcome))
    panel = Panel(owner, prior=FlipPrior.fixed(0.1, 5.0), scales=(4.0, 0.0), names=names(8))
    table = summary(panel, fit_joint(stuck, panel, fit_head(stuck, PRIOR, 0.1)))
    assert table.position_low[0] > 1.0
    assert table.flip_rate[0] > 0.05
    assert table.flip_high[0] > 0.2
