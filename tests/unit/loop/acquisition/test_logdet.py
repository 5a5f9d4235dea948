"""The default strategy against a textbook implementation, and what it promises about ties, flight and outliers."""

import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from dense import dense_greedy

from pairloop.acquisition import lazy_greedy
from pairloop.acquisition.functions import expected_information
from pairloop.acquisition.geometry import conditioning, differences, rounding, squared_lengths
from pairloop.acquisition.keys import canonical, pair_keys
from pairloop.acquisition.logdet import LogdetOptions, LogdetStrategy
from pairloop.testing.fakes import fake_context, with_posterior


def reference(context, n, nodes=9):
    """What `LogdetStrategy` should pick after the first fit with leverage 1."""
    posterior = context.posterior
    whitened = posterior.whitened.astype(np.float64)

    def parts(pairs):
        pairs = canonical(pairs)
        z = whitened[pairs[:, 0]] - whitened[pairs[:, 1]]
        variance = posterior.variance(pairs)
        return z, expected_information(posterior, posterior.margin(pairs), variance, nodes)

    z, information = parts(context.candidates)
    prompt = context.prompt[context.candidates[:, 0]]
    return dense_greedy(
        z, information, context.candidates, n, cost=context.cost, prompt=prompt,
        cap=context.per_prompt, seed=context.seed, pending=list(zip(*parts(context.pending), strict=True)),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("per_prompt", [0, 1, 2])
@pytest.mark.parametrize("pending", [0, 5, 40])
@pytest.mark.parametrize("length", [8, 2048])
def test_picks_equal_those_of_the_dense_algorithm(seed, per_prompt, pending, length, monkeypatch):
    monkeypatch.setattr(lazy_greedy, "_LIST", length)
    context = fake_context(60, 5, 12, seed=seed, per_prompt=per_prompt, pending=pending)
    expected, gains = reference(context, 80)
    got = LogdetStrategy().select(context, 80)
    assert got.picks.tolist() == expected.tolist()
    np.testing.assert_allclose(got.scores, gains, rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_picks_equal_in_single_precision_with_many_more_pairs_than_a_short_list_holds(seed, monkeypatch):
    monkeypatch.setattr(lazy_greedy, "_LIST", 32)
    context = fake_context(400, 6, 10, seed=seed, per_prompt=1, pending=10)
    context = with_posterior(context, context.posterior.mean, context.posterior.whitened.astype(np.float32))
    expected, _ = reference(context, 120)
    assert LogdetStrategy().select(context, 120).picks.tolist() == expected.tolist()


def copies(context):
    """Every prompt repeats the responses of one of five, so that most gains tie exactly."""
    rows = np.arange(len(context.prompt)) % 20
    posterior = context.posterior
    return with_posterior(context, posterior.mean[rows], posterior.whitened[rows])


@pytest.mark.parametrize("cost", [None, "equal"])
@pytest.mark.parametrize("per_prompt", [0, 1])
def test_picks_equal_among_exact_duplicates(cost, per_prompt):
    context = copies(fake_context(300, 4, 6, per_prompt=per_prompt, pending=4))
    if cost == "equal":
        context = replace(context, cost=np.ones(len(context.candidates)))
    expected, _ = reference(context, 60)
    assert LogdetStrategy().select(context, 60).picks.tolist() == expected.tolist()


def test_picks_equal_when_more_pairs_tie_than_are_copied_at_once(monkeypatch):
    monkeypatch.setattr(lazy_greedy, "_LIST", 4)
    monkeypatch.setattr(lazy_greedy, "_LONGEST", 8)
    context = copies(fake_context(300, 4, 6, per_prompt=1))
    context = replace(context, cost=np.ones(len(context.candidates)))
    expected, _ = reference(context, 40)
    assert LogdetStrategy().select(context, 40).picks.tolist() == expected.tolist()


def test_a_stale_gain_that_seems_to_tie_is_renewed_before_it_may_win():
    pairs = np.array([[0, 1], [2, 3]])
    winner, loser = np.argsort(pair_keys(pairs, 0))[::-1]  # the better pair would lose a tie
    coordinates = np.zeros((4, 2))
    coordinates[pairs[winner, 0]] = coordinates[pairs[loser, 0]] = [1.0, 0.0]
    design = lazy_greedy.Design(
        coordinates, pairs, np.full(2, 0.25), np.ones(2), np.ones(2), np.zeros(2, int), 0, 0, np.array([[0.5, 0.0]])
    )
    search = lazy_greedy.Search(design, 1)
    search.gain[winner], search.seen[winner] = search.gain[loser] * (1 + 1e-10), search.known
    search._pick_one()
    assert search.picks == [winner]


def test_first_bounds_hold_for_every_rounding():
    # Responses far from the origin whose differences are small: single precision at its worst.
    generator = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 1e3):
        coordinates = (100 + scale * generator.standard_normal((400, 300))).astype(np.float32)
        pairs = np.arange(400).reshape(200, 2)
        exact = np.square(differences(coordinates, pairs)).sum(axis=1)
        bound = squared_lengths(coordinates, pairs) * (1 + rounding(coordinates))
        assert np.all(bound >= exact)
        np.testing.assert_allclose(bound, exact, rtol=2 * rounding(coordinates))


def test_picks_do_not_depend_on_the_order_of_the_candidates():
    for context in (fake_context(80, 4, per_prompt=1), copies(fake_context(80, 4, per_prompt=1))):
        order = np.random.default_rng(0).permutation(len(context.candidates))
        shuffled = replace(context, candidates=context.candidates[order], cost=context.cost[order])
        picks = LogdetStrategy().select(context, 40).picks
        assert order[LogdetStrategy().select(shuffled, 40).picks].tolist() == picks.tolist()


def test_scores_add_up_to_the_log_determinant():
    context = replace(fake_context(40, 4, 6, per_prompt=0, pending=0), cost=np.ones(240))
    chosen = LogdetStrategy().select(context, 30)
    pairs = canonical(context.candidates[chosen.picks])
    z = context.posterior.whitened[pairs[:, 0]] - context.posterior.whitened[pairs[:, 1]]
    information = expected_information(
        context.posterior, context.posterior.margin(pairs), context.posterior.variance(pairs)
    )
    design = np.eye(6) + (z * information[:, None]).T @ z
    assert chosen.scores.sum() == pytest.approx(np.linalg.slogdet(design)[1])
    assert np.all(np.diff(chosen.scores) <= 1e-12)


@pytest.mark.parametrize("information", [1.0, 1e4])
def test_conditioning_is_the_posterior_given_the_pending_pairs(information):
    generator = np.random.default_rng(0)
    for count in (3, 30):
        z, weights = generator.standard_normal((count, 8)), np.full(count, information)
        used = conditioning(z, weights)
        assert len(used) <= min(count, 8)
        exact = np.linalg.inv(np.eye(8) + (z * weights[:, None]).T @ z)
        np.testing.assert_allclose(np.eye(8) - used.T @ used, exact, atol=1e-9)


def test_a_pair_in_flight_takes_the_worth_from_its_duplicates():
    context = copies(fake_context(300, 4, 6, per_prompt=0, pending=0))
    context = replace(context, cost=np.ones(len(context.candidates)))
    first = LogdetStrategy().select(context, 1)
    flying = context.candidates[first.picks]
    context = replace(context, candidates=np.delete(context.candidates, first.picks, axis=0),
                      cost=np.delete(context.cost, first.picks), pending=flying)  # fmt: skip
    aware = LogdetStrategy().select(context, 1)
    blind = LogdetStrategy(LogdetOptions(count_pending=False)).select(context, 1)
    assert aware.scores[0] < 0.95 * blind.scores[0]

    def content(pair):
        return set((pair % 20).tolist())

    assert content(context.candidates[blind.picks[0]]) == content(flying[0])
    assert content(context.candidates[aware.picks[0]]) != content(flying[0])


def outlying(fitted):
    """A pool in which a tenth of the responses lie ten times as far out."""
    context = fake_context(200, 4, 6, per_prompt=1, pending=0)
    whitened = context.posterior.whitened.copy()
    far = np.arange(len(whitened)) % 10 == 0
    whitened[far] *= 10
    context = with_posterior(context, np.zeros(len(whitened)), whitened)
    posterior = replace(context.posterior, fitted=fitted)
    return replace(context, posterior=posterior, cost=np.ones(len(context.candidates))), far


def test_bounded_leverage_keeps_the_first_batch_from_chasing_outliers():
    context, far = outlying(fitted=False)

    def share(options):
        picks = LogdetStrategy(options).select(context, 40).picks
        return far[context.candidates[picks]].any(axis=1).mean()

    base = far[context.candidates].any(axis=1).mean()
    assert share(LogdetOptions()) > 0.9
    assert share(LogdetOptions(cold_leverage=0.5)) < base + 0.15
    assert share(LogdetOptions(leverage=0.5)) > 0.9  # that one is for after the first fit


def test_leverage_bounds_the_gain_of_any_first_pick():
    context, _ = outlying(fitted=True)
    variance = context.posterior.variance(context.candidates)
    bounded = LogdetStrategy(LogdetOptions(leverage=0.5)).select(context, 1).scores[0]
    assert bounded <= np.log1p(0.25 * np.quantile(variance, 0.5))
    assert bounded < LogdetStrategy().select(context, 1).scores[0]


def test_cheaper_pairs_win_at_equal_information():
    context = copies(fake_context(300, 4, 6, per_prompt=0, pending=0))
    cost = np.where(np.arange(len(context.candidates)) % 3 == 0, 1.0, 2.0)
    picks = LogdetStrategy().select(replace(context, cost=cost), 30).picks
    assert np.all(cost[picks] == 1.0)


def test_a_worthless_pool_is_served_in_the_order_of_the_keys():
    context = with_posterior(fake_context(100, 4), np.zeros(400), np.zeros((400, 8)))
    chosen = LogdetStrategy().select(context, 50)
    assert len(chosen.picks) == 50
    assert set(chosen.scores.tolist()) == {0.0}
    assert chosen.picks.tolist() != sorted(chosen.picks.tolist())


def test_gains_that_are_not_numbers_go_last_and_are_counted(caplog):
    context = fake_context(20, 3, per_prompt=0, pending=0)
    whitened = context.posterior.whitened.copy()
    whitened[0] = np.nan
    with caplog.at_level(logging.WARNING):
        chosen = LogdetStrategy().select(with_posterior(context, context.posterior.mean, whitened), 60)
    touched = (context.candidates == 0).any(axis=1)
    assert touched[chosen.picks[-2:]].all()
    assert np.isnan(chosen.scores[-2:]).all()
    assert np.isfinite(chosen.scores[:-2]).all()
    assert "2 of 60 candidates" in caplog.text
