"""Best-of-n: unbiased gains, the bound as a bound, and the best sample kept."""

import itertools
import math

import numpy as np
import pytest
from policy_toys import SMALL, WordScorer, toy_job, toy_prompts

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pairloop.errors import UsageError  # noqa: E402
from pairloop.kit.progress import Silent  # noqa: E402
from pairloop_policy.best_of_n import BestOfN, best_of_n_weights, kl_bound  # noqa: E402
from pairloop_policy.checkpoints import hash_folder  # noqa: E402
from pairloop_policy.options import BestOfNOptions  # noqa: E402

OPTIONS = BestOfNOptions(candidates=6, max_new_tokens=14, scratch=SMALL)


def test_weights_give_the_mean_maximum_over_all_subsets():
    values = np.sort(np.random.default_rng(0).normal(size=7))
    for n in (1, 3, 7):
        exact = np.mean([max(part) for part in itertools.combinations(values, n)])
        assert values @ best_of_n_weights(7, n) == pytest.approx(exact)


def test_the_kl_bound_holds_for_a_discrete_policy():
    """Best of n of a categorical policy, by enumeration of its distribution function."""
    p = np.array([0.5, 0.3, 0.2])
    for n in (1, 2, 4, 8):
        tuned = np.diff(np.concatenate([[0.0], np.cumsum(p)]) ** n)
        assert (tuned * np.log(tuned / p)).sum() <= kl_bound(n) + 1e-12
    assert kl_bound(1) == 0.0
    assert kl_bound(4) == pytest.approx(math.log(4) - 0.75)


def test_tuning_measures_and_hands_the_policy_back(initial, tmp_path):
    result = BestOfN(OPTIONS).tune(toy_job(tmp_path / "job", initial), WordScorer(), Silent())
    assert hash_folder(result.checkpoint) == hash_folder(initial)
    assert [m["n"] for m in result.metrics] == [1, 2, 4, 6]
    rewards = [m["reward"] for m in result.metrics]
    assert rewards == sorted(rewards)
    assert rewards[-1] > rewards[0]
    assert result.metrics[-1]["kl"] == kl_bound(6)
    assert "nothing was trained" in result.stop_reason


def test_generation_keeps_the_best_candidate(initial):
    tuner, scorer = BestOfN(OPTIONS), WordScorer("e")
    got = tuner.generate(initial, toy_prompts(), 2, scorer, seed=3)
    assert [g.prompt_id for g in got] == [p.id for p in toy_prompts() for _ in range(2)]
    groups = np.array([t.count("e") for t in scorer.seen]).reshape(-1, 6)
    assert [g.text.count("e") for g in got] == groups.max(axis=1).tolist()
    assert got[0].sampling["best_of"] == 6
    assert got == tuner.generate(initial, toy_prompts(), 2, WordScorer("e"), seed=3)
    plain = tuner.generate(initial, toy_prompts(), 2, None, seed=3)
    assert "best_of" not in plain[0].sampling


def test_nothing_to_measure_on_is_an_error(initial, tmp_path):
    with pytest.raises(UsageError, match="no prompt"):
        BestOfN(OPTIONS).tune(toy_job(tmp_path / "job", initial, prompts=[], probe=[]), WordScorer(), Silent())
