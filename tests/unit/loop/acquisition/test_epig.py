"""EPIG against conditional covariance matrices written out in full."""

from dataclasses import replace

import numpy as np
import pytest

from pairloop.acquisition.epig import EpigOptions, EpigStrategy, Pool
from pairloop.acquisition.functions import expected_information
from pairloop.acquisition.keys import canonical, pair_keys
from pairloop.kit.seeds import derive_seed
from pairloop.testing.fakes import fake_context


def parts(context, pairs):
    pairs = canonical(pairs)
    z = context.posterior.whitened[pairs[:, 0]] - context.posterior.whitened[pairs[:, 1]]
    return z, expected_information(context.posterior, context.posterior.margin(pairs), (z**2).sum(axis=1))


def conditioned(covariance, k, information):
    column = covariance[:, k]
    return covariance - np.outer(column, column) * information / (1 + information * covariance[k, k])


def mutual(covariance, i, j, information):
    """Of two Gaussian observations of margins i and j, from determinants."""
    both = covariance[np.ix_([i, j], [i, j])] + np.diag(1 / information[[i, j]])
    if i == j:  # two separate votes on the same pair
        both = np.full((2, 2), covariance[i, i]) + np.diag(1 / information[[i, i]])
    return 0.5 * np.log(both[0, 0] * both[1, 1] / np.linalg.det(both))


def reference(context, n, targets):
    z, information = parts(context, np.r_[context.candidates, context.pending])
    covariance, size = z @ z.T, len(context.candidates)
    for k in range(size, len(z)):
        covariance = conditioned(covariance, k, information[k])
    drawn = np.argsort(pair_keys(context.candidates, derive_seed(context.seed, "targets")))[:targets]
    prompt = context.prompt[context.candidates[:, 0]]
    is_open, picks, scores = np.ones(size, dtype=bool), [], []
    while len(picks) < n and is_open.any():
        worth = np.full(size, -1.0)
        for i in np.flatnonzero(is_open):
            worth[i] = np.mean([mutual(covariance, i, j, information) for j in drawn]) / context.cost[i]
        k = int(np.argmax(worth))
        picks.append(k)
        scores.append(worth[k])
        covariance = conditioned(covariance, k, information[k])
        is_open[k] = False
        if context.per_prompt and np.sum(prompt[picks] == prompt[k]) >= context.per_prompt:
            is_open &= prompt != prompt[k]
    return picks, scores


@pytest.mark.parametrize(("per_prompt", "pending"), [(0, 0), (1, 5), (2, 12)])
def test_picks_and_scores_equal_those_of_full_matrices(per_prompt, pending):
    context = fake_context(8, 4, 6, seed=3, per_prompt=per_prompt, pending=pending)
    picks, scores = reference(context, 8, 10)
    got = EpigStrategy(EpigOptions(targets=10)).select(context, 8)
    assert got.picks.tolist() == picks
    np.testing.assert_allclose(got.scores, scores, rtol=1e-8)


def test_a_short_list_that_a_cap_empties_is_filled_up_by_first_scores():
    context = fake_context(20, 4, 6, per_prompt=1, pending=0)
    got = EpigStrategy(EpigOptions(short_list=1)).select(context, 20)
    assert len(got.picks) == 20
    assert np.isfinite(got.scores).all()


def test_what_no_target_depends_on_is_worth_nothing():
    # Responses of prompt 0 vary in a direction of their own; with no target among its pairs, EPIG leaves it to last.
    context = fake_context(5, 2, 4, pending=0, per_prompt=0)
    whitened = context.posterior.whitened.copy()
    whitened[:, 3] = 0.0
    whitened[:2] = [[0.0, 0.0, 0.0, 5.0], [0.0, 0.0, 0.0, -5.0]]
    for seed in range(20):
        moved = replace(context, seed=seed, posterior=replace(context.posterior, whitened=whitened))
        pool, prompt = Pool(moved, 3), moved.prompt[moved.candidates[:, 0]]
        if not np.any(pool.targets[:, 3]):
            assert pool.worth()[prompt == 0] == pytest.approx(0.0, abs=1e-12)
            return
    pytest.fail("no seed drew targets without that pair")
