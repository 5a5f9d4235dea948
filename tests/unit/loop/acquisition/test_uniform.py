"""The random draw: its chances are what it says, with and without a cap that binds."""

from dataclasses import replace

import numpy as np
import pytest

from pairloop.acquisition import RandomStrategy
from pairloop.testing.fakes import fake_context


def uneven(per_prompt):
    """Prompts with 1, 3, 6 and 10 candidates."""
    context = fake_context(4, 5, pending=0, per_prompt=per_prompt)
    prompts = context.prompt[context.candidates[:, 0]]
    keep = np.concatenate([np.flatnonzero(prompts == p)[:size] for p, size in enumerate((1, 3, 6, 10))])
    return replace(context, candidates=context.candidates[keep], cost=context.cost[keep])


@pytest.mark.parametrize("per_prompt", [0, 2, 10])
def test_pairs_are_drawn_as_often_as_their_propensity_says(per_prompt):
    context, draws, n = uneven(per_prompt), 4000, 5
    counts, propensity = np.zeros(20), np.full(20, np.nan)
    for seed in range(draws):
        chosen = RandomStrategy().select(replace(context, seed=seed), n)
        counts[chosen.picks] += 1
        propensity[chosen.picks] = chosen.propensity
    expected = draws * propensity
    deviations = (counts - expected) / np.sqrt(expected * (1 - propensity))
    assert np.abs(deviations).max() < 4.5
    assert propensity.sum() == pytest.approx(n)


def test_without_a_binding_cap_every_pair_has_the_same_chance():
    assert set(RandomStrategy().select(uneven(0), 5).propensity.tolist()) == {0.25}
    assert set(RandomStrategy().select(uneven(10), 5).propensity.tolist()) == {0.25}


def test_inverse_propensity_weights_estimate_the_pool_without_bias_under_a_cap():
    context = uneven(1)
    value = context.prompt[context.candidates[:, 0]].astype(float)
    estimates = []
    for seed in range(4000):
        chosen = RandomStrategy().select(replace(context, seed=seed), 3)
        estimates.append(np.sum(value[chosen.picks] / chosen.propensity) / len(value))
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert np.mean(estimates) == pytest.approx(value.mean(), abs=4 * error)
    assert error < 0.05


def test_the_draw_does_not_depend_on_the_order_of_the_candidates():
    context = uneven(2)
    shuffled = np.random.default_rng(0).permutation(20)
    other = replace(context, candidates=context.candidates[shuffled], cost=context.cost[shuffled])
    picks = RandomStrategy().select(context, 5).picks
    assert shuffled[RandomStrategy().select(other, 5).picks].tolist() == picks.tolist()


def test_other_seeds_give_other_draws():
    context = uneven(0)
    drawn = {tuple(RandomStrategy().select(replace(context, seed=seed), 5).picks.tolist()) for seed in range(20)}
    assert len(drawn) > 15
