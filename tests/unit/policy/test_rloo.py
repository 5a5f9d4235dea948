"""RLOO jobs: what they raise, what they leave alone, and when they stop."""

import os
from pathlib import Path

import numpy as np
import pytest
from policy_toys import OPTIONS, SMALL, WordScorer, toy_job, toy_prompts

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pairloop.errors import ConfigError, ContractViolation, Diverged, ModelError, UsageError  # noqa: E402
from pairloop.kit.progress import Silent  # noqa: E402
from pairloop.protocols import PolicyPrompt  # noqa: E402
from pairloop_policy import models  # noqa: E402
from pairloop_policy.checkpoints import hash_folder  # noqa: E402
from pairloop_policy.rloo import RLOO  # noqa: E402

CPU = torch.device("cpu")


def tune(job, scorer=None, **options):
    return RLOO(OPTIONS.model_copy(update=options)).tune(job, scorer or WordScorer(), Silent())


def weights(folder):
    return {k: v.clone() for k, v in models.load(folder, CPU).model.state_dict().items()}


@pytest.fixture(scope="module")
def tuned(initial, tmp_path_factory):
    """A finished job: the folder's digest before, its scorer and its result."""
    digest, scorer = hash_folder(initial), WordScorer()
    return digest, scorer, tune(toy_job(tmp_path_factory.mktemp("jobs") / "job", initial), scorer, steps=20)


@pytest.mark.parametrize("word", ["bright", "happy"])
def test_the_reward_goes_up_on_prompts_that_were_not_tuned_on(initial, tmp_path, word):
    result = tune(toy_job(tmp_path / "job", initial), WordScorer(word), steps=20, probe_samples=16)
    s = result.summary
    assert s["probe_reward_after"] > s["probe_reward_before"] + 0.3
    assert s["probe_kl_after"] > 0
    assert s["kept_step"] > 0
    assert "mean − 1·std" in result.stop_reason


def test_the_start_is_the_reference_to_the_bit(tuned):
    """At the first step policy and reference agree: no dropout, no other model, no shifted tokens."""
    _, _, result = tuned
    assert result.metrics[0]["probe_kl"] == 0.0
    assert result.metrics[1]["step"] == 1.0
    assert result.metrics[1]["kl"] == result.metrics[1]["kl_k3"] == 0.0
    assert result.metrics[-1]["kl"] > 0.1


def test_dropout_stays_off(gpt2, tmp_path):
    """With it, policy and reference would differ at the very first step."""
    result = tune(toy_job(tmp_path / "job", gpt2), WordScorer("e"), steps=1)
    assert result.metrics[1]["kl"] == 0.0


def test_inputs_are_untouched(tuned, initial):
    assert hash_folder(initial) == tuned[0]


def test_same_seed_same_numbers_to_the_bit(tuned, initial, tmp_path):
    _, _, first = tuned
    again = tune(toy_job(tmp_path / "again", initial), steps=20)
    assert again.metrics == first.metrics
    assert again.summary == first.summary
    assert hash_folder(again.checkpoint) == hash_folder(first.checkpoint)
    other = tune(toy_job(tmp_path / "other", initial, seed=6), steps=2)
    assert other.metrics[1] != first.metrics[1]


class Rising(WordScorer):
    """Pays more at every call, so the last step is the one that is kept."""

    def score(self, responses):
        mean, std = super().score(responses)
        return mean + 10 * self.calls, std


def test_only_the_last_layers_train(initial, tmp_path):
    result = tune(toy_job(tmp_path / "job", initial), Rising(), steps=4, train_layers=1)
    assert result.summary["kept_step"] == 4
    before, after = weights(initial), weights(result.checkpoint)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith(f"model.layers.{SMALL.layers - 1}.") for name in changed)
    assert result.summary["trained_parameters"] < sum(v.numel() for v in before.values()) / 2


def test_more_layers_than_there_are_is_an_error(initial, tmp_path):
    with pytest.raises(ConfigError, match="has 3 blocks"):
        tune(toy_job(tmp_path / "job", initial), train_layers=4)


def test_the_next_round_is_measured_against_the_same_reference(tuned, initial, tmp_path):
    """The KL goes on from where round 1 ended; an anchor inferred from the policy would put it back to zero."""
    _, _, first = tuned
    second = tune(toy_job(tmp_path / "job", first.checkpoint, initial, seed=8), steps=1)
    assert second.metrics[0]["probe_kl"] == pytest.approx(first.summary["probe_kl_after"], rel=0.5)
    assert second.metrics[1]["kl"] > 0.5
    assert second.summary["probe_kl_before"] == second.metrics[0]["probe_kl"] or second.summary["probe_kl_before"] > 0.5


def test_micro_batches_change_nothing_but_rounding(initial, tmp_path):
    whole, parts = (
        tune(toy_job(tmp_path / str(n), initial), steps=1, prompts_per_microbatch=n).metrics[1] for n in (8, 1)
    )
    for name, value in whole.items():
        assert parts[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def test_the_kl_budget_ends_the_job_and_bounds_what_is_delivered(initial, tmp_path):
    result = tune(toy_job(tmp_path / "job", initial, kl_budget=1.0), steps=40, learning_rate=1e-2, probe_every=1)
    assert "by the KL budget" in result.stop_reason
    assert result.metrics[-1]["kl_smoothed"] > 1.0
    assert result.metrics[-1]["step"] < 40
    kept = next(m for m in result.metrics if m["step"] == result.summary["kept_step"])
    assert kept["probe_kl"] <= 1.0


def test_a_heavier_kl_weight_keeps_the_policy_closer(initial, tmp_path):
    loose, tight = (
        tune(toy_job(tmp_path / str(beta), initial, kl_weight=beta), steps=12).metrics[-1]["probe_kl"]
        for beta in (0.0, 2.0)
    )
    assert tight < 0.5 * loose


def test_adaptive_control_moves_the_kl_weight(initial, tmp_path):
    result = tune(toy_job(tmp_path / "job", initial), steps=3, kl_control="adaptive")
    assert [m["beta"] for m in result.metrics[1:]] == pytest.approx([0.02, 0.02 * 0.98, 0.02 * 0.98**2])


class Misled(WordScorer):
    """Pays for the word while tuning, but on the probe prompts only for anything else: over-optimisation."""

    def score(self, responses):
        mean, std = super().score(responses)
        probes = {p.id for p in toy_prompts()[6:]}
        return np.where([r.prompt_id in probes for r in responses], -mean, mean), std


def test_an_over_optimised_policy_is_not_delivered(initial, tmp_path):
    result = tune(toy_job(tmp_path / "job", initial), Misled(), steps=12, probe_samples=16)
    assert result.metrics[-1]["reward"] > result.metrics[1]["reward"]
    assert result.metrics[-1]["probe_reward"] < result.metrics[0]["probe_reward"]
    assert result.summary["kept_step"] < 12
    if result.summary["kept_step"] == 0:
        before, after = weights(initial), weights(result.checkpoint)
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_scorer_sees_exactly_what_generate_would_return(tuned, initial, tmp_path):
    _, scorer, result = tuned
    assert scorer.seen
    assert not any("<s>" in text or "</s>" in text or "<pad>" in text for text in scorer.seen)
    tuner = RLOO(OPTIONS)
    first = tuner.generate(result.checkpoint, toy_prompts(), 2, None, seed=4)
    assert first == tuner.generate(result.checkpoint, toy_prompts(), 2, None, seed=4)
    assert [g.prompt_id for g in first] == [p.id for p in toy_prompts() for _ in range(2)]
    assert sum(g.text.count("red") for g in first) > sum(
        g.text.count("red") for g in tuner.generate(initial, toy_prompts(), 2, None, seed=4)
    )


def test_truncated_prompts_are_counted(initial, tmp_path):
    prompts = [PolicyPrompt(f"p{i}", f"{i} " + "apple river " * 90, "") for i in range(2)]
    result = tune(toy_job(tmp_path / "job", initial, prompts=prompts), steps=2)
    assert [m["truncated_prompts"] for m in result.metrics[1:]] == [2.0, 2.0]
    assert result.summary["truncated_prompts"] == 4.0


def test_without_probe_prompts_it_says_so(initial, tmp_path):
    result = tune(toy_job(tmp_path / "job", initial, probe=[]), steps=1)
    assert "training prompts" in result.stop_reason
    assert result.summary["probe_is_training"] == 1.0


def test_a_constant_reward_tunes_nothing(initial, tmp_path):
    result = tune(toy_job(tmp_path / "job", initial), WordScorer("zebra"))
    assert "nothing was tuned" in result.stop_reason
    before, after = weights(initial), weights(result.checkpoint)
    assert all(torch.equal(before[name], after[name]) for name in before)


class Broken(WordScorer):
    def __init__(self, value, at):
        super().__init__()
        self.value, self.at = value, at

    def score(self, responses):
        mean, std = super().score(responses)
        if self.calls >= self.at:
            mean[-1] = self.value
        return mean, std


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_reward_that_is_not_finite_keeps_nothing(initial, tmp_path, value):
    job = toy_job(tmp_path / "job", initial)
    with pytest.raises(Diverged, match="nothing was kept"):
        tune(job, Broken(value, at=5))
    assert not (job.folder / "policy").exists()


def test_a_scorer_of_the_wrong_shape_is_named(initial, tmp_path):
    class Short(WordScorer):
        def score(self, responses):
            return super().score(responses[1:])

    with pytest.raises(ContractViolation, match="the scorer returned"):
        tune(toy_job(tmp_path / "job", initial), Short())


def test_no_prompts_is_an_error(initial, tmp_path):
    with pytest.raises(UsageError, match="no prompt"):
        tune(toy_job(tmp_path / "job", initial, prompts=[]))


def test_probe_prompts_that_are_tuned_on_are_an_error(initial, tmp_path):
    with pytest.raises(UsageError, match="must not be tuned on"):
        tune(toy_job(tmp_path / "job", initial, probe=toy_prompts()[:1]))


@pytest.mark.shared
def test_another_vocabulary_than_the_references_is_an_error(initial, tmp_path, request):
    shared = Path(os.environ.get("PAIRLOOP_SHARED", request.config.rootpath.parent / "shared"))
    root = shared / "data" / "tiny-lm"
    if not root.is_dir():
        pytest.skip("the shared data folder is not there")
    with pytest.raises(ModelError, match="different vocabularies"):
        tune(toy_job(tmp_path / "job", root, initial))
