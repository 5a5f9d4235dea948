"""The published derivative against finite differences, and what the correction changes."""

from dataclasses import replace

import numpy as np

from pairloop.acquisition.arm import ArmOptions, ArmStrategy, derivative
from pairloop.testing.fakes import fake_context, with_posterior

PUBLISHED = ArmStrategy(ArmOptions(variant="published"))


def fisher(context):
    pairs = context.candidates
    z = context.posterior.whitened[pairs[:, 0]] - context.posterior.whitened[pairs[:, 1]]
    return z, context.posterior.information(pairs)


def logdet(z, information, weights):
    return np.linalg.slogdet(np.eye(z.shape[1]) + (z * (weights * information)[:, None]).T @ z)[1]


def test_the_score_is_the_derivative_of_the_log_determinant_where_all_candidates_have_weight_one():
    context = fake_context()
    z, information = fisher(context)
    step = 1e-5 * np.eye(len(z))
    numeric = [(logdet(z, information, 1 + d) - logdet(z, information, 1 - d)) / 2e-5 for d in step]
    np.testing.assert_allclose(derivative(context), numeric, rtol=1e-6)


def test_published_takes_the_highest_under_the_cap():
    context = fake_context(per_prompt=0)
    worth = derivative(context) / context.cost
    assert PUBLISHED.select(context, 10).picks.tolist() == np.argsort(-worth)[:10].tolist()


def test_corrected_is_greedy_on_the_log_determinant_of_the_batch():
    context = replace(fake_context(pending=0, per_prompt=0), cost=np.ones(90))
    z, information = fisher(context)
    weights, expected = np.zeros(90), []
    for _ in range(12):
        worth = [-np.inf if weights[k] else logdet(z, information, weights + np.eye(90)[k]) for k in range(90)]
        expected.append(int(np.argmax(worth)))
        weights[expected[-1]] = 1.0
    assert ArmStrategy().select(context, 12).picks.tolist() == expected


def test_many_copies_of_the_best_pair_hide_it_from_the_published_rule():
    # Eight copies share the derivative that one alone would have; each of the two others keeps its own.
    context = fake_context(10, 2, 3, pending=0, per_prompt=0)
    whitened = np.repeat(np.array([[2.0, 0.0, 0.0]] * 8 + [[0.0, 0.5, 0.0], [0.0, 0.0, 0.5]]), 2, axis=0)
    whitened[1::2] *= -1
    context = replace(with_posterior(context, np.zeros(20), whitened), cost=np.ones(10))
    z, information = fisher(context)
    picks = [s.select(context, 2).picks for s in (PUBLISHED, ArmStrategy())]
    copies = [int(np.sum(context.prompt[context.candidates[p, 0]] < 8)) for p in picks]
    published, corrected = (logdet(z, information, np.isin(np.arange(10), p)) for p in picks)
    assert copies[0] == 0
    assert copies[1] >= 1
    assert corrected > published


def test_published_ignores_pairs_in_flight_and_corrected_does_not():
    context = fake_context(pending=30, per_prompt=0)
    without = replace(context, pending=context.pending[:0])
    assert PUBLISHED.select(context, 10).picks.tolist() == PUBLISHED.select(without, 10).picks.tolist()
    assert ArmStrategy().select(context, 10).picks.tolist() != ArmStrategy().select(without, 10).picks.tolist()
