"""V-optimal selection against inverses and traces written out in full, and what its targets are."""

from dataclasses import replace

import numpy as np
import pytest

from pairloop.acquisition.functions import expected_information
from pairloop.acquisition.geometry import far_out as far_out_of
from pairloop.acquisition.keys import canonical
from pairloop.acquisition.logdet import LogdetStrategy
from pairloop.acquisition.targets import target_directions
from pairloop.acquisition.vopt import VoptOptions, VoptStrategy, _Search
from pairloop.posterior import PreferencePosterior
from pairloop.testing.fakes import fake_context, with_posterior


def parts(context, pairs):
    pairs = canonical(pairs)
    z = context.posterior.whitened[pairs[:, 0]] - context.posterior.whitened[pairs[:, 1]]
    return z, expected_information(context.posterior, context.posterior.margin(pairs), (z**2).sum(axis=1))


def reference(context, n):
    """Tries every candidate and recomputes the targets' variance from an inverse each time."""
    z, information = parts(context, context.candidates)
    waiting, waiting_information = parts(context, context.pending)
    precision = np.eye(z.shape[1]) + (waiting * waiting_information[:, None]).T @ waiting
    targets = target_directions(context, 10_000)
    prompt = context.prompt[context.candidates[:, 0]]
    is_open, picks, scores = np.ones(len(z), dtype=bool), [], []
    while len(picks) < n and is_open.any():
        now = np.einsum("md,de,me->m", targets, np.linalg.inv(precision), targets).mean()
        worth = np.full(len(z), -1.0)
        for i in np.flatnonzero(is_open):
            after = np.linalg.inv(precision + information[i] * np.outer(z[i], z[i]))
            worth[i] = (now - np.einsum("md,de,me->m", targets, after, targets).mean()) / context.cost[i]
        k = int(np.argmax(worth))
        picks.append(k)
        scores.append(worth[k])
        precision += information[k] * np.outer(z[k], z[k])
        is_open[k] = False
        if context.per_prompt and np.sum(prompt[picks] == prompt[k]) >= context.per_prompt:
            is_open &= prompt != prompt[k]
    return picks, scores


@pytest.mark.parametrize("goal", ["reward_model", "policy", "leaderboard"])
@pytest.mark.parametrize(("per_prompt", "pending"), [(0, 0), (1, 5), (2, 40)])
def test_picks_and_scores_equal_those_of_full_inverses(per_prompt, pending, goal):
    context = fake_context(12, 4, 6, seed=3, per_prompt=per_prompt, pending=pending, asked=4)
    context = replace(context, goal=goal, source=np.arange(48) % 4)
    picks, scores = reference(context, 10)
    got = VoptStrategy(VoptOptions(targets=10_000, fence=0.0)).select(context, 10)
    assert got.picks.tolist() == picks
    assert got.scores == pytest.approx(scores, rel=1e-8)


def test_single_precision_coordinates_give_nearly_the_same_scores():
    context = fake_context(20, 4, 6, seed=1)
    single = with_posterior(context, context.posterior.mean, context.posterior.whitened.astype(np.float32))
    one, other = VoptStrategy().select(context, 10), VoptStrategy().select(single, 10)
    assert other.scores == pytest.approx(one.scores, rel=1e-3)


def far_out(seed=0):
    """200 pairs in five directions and one pair far out in a direction of its own."""
    rng = np.random.default_rng(seed)
    whitened = np.zeros((402, 6))
    whitened[:400, :5] = rng.standard_normal((400, 5)) * 0.5
    whitened[400, 5] = 8.0
    pairs = np.arange(402).reshape(201, 2)
    return replace(
        fake_context(1, 2, pending=0),
        posterior=PreferencePosterior(np.zeros(402), whitened), candidates=pairs, pending=pairs[:0], asked=pairs[:0],
        prompt=np.repeat(np.arange(201), 2), group=np.repeat(np.arange(201), 2), cost=np.ones(201), per_prompt=0,
    )  # fmt: skip


def test_an_outlier_that_says_nothing_about_others_does_not_come_first():
    context = far_out()
    assert LogdetStrategy().select(context, 1).picks[0] == 200  # what is being avoided
    assert 200 not in VoptStrategy(VoptOptions(fence=0.0)).select(context, 8).picks


def test_pairs_that_lie_far_out_are_asked_last():
    context = far_out()
    assert VoptStrategy().select(context, 201).picks.tolist().index(200) == 200
    assert 200 in VoptStrategy(VoptOptions(fence=0.0)).select(context, 30).picks


def test_few_ordinary_variances_are_called_far_out():
    """Squared lengths of Gaussian differences in one dimension and in many."""
    rng = np.random.default_rng(2)
    for dimensions, share in ((2, 1e-3), (10, 1e-2), (200, 1e-2)):
        variance = (rng.standard_normal((20_000, dimensions)) ** 2).sum(axis=1)
        assert 0 <= far_out_of(variance, 3.0).mean() < share
    wild = variance.copy()
    wild[:4000] *= 9.0
    assert far_out_of(wild, 3.0)[:4000].all()


@pytest.mark.parametrize("variance", [np.zeros(5), np.ones(5), np.array([np.nan, np.inf]), np.empty(0), np.ones(1)])
def test_without_a_spread_nothing_is_far_out(variance):
    assert not far_out_of(variance, 3.0).any()
    assert not far_out_of(np.array([1.0, 2.0, 3.0, 1e9]), 0.0).any()


def test_what_the_pool_repeats_is_asked_first_and_not_twice():
    rng = np.random.default_rng(4)
    whitened = rng.standard_normal((400, 40))
    whitened[200:300:2] = whitened[200] + 0.01 * rng.standard_normal((50, 40))
    whitened[201:301:2] = whitened[201] + 0.01 * rng.standard_normal((50, 40))  # 50 copies of one pair among 200
    pairs = np.arange(400).reshape(200, 2)
    context = replace(
        fake_context(1, 2, pending=0), posterior=PreferencePosterior(np.zeros(400), 0.3 * whitened), candidates=pairs,
        pending=pairs[:0], asked=pairs[:0], prompt=np.repeat(np.arange(200), 2), group=np.repeat(np.arange(200), 2),
        cost=np.ones(200), per_prompt=1,
    )  # fmt: skip
    copies = (VoptStrategy().select(context, 12).picks >= 100) & (VoptStrategy().select(context, 12).picks < 150)
    assert copies[0]
    assert copies.sum() < 6


def test_pairs_that_were_asked_stay_targets():
    context = fake_context(10, 4, pending=0, asked=30)
    assert len(target_directions(context, 10_000)) == len(context.candidates) + 30


def test_targets_of_the_policy_goal_are_the_best_responses():
    context = replace(fake_context(6, 5, pending=0), goal="policy")
    mean = np.tile([0.0, 1.0, 50.0, 40.0, -3.0], 6)
    sharp = with_posterior(context, mean, context.posterior.whitened * 1e-3)
    z = target_directions(sharp, 10_000)
    expected = sharp.posterior.whitened[2::5] - sharp.posterior.whitened[3::5]
    unit = lambda rows: np.abs(rows / np.linalg.norm(rows, axis=1, keepdims=True))  # noqa: E731
    found = {tuple(row) for row in np.round(unit(z), 6)}
    assert found == {tuple(row) for row in np.round(unit(expected), 6)}


def test_targets_of_the_leaderboard_goal_are_the_sources_in_doubt():
    context = replace(fake_context(30, 3, pending=0), goal="leaderboard", source=np.tile([0, 1, 2], 30))
    mean = np.tile([0.0, 0.05, 9.0], 30)
    z = target_directions(with_posterior(context, mean, context.posterior.whitened), 10)
    lengths = np.linalg.norm(z, axis=1)
    assert len(z) == 3
    assert lengths[0] > 100 * lengths[1:].max()  # 0 against 1 is open, 2 leads both by far


@pytest.mark.parametrize("source", [None, np.full(60, -1), np.zeros(60, dtype=int)])
def test_without_sources_the_pool_stands_in(source):
    context = fake_context(15, 4)
    board = replace(context, goal="leaderboard", source=source)
    assert np.array_equal(target_directions(board, 100), target_directions(context, 100))


def test_a_short_list_holds_the_best_and_a_draw_of_the_rest():
    """Half of the pool are copies of the best pair."""
    rng = np.random.default_rng(6)
    whitened = 0.3 * rng.standard_normal((2000, 20))
    whitened[:1000:2] = 3.0 * whitened[0] + 1e-6 * rng.standard_normal((500, 20))
    whitened[1:1001:2] = 3.0 * whitened[1] + 1e-6 * rng.standard_normal((500, 20))
    pairs = np.arange(2000).reshape(1000, 2)
    context = replace(
        fake_context(1, 2, pending=0), posterior=PreferencePosterior(np.zeros(2000), whitened), candidates=pairs,
        pending=pairs[:0], asked=pairs[:0], prompt=np.repeat(np.arange(1000), 2), group=np.repeat(np.arange(1000), 2),
        cost=np.ones(1000), per_prompt=0,
    )  # fmt: skip
    options = VoptOptions(short_list=64, fence=0.0)
    listed = _Search(context, options, 64).rows
    assert len(listed) == 64
    assert (listed < 500).sum() >= 32  # the best by first score are copies
    assert (listed >= 500).sum() >= 10  # but not all that is searched
    few, whole = (VoptStrategy(each).select(context, 4) for each in (options, VoptOptions(fence=0.0)))
    assert few.scores.sum() > 0.95 * whole.scores.sum()
