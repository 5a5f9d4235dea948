"""BAL-PM against the sum written out, published and corrected."""

import numpy as np
import pytest
from scipy.special import digamma

from pairloop.acquisition.balpm import BalpmOptions, BalpmStrategy
from pairloop.acquisition.functions import bald
from pairloop.acquisition.keys import canonical
from pairloop.testing.fakes import fake_context, with_posterior


def reference(context, n, variant, beta, k):
    value = bald(context.posterior, canonical(context.candidates))
    prompt = context.prompt[context.candidates[:, 0]]
    raw = np.array([context.posterior.whitened[context.prompt == p].mean(axis=0) for p in np.unique(context.prompt)])
    mean, std = raw.mean(axis=0), raw.std(axis=0)
    pool = raw - mean / std if variant == "published" else (raw - mean) / std
    known = raw if variant == "published" else pool
    radius = [np.sort(np.linalg.norm(pool - p, axis=1))[k] for p in pool]
    asked = context.prompt[np.r_[context.pending[:, 0], context.asked[:, 0]]].tolist()
    is_open, picks, scores = np.ones(len(prompt), dtype=bool), [], []
    for _ in range(n):
        near = [sum(np.linalg.norm(pool[i] - known[a]) <= radius[i] for a in asked) for i in range(len(pool))]
        entropy = np.log(2 * np.array(radius) + 1e-4) - digamma(np.array(near) + 1)
        worth = np.where(is_open, value + beta * entropy[prompt], -np.inf)
        j = int(np.argmax(worth))
        picks.append(j)
        scores.append(worth[j])
        asked.append(prompt[j])
        is_open[j] = False
        if context.per_prompt and np.sum(prompt[picks] == prompt[j]) >= context.per_prompt:
            is_open &= prompt != prompt[j]
    return picks, scores


@pytest.mark.parametrize("variant", ["published", "corrected"])
@pytest.mark.parametrize("beta", [0.01, 0.3])
@pytest.mark.parametrize(("per_prompt", "pending", "asked"), [(0, 0, 0), (1, 6, 0), (2, 6, 20), (1, 0, 25)])
def test_picks_equal_those_of_the_formula(variant, beta, per_prompt, pending, asked):
    context = fake_context(20, 3, 5, seed=2, per_prompt=per_prompt, pending=pending, asked=asked)
    picks, scores = reference(context, 15, variant, beta, 4)
    got = BalpmStrategy(BalpmOptions(variant=variant, beta=beta, neighbours=4)).select(context, 15)
    assert got.picks.tolist() == picks
    np.testing.assert_allclose(got.scores, scores, rtol=1e-9)


def test_the_published_shift_keeps_asked_neighbourhoods_from_being_seen():
    # Far from the origin the shifted pool is nowhere near the features of what was asked.
    context = fake_context(20, 3, 5, per_prompt=1)
    context = with_posterior(context, context.posterior.mean, context.posterior.whitened + 50.0)
    picks = {
        variant: BalpmStrategy(BalpmOptions(variant=variant, beta=1.0, neighbours=3)).select(context, 10).picks.tolist()
        for variant in ("published", "corrected")
    }
    assert picks["published"] != picks["corrected"]
    assert picks["published"] == reference(context, 10, "published", 1.0, 3)[0]


def test_without_the_entropy_it_is_bald_without_costs():
    context = fake_context(per_prompt=0)
    value = bald(context.posterior, canonical(context.candidates))
    assert BalpmStrategy(BalpmOptions(beta=0.0)).select(context, 9).picks.tolist() == np.argsort(-value)[:9].tolist()


def test_neighbours_may_be_sought_in_a_sample():
    context = fake_context(200, 2, 5, per_prompt=1)
    picks = BalpmStrategy(BalpmOptions(reference=50, beta=0.3)).select(context, 20).picks
    assert len(set(picks.tolist())) == 20
