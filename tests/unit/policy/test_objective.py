"""The objective and the KL estimators against exact enumeration on toy policies, in float64."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pairloop_policy.objective import kl_k1, kl_k3, leave_one_out, rloo_loss  # noqa: E402

BETA = 0.3
REWARD = torch.tensor([1.0, -0.5, 0.25], dtype=torch.float64)
REFERENCE = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
LOGITS = np.array([0.4, -0.3, 0.1])


def exact_objective(logits):
    p = np.exp(logits) / np.exp(logits).sum()
    return float((p * (REWARD.numpy() - BETA * np.log(p / REFERENCE.numpy()))).sum())


def test_leave_one_out_subtracts_the_mean_of_the_others():
    rewards = torch.tensor([[1.0, 2.0, 6.0]])
    assert leave_one_out(rewards).tolist() == [[1 - 4.0, 2 - 3.5, 6 - 1.5]]


def test_expected_gradient_is_that_of_the_exact_objective():
    """Over all K-tuples of samples of a categorical policy, the RLOO gradient is unbiased for E[r] − β·KL."""
    k, expected = 3, np.zeros(3)
    for picks in itertools.product(range(3), repeat=k):
        logits = torch.tensor(LOGITS, requires_grad=True)
        chosen = torch.log_softmax(logits, 0)[list(picks)]
        probability = float(chosen.detach().sum().exp())
        kl = kl_k1(chosen.detach()[:, None], REFERENCE.log()[list(picks)][:, None])
        advantages = leave_one_out((REWARD[list(picks)] - BETA * kl)[None])[0]
        (rloo_loss(chosen, advantages) / k).backward()
        expected -= probability * logits.grad.numpy()
    h = 1e-6
    finite = [(exact_objective(LOGITS + h * e) - exact_objective(LOGITS - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(expected, finite, atol=1e-8)


def test_advantages_are_constants():
    log_probs = torch.tensor([0.1, 0.2], dtype=torch.float64, requires_grad=True)
    rloo_loss(log_probs, log_probs * 3).backward()
    np.testing.assert_allclose(log_probs.grad.numpy(), [-0.3, -0.6])


def test_kl_estimators_are_unbiased_for_the_sequence_kl():
    """Two tokens of a vocabulary of three, the second depending on the first: enumerate all nine sequences."""
    rng = np.random.default_rng(0)
    policy, reference = (torch.log_softmax(torch.from_numpy(rng.normal(size=(4, 3))), -1) for _ in range(2))

    def tokens(table, a, b):
        return torch.stack([table[0, a], table[1 + a, b]])[None]

    k1 = k3 = exact = 0.0
    for a, b in itertools.product(range(3), repeat=2):
        ours, theirs = tokens(policy, a, b), tokens(reference, a, b)
        weight = float(ours.sum().exp())
        exact += weight * float(ours.sum() - theirs.sum())
        k1 += weight * float(kl_k1(ours, theirs))
        k3 += weight * float(kl_k3(ours, theirs))
        assert float(kl_k3(ours, theirs)) >= 0
    assert k1 == pytest.approx(exact, abs=1e-12)
    assert k3 == pytest.approx(exact, abs=1e-12)
    assert exact > 0.1
