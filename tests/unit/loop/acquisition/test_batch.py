"""Scalar acquisitions made into batches: order, ties, caps, costs, and what is not a number."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from pairloop.acquisition import from_acquisition
from pairloop.acquisition.keys import pair_keys
from pairloop.errors import ContractViolation, UsageError
from pairloop.testing.fakes import fake_context


def table(values):
    """An acquisition that gives the listed values to the candidates, in their order."""
    return lambda posterior, pairs: np.asarray(values)


def context_of(prompts=10, per_prompt=0, cost=None, seed=0):
    context = fake_context(prompts, 3, pending=0, per_prompt=per_prompt, seed=seed)
    return replace(context, cost=np.ones(len(context.candidates)) if cost is None else np.asarray(cost))


def test_picks_fall_in_score_per_cost():
    generator = np.random.default_rng(0)
    scores, cost = generator.random(30), generator.uniform(0.5, 3.0, 30)
    chosen = from_acquisition(table(scores)).select(context_of(cost=cost), 12)
    assert chosen.picks.tolist() == np.argsort(-scores / cost)[:12].tolist()
    np.testing.assert_allclose(chosen.scores, (scores / cost)[chosen.picks])


def test_the_cap_passes_over_the_best_of_a_full_prompt():
    context = context_of(per_prompt=1)
    prompts = context.prompt[context.candidates[:, 0]]
    scores = 100.0 - prompts * 10 + np.random.default_rng(0).random(30)
    chosen = from_acquisition(table(scores)).select(context, 4)
    assert prompts[chosen.picks].tolist() == [0, 1, 2, 3]
    for pick in chosen.picks:
        assert scores[pick] == scores[prompts == prompts[pick]].max()


def test_ties_go_by_the_pair_and_the_seed_not_by_the_place():
    context = context_of()
    order = np.random.default_rng(1).permutation(30)
    shuffled = replace(context, candidates=context.candidates[order])
    picks = from_acquisition(table(np.ones(30))).select(context, 10).picks
    assert order[from_acquisition(table(np.ones(30))).select(shuffled, 10).picks].tolist() == picks.tolist()
    assert picks.tolist() != sorted(picks.tolist())
    reseeded = from_acquisition(table(np.ones(30))).select(replace(context, seed=1), 10).picks
    assert reseeded.tolist() != picks.tolist()


def test_rounding_does_not_decide():
    noise = np.random.default_rng(2).uniform(-1, 1, 30) * 1e-15
    picks = [
        from_acquisition(table(0.3 + e)).select(context_of(), 10).picks.tolist() for e in (noise, -noise, 0 * noise)
    ]
    assert picks[0] == picks[1] == picks[2]


def test_what_is_not_a_number_goes_last_and_is_counted(caplog):
    scores = np.linspace(1, 2, 30)
    scores[[3, 29]], scores[7] = np.nan, np.inf
    with caplog.at_level(logging.WARNING):
        chosen = from_acquisition(table(scores), "mine").select(context_of(), 29)
    assert chosen.picks[0] == 28
    assert set(chosen.picks[-2:].tolist()) < {3, 7, 29}
    assert not {3, 7, 29} & set(chosen.picks[:-2].tolist())
    assert "mine: 3 of 30 candidates" in caplog.text


def test_an_acquisition_never_sees_the_sides():
    seen = []
    context = context_of()
    from_acquisition(lambda posterior, pairs: seen.append(pairs) or np.ones(30)).select(context, 1)
    assert np.all(seen[0][:, 0] < seen[0][:, 1])


@pytest.mark.parametrize("values", [np.ones(29), np.ones((30, 1)), 1.0])
def test_a_wrong_shape_is_named(values):
    with pytest.raises(ContractViolation, match="shape"):
        from_acquisition(table(values)).select(context_of(), 3)


def test_negative_scores_are_refused_only_where_costs_differ():
    scores = -np.linspace(1, 2, 30)
    assert from_acquisition(table(scores)).select(context_of(), 1).picks.tolist() == [0]
    with pytest.raises(ContractViolation, match="negative"):
        from_acquisition(table(scores)).select(context_of(cost=np.linspace(1, 2, 30)), 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cost": np.zeros(30)}, "positive"),
        ({"cost": np.ones(3)}, "shape"),
        ({"candidates": np.zeros((30, 3), int)}, "shape"),
        ({"candidates": np.full((30, 2), 99)}, "outside"),
        ({"pending": np.array([[-1, 0]])}, "outside"),
    ],
)
def test_contexts_that_cannot_be_meant_are_refused(change, said):
    with pytest.raises(UsageError, match=said):
        from_acquisition(table(np.ones(30))).select(replace(context_of(), **change), 3)
    with pytest.raises(UsageError, match="-1"):
        from_acquisition(table(np.ones(30))).select(context_of(), -1)


def test_the_cap_may_pass_over_far_more_pairs_than_are_asked_for():
    context = fake_context(4, 6, pending=0, per_prompt=1)
    context = replace(context, cost=np.ones(len(context.candidates)))
    prompts = context.prompt[context.candidates[:, 0]]
    chosen = from_acquisition(table(10.0 - prompts + np.linspace(0, 0.5, 60))).select(context, 3)
    assert prompts[chosen.picks].tolist() == [0, 1, 2]


def test_keys_belong_to_unordered_pairs_and_seeds():
    pairs = np.stack(np.triu_indices(200, 1), axis=1)
    keys = pair_keys(pairs, 7)
    assert len(np.unique(keys)) == len(pairs)
    assert np.array_equal(keys, pair_keys(pairs[:, ::-1], 7))
    assert not np.any(keys == pair_keys(pairs, 8))
    counts = np.histogram(keys / 2.0**64, bins=20, range=(0, 1))[0]
    assert np.abs(counts - len(pairs) / 20).max() < 4.5 * np.sqrt(len(pairs) / 20)
