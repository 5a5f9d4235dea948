"""Lazy farthest-first traversal against the full matrix of distances."""

from dataclasses import replace

import numpy as np
import pytest

from pairloop.acquisition import nearest, picking
from pairloop.acquisition.coreset import CoresetStrategy
from pairloop.acquisition.keys import canonical
from pairloop.testing.fakes import fake_context, with_posterior


def vectors(context, pairs):
    pairs = canonical(pairs)
    whitened = context.posterior.whitened.astype(np.float64)
    return whitened[pairs[:, 0]] - whitened[pairs[:, 1]]


def reference(context, n):
    z, prompt = vectors(context, context.candidates), context.prompt[context.candidates[:, 0]]
    centres = [*vectors(context, context.pending), *vectors(context, context.asked)] or [np.zeros(z.shape[1])]
    is_open, picks, scores = np.ones(len(z), dtype=bool), [], []
    while len(picks) < n and is_open.any():
        apart = [np.minimum(np.linalg.norm(z - c, axis=1), np.linalg.norm(z + c, axis=1)) for c in centres]
        worth = np.where(is_open, np.min(apart, axis=0) / context.cost, -1.0)
        k = int(np.argmax(worth))
        picks.append(k)
        scores.append(worth[k])
        centres.append(z[k])
        is_open[k] = False
        if context.per_prompt and np.sum(prompt[picks] == prompt[k]) >= context.per_prompt:
            is_open &= prompt != prompt[k]
    return picks, scores


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("per_prompt", [0, 1, 2])
@pytest.mark.parametrize(("pending", "asked"), [(0, 0), (6, 0), (0, 5), (3, 100)])
def test_picks_equal_those_of_a_full_pass_before_every_pick(seed, per_prompt, pending, asked, monkeypatch):
    monkeypatch.setattr(picking, "_BLOCK", 8)
    monkeypatch.setattr(nearest, "FIRST", 4)
    monkeypatch.setattr(nearest, "_CENTRES", 16)
    context = fake_context(50, 5, 10, seed=seed, per_prompt=per_prompt, pending=pending, asked=asked)
    picks, scores = reference(context, 70)
    got = CoresetStrategy().select(context, 70)
    assert got.picks.tolist() == picks
    np.testing.assert_allclose(got.scores, scores, rtol=1e-6)


def test_single_precision_picks_the_same():
    context = fake_context(50, 5, 10, per_prompt=1)
    context = with_posterior(context, context.posterior.mean, context.posterior.whitened.astype(np.float32))
    assert CoresetStrategy().select(context, 40).picks.tolist() == reference(context, 40)[0]


def test_a_pair_and_its_mirror_image_are_one_point():
    whitened = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0], [-2.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    context = fake_context(3, 2, 2, pending=0, per_prompt=0)
    context = with_posterior(context, np.zeros(6), whitened)
    context = replace(context, candidates=np.array([[0, 1], [2, 3], [4, 5]]), cost=np.ones(3))
    got = CoresetStrategy().select(context, 3)
    assert set(got.picks[:2].tolist()) in ({0, 2}, {1, 2})  # never both of the mirrored pairs first
    np.testing.assert_allclose(got.scores, [2.0, 1.0, 0.0], atol=1e-12)


def test_what_was_asked_in_earlier_rounds_is_covered():
    whitened = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0], [2.1, 0.0], [0.0, 0.0], [0.0, 1.0]])
    context = fake_context(3, 2, 2, pending=0, per_prompt=0)
    context = with_posterior(context, np.zeros(6), whitened)
    context = replace(context, candidates=np.array([[0, 1], [4, 5]]), asked=np.array([[2, 3]]), cost=np.ones(2))
    got = CoresetStrategy().select(context, 2)
    assert got.picks.tolist() == [1, 0]
    np.testing.assert_allclose(got.scores, [np.hypot(2.1, 1.0), 0.1])


def test_few_pairs_are_looked_at_again(monkeypatch):
    context = fake_context(2000, 4, 6, per_prompt=0)
    looked = []
    plain = picking._renewed_best

    def counted(bound, seen, now, renew):
        return plain(bound, seen, now, lambda rows: looked.append(len(rows)) or renew(rows))

    monkeypatch.setattr(picking, "_renewed_best", counted)
    CoresetStrategy().select(context, 50)
    assert sum(looked) < 50 * len(context.candidates) / 3
