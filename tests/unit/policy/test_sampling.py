"""Sampling: the right distribution, and the same text for the same seed, whoever shares the batch."""

import random

import numpy as np
import pytest
from policy_toys import toy_prompts

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pairloop.errors import ConfigError, Diverged  # noqa: E402
from pairloop.protocols import PolicyPrompt  # noqa: E402
from pairloop_policy import models, sampling  # noqa: E402
from pairloop_policy.sampling import Sampling, choose, fit_prompt, sample, to_text, views  # noqa: E402


def texts(drawn):
    return [s.text for s in drawn]


def test_choose_inverts_the_cumulative_distribution():
    logits = torch.tensor([0.5, 0.1, 0.15, 0.25]).log() * 2  # temperature 2 brings the probabilities back
    u = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    counts = torch.bincount(choose(logits.expand(10_000, 4), u, Sampling(1, temperature=2.0)), minlength=4)
    assert counts.tolist() == [5000, 1000, 1500, 2500]


def test_nucleus_keeps_the_smallest_set_that_reaches_top_p():
    logits = torch.tensor([0.5, 0.1, 0.15, 0.25]).log()
    u = (torch.arange(900, dtype=torch.float64) + 0.5) / 900
    counts = torch.bincount(choose(logits.expand(900, 4), u, Sampling(1, top_p=0.8)), minlength=4)
    assert counts.tolist() == [500, 0, 150, 250]


def test_choose_never_takes_an_impossible_token():
    logits = torch.tensor([[float("-inf"), 0.0, float("-inf")]])
    for u in (0.0, 1.0 - 2**-53, 1.0):
        assert choose(logits, torch.tensor([u], dtype=torch.float64), Sampling(1)).item() == 1


def test_logits_that_are_not_finite_are_an_error():
    with pytest.raises(Diverged):
        choose(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0.5]), Sampling(1))


@pytest.mark.parametrize("model", ["initial", "gpt2"])
def test_a_response_does_not_depend_on_its_batch(model, request):
    policy = models.load(request.getfixturevalue(model), torch.device("cpu"))
    prompts, how = toy_prompts(), Sampling(12)
    together = sample(policy, prompts, 3, how, seed=9)
    assert len(set(texts(together))) > 12
    small = sample(policy, prompts, 3, how, seed=9, batch_size=5)
    turned = sample(policy, prompts[::-1], 3, how, seed=9)
    alone = [s for p in prompts for s in sample(policy, [p], 3, how, seed=9)]
    fewer = sample(policy, prompts, 2, how, seed=9)
    assert texts(together) == texts(small) == texts(alone)
    assert texts(together)[:3] == texts(turned)[-3:]
    assert texts(fewer) == [t for i, t in enumerate(texts(together)) if i % 3 < 2]
    assert texts(sample(policy, prompts, 3, how, seed=10)) != texts(together)


def test_the_cache_changes_nothing(policy):
    """Greedy decoding with the cache equals greedy decoding from scratch at every token."""
    (s,) = sample(policy, toy_prompts()[:1], 1, Sampling(8, temperature=1e-4), seed=0)
    for t, token in enumerate(s.response):
        with torch.no_grad():
            logits = policy.model(input_ids=torch.tensor([list(s.head + s.response[:t])])).logits[0, -1]
        assert int(logits.argmax()) == token


def test_global_random_numbers_are_neither_used_nor_moved(policy):
    torch.manual_seed(1)
    first = texts(sample(policy, toy_prompts(), 1, Sampling(6), seed=1))
    torch.manual_seed(2)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert texts(sample(policy, toy_prompts(), 1, Sampling(6), seed=1)) == first
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())


def test_responses_stop_at_the_end_of_sequence_and_text_is_what_was_sampled(policy):
    drawn = sample(policy, toy_prompts(), 4, Sampling(40), seed=2)
    assert any(s.finished for s in drawn)
    for s in drawn:
        ends = [t for t in s.response if t in policy.eos]
        assert len(ends) == int(s.finished)
        assert not ends or s.response[-1] in policy.eos
        assert s.text == to_text(policy, s.response, s.finished)
        assert "</s>" not in s.text
    assert [v.text for v in views(drawn, toy_prompts())] == texts(drawn)
    assert {v.group for v in views(drawn, toy_prompts())} == {p.group for p in toy_prompts()}


def test_an_empty_response_can_be_ruled_out(policy, monkeypatch):
    """A model that wants to end at once is made to say something first."""
    original = sampling.forward

    def wants_to_end(*args, **kwargs):
        logits, cache = original(*args, **kwargs)
        return logits.index_add(2, torch.tensor(policy.eos), torch.tensor(1e3).expand(*logits.shape[:2], 1)), cache

    monkeypatch.setattr(sampling, "forward", wants_to_end)
    ended = [sample(policy, toy_prompts(), 2, Sampling(3, allow_empty=e), seed=1) for e in (True, False)]
    assert all(s.response == policy.eos for s in ended[0])
    assert all(s.response[0] not in policy.eos and s.response[1:] == policy.eos for s in ended[1])


def test_a_prompt_longer_than_the_context_loses_its_beginning(policy):
    long = PolicyPrompt("long", "apple river " * 100 + "How is the moon?", "")
    ids, cut = fit_prompt(policy, long, 20)
    assert len(ids) == policy.context - 20
    assert cut > 0
    assert policy.tokenizer.decode(ids).endswith("How is the moon?\n")
    (s,) = sample(policy, [long], 1, Sampling(20), seed=1)
    assert s.truncated == cut


def test_no_room_for_a_prompt_is_an_error(policy):
    with pytest.raises(ConfigError, match="context is only 96"):
        sample(policy, toy_prompts(), 1, Sampling(96), seed=1)
