"""REINFORCE leave-one-out and KL estimators as pure functions of tensors.

Kool, van Hoof, Welling 2019, "Buy 4 REINFORCE samples, get a baseline for free!";
Ahmadian et al. 2024, "Back to basics: revisiting REINFORCE-style optimization for learning from human feedback";
Schulman 2020, "Approximating KL divergence" (the names k1 and k3).
"""

import torch
from torch import Tensor


def leave_one_out(rewards: Tensor) -> Tensor:
    """(P, K) advantages: each reward minus the mean of the *other* K − 1 rewards of its prompt; K ≥ 2.

    The baseline of a sample does not depend on that sample, so the gradient stays unbiased.
    """
    k = rewards.shape[1]
    others = (rewards.sum(dim=1, keepdim=True) - rewards) / (k - 1)
    return rewards - others


def rloo_loss(log_probs: Tensor, advantages: Tensor) -> Tensor:
    """Scalar whose gradient is minus the policy gradient, summed over (B,) sequences.

    ``log_probs``: (B,) log-probability of each whole response, with gradient. ``advantages``: (B,), constants.
    The samples come from the policy itself, so there is no importance ratio and nothing to clip.
    """
    return -(advantages.detach() * log_probs).sum()


def kl_k1(log_probs: Tensor, reference: Tensor) -> Tensor:
    """(B,) k1 estimate of KL(π‖π0) of whole sequences: Σ_t log π − log π0. Unbiased; single values may be negative.

    Arguments: (B, T) token log-probabilities, zero on padding, of responses sampled from π.
    """
    return (log_probs - reference).sum(dim=1)


def kl_k3(log_probs: Tensor, reference: Tensor) -> Tensor:
    """(B,) k3 estimate of the same: Σ_t (π0/π − 1 − log π0/π). Unbiased (chain rule), never negative, less noisy."""
    ratio = reference - log_probs
    return (torch.expm1(ratio) - ratio).sum(dim=1)
