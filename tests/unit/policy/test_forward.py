"""Log-probabilities of responses: of the right tokens, whatever the padding."""

import pytest
from policy_toys import toy_prompts

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pairloop_policy import models  # noqa: E402
from pairloop_policy.forward import collate, response_log_probs  # noqa: E402
from pairloop_policy.sampling import Sampling, sample  # noqa: E402


def one_by_one(policy, s, temperature):
    """Feed ever longer prefixes and read the probability of what comes next: slow, without any shifting."""
    out = []
    for t, token in enumerate(s.response):
        prefix = torch.tensor([list(s.head + s.response[:t])])
        last = policy.model(input_ids=prefix).logits[0, -1] / temperature
        out.append(float(torch.log_softmax(last, -1)[token]))
    return out


@pytest.mark.parametrize("model", ["initial", "gpt2"])
@torch.no_grad()
def test_log_probs_are_those_of_the_next_token(model, request):
    """Fails if shifted by one, if padding leaks in, or if positions count the padding."""
    policy = models.load(request.getfixturevalue(model), torch.device("cpu"))
    drawn = sample(policy, toy_prompts()[:4], 2, Sampling(10, temperature=1.3), seed=3)
    assert len({len(s.head) for s in drawn}) > 1
    assert len({len(s.response) for s in drawn}) > 1
    got, entropy = response_log_probs(policy.model, collate(drawn, policy.pad, policy.device), 1.3)
    for row, s in enumerate(drawn):
        n = len(s.response)
        assert got[row, :n].tolist() == pytest.approx(one_by_one(policy, s, 1.3), abs=2e-5)
        assert got[row, n:].abs().sum() == entropy[row, n:].abs().sum() == 0


@torch.no_grad()
def test_an_end_of_sequence_counts_even_where_it_is_the_padding_token(policy):
    """Padding is told by length, never by the id."""
    drawn = sample(policy, toy_prompts()[:4], 3, Sampling(30), seed=1)
    finished = [s for s in drawn if s.finished]
    assert finished
    batch = collate(drawn, policy.eos[0], policy.device)
    assert batch.weight.sum(1).tolist() == [len(s.response) for s in drawn]
    got, _ = response_log_probs(policy.model, batch, 1.0)
    again, _ = response_log_probs(policy.model, collate(drawn, policy.pad, policy.device), 1.0)
    torch.testing.assert_close(got, again, atol=1e-5, rtol=0)
