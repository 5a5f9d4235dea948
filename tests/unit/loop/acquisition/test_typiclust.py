"""Clusters, typicality and turns on pools whose structure is known."""

from dataclasses import replace

import numpy as np
import pytest

from pairloop.acquisition import prompts as prompts_module
from pairloop.acquisition.prompts import distances, prompts_of
from pairloop.acquisition.typiclust import TypiclustOptions, TypiclustStrategy, kmeans, typicality
from pairloop.testing.fakes import fake_context, with_posterior

SIZES = (20, 12, 6)


def islands(pending=0):
    """38 prompts of two responses in three far islands of different size; index of the island of each prompt."""
    generator = np.random.default_rng(0)
    island = generator.permutation(np.repeat(np.arange(3), SIZES))
    middle = 100.0 * np.eye(3, 4)[island] + generator.standard_normal((len(island), 4))
    spread = generator.standard_normal((len(island), 4))
    whitened = np.stack([middle + spread, middle - spread], axis=1).reshape(-1, 4)
    context = fake_context(len(island), 2, 4, pending=pending, per_prompt=1)
    return with_posterior(context, context.posterior.mean, whitened), island, middle


def test_a_prompt_lies_at_the_mean_of_its_responses():
    context, _, middle = islands(pending=2)
    prompts = prompts_of(context)
    np.testing.assert_allclose(prompts.coordinates, middle, atol=1e-9)
    assert prompts.asked.sum() == 2


def test_kmeans_finds_islands():
    context, island, _ = islands()
    cluster = kmeans(prompts_of(context), 3, 20, seed=0)
    assert len({(a, b) for a, b in zip(cluster.tolist(), island.tolist(), strict=True)}) == 3


@pytest.mark.parametrize("block", [1, 1 << 25])
def test_typicality_is_the_inverse_mean_distance_to_neighbours_in_the_cluster(block, monkeypatch):
    monkeypatch.setattr(prompts_module, "_BLOCK_BYTES", block)
    _, island, middle = islands()
    got = typicality(middle, island, 5)
    for i in range(len(island)):
        others = np.flatnonzero((island == island[i]) & (np.arange(len(island)) != i))
        near = np.sort(np.linalg.norm(middle[others] - middle[i], axis=1))[:5]
        assert got[i] == pytest.approx(1 / (near.mean() + 1e-5))


def test_turns_go_round_the_clusters_largest_first_and_take_the_most_typical():
    context, island, middle = islands()
    picks = TypiclustStrategy(TypiclustOptions(clusters=3)).select(context, 9).picks
    prompts = context.prompt[context.candidates[picks, 0]]
    assert island[prompts].tolist() == [0, 1, 2] * 3
    worth = typicality(middle, island, 20)
    for k in range(3):
        ranked = sorted(np.flatnonzero(island == k), key=lambda i: -worth[i])
        assert prompts[k::3].tolist() == ranked[:3]


@pytest.mark.parametrize("flying", [True, False])
def test_a_cluster_that_was_asked_about_waits_and_its_prompt_is_not_asked_again_first(flying):
    context, island, _ = islands(pending=1)
    asked = context.prompt[context.pending[0, 0]]
    if not flying:
        context = replace(context, pending=context.asked, asked=context.pending)
    strategy = TypiclustStrategy(TypiclustOptions(clusters=3))
    first = context.prompt[context.candidates[strategy.select(context, 2).picks, 0]]
    assert island[asked] not in island[first]


def test_there_are_as_many_clusters_as_labelled_prompts_and_picks():
    context, island, _ = islands(pending=0)
    asked = context.candidates[np.unique(island[context.prompt[context.candidates[:, 0]]], return_index=True)[1][:2]]
    picks = TypiclustStrategy().select(replace(context, asked=asked), 1).picks
    prompts = context.prompt[context.candidates[picks, 0]]
    assert island[prompts].tolist() == [2]  # three clusters, two of them labelled


def test_the_widest_pair_of_a_prompt_goes_first():
    context = replace(fake_context(6, 4, 5, pending=0, per_prompt=1), cost=np.ones(36))
    variance = context.posterior.variance(context.candidates)
    prompt = context.prompt[context.candidates[:, 0]]
    for k in TypiclustStrategy().select(context, 6).picks:
        assert variance[k] == pytest.approx(variance[prompt == prompt[k]].max())


def test_rewards_are_not_looked_at():
    context = fake_context()
    other = with_posterior(context, context.posterior.mean[::-1], context.posterior.whitened)
    strategy = TypiclustStrategy()
    assert strategy.select(context, 12).picks.tolist() == strategy.select(other, 12).picks.tolist()


def test_distances_between_equal_points_are_zero():
    points = np.random.default_rng(0).standard_normal((5, 3)) + 1e3
    ((_, apart),) = distances(points, points)
    np.testing.assert_array_equal(np.diag(apart), 0.0)
