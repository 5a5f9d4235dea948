"""The race of clocks against k-means++ by full passes, and the gradient embedding's symmetry."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pairloop.acquisition import nearest, picking
from pairloop.acquisition.badge import BadgeOptions, BadgeStrategy
from pairloop.acquisition.keys import uniforms
from pairloop.kit.seeds import derive_seed
from pairloop.testing.fakes import fake_context, with_posterior


def embeddings(context, pairs):
    p = context.posterior.probability(pairs)
    z = context.posterior.whitened[pairs[:, 0]].astype(float) - context.posterior.whitened[pairs[:, 1]]
    return (p - (p >= 0.5))[:, None] * z


def race(context, n, origin=True, asked=False):
    """Clocks that run at the rate of the nearest squared distance, every one of them followed at every pick."""
    g, prompt = embeddings(context, context.candidates), context.prompt[context.candidates[:, 0]]
    centres = [*embeddings(context, context.pending), *(embeddings(context, context.asked) if asked else [])]
    centres += [np.zeros(g.shape[1])] if origin else []
    left = -np.log(uniforms(context.candidates, derive_seed(context.seed, "clock")))
    is_open, picks, scores = np.ones(len(g), dtype=bool), [], []
    while len(picks) < n and is_open.any():
        if centres:
            rate = np.min([((g - c) ** 2).sum(axis=1) for c in centres], axis=0) / context.cost
            with np.errstate(divide="ignore", invalid="ignore"):
                wait = np.where(is_open, left / rate, np.inf)
            k = int(np.argmin(wait))
            left = left - wait[k] * rate
        else:
            rate = (g**2).sum(axis=1) / context.cost
            k = int(np.argmax(rate * context.cost))
        picks.append(k)
        scores.append(rate[k])
        centres.append(g[k])
        is_open[k] = False
        if context.per_prompt and np.sum(prompt[picks] == prompt[k]) >= context.per_prompt:
            is_open &= prompt != prompt[k]
    return picks, scores


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("per_prompt", [0, 2])
@pytest.mark.parametrize("pending", [0, 6])
@pytest.mark.parametrize("origin", [True, False])
@pytest.mark.parametrize("asked", [True, False])
def test_lazy_race_equals_the_full_one(seed, per_prompt, pending, origin, asked, monkeypatch):
    monkeypatch.setattr(picking, "_BLOCK", 8)
    monkeypatch.setattr(nearest, "FIRST", 4)
    context = fake_context(50, 5, 10, seed=seed, per_prompt=per_prompt, pending=pending, asked=30)
    picks, scores = race(context, 60, origin, asked)
    got = BadgeStrategy(BadgeOptions(origin=origin, asked=asked)).select(context, 60)
    assert got.picks.tolist() == picks
    np.testing.assert_allclose(got.scores, scores, rtol=1e-6)


@pytest.mark.parametrize("origin", [True, False])
def test_pairs_of_picks_have_the_chances_of_kmeans_plus_plus(origin):
    context = (
        fake_context(2, 3, 3, pending=1, per_prompt=0) if origin else fake_context(3, 2, 3, pending=0, per_prompt=0)
    )
    context = replace(context, cost=np.ones(len(context.candidates)))
    g = embeddings(context, context.candidates)
    centres = [*embeddings(context, context.pending), *([np.zeros(3)] if origin else [])]

    def chances(extra):
        square = np.min([((g - c) ** 2).sum(axis=1) for c in [*centres, *extra]], axis=0)
        return square / square.sum()

    first = chances([]) if origin else np.eye(len(g))[np.argmax((g**2).sum(axis=1))]
    exact = {(a, b): first[a] * chances([g[a]])[b] for a in range(len(g)) for b in range(len(g)) if first[a]}
    strategy, draws = BadgeStrategy(BadgeOptions(origin=origin)), 1000
    seen = Counter(tuple(strategy.select(replace(context, seed=s), 2).picks.tolist()) for s in range(draws))
    for pair, chance in exact.items():
        assert abs(seen[pair] / draws - chance) < 4.5 * np.sqrt(chance * (1 - chance) / draws) + 1e-12, pair


def test_the_embedding_does_not_change_with_the_sides():
    context = fake_context(seed=2)
    np.testing.assert_allclose(
        embeddings(context, context.candidates), embeddings(context, context.candidates[:, ::-1]), atol=1e-12
    )


def test_equal_gradients_are_not_both_picked_while_others_are_left():
    context = fake_context(8, 2, 4, pending=0, per_prompt=0)
    mean, whitened = context.posterior.mean.copy(), context.posterior.whitened.copy()
    mean[2:12] = np.tile(mean[:2], 5)
    whitened[2:12] = np.tile(whitened[:2], (5, 1))
    context = with_posterior(context, mean, whitened)
    prompts = context.prompt[context.candidates[BadgeStrategy().select(context, 3).picks, 0]]
    assert np.sum(prompts < 6) == 1


def test_first_in_the_published_order_is_the_longest_gradient():
    context = fake_context(pending=0)
    g = embeddings(context, context.candidates)
    for seed in range(3):
        got = BadgeStrategy(BadgeOptions(origin=False)).select(replace(context, seed=seed), 4)
        assert got.picks[0] == np.argmax((g**2).sum(axis=1))
