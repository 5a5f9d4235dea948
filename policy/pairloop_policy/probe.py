"""How good a policy is on probe prompts: reward, KL to the reference, length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pairloop.protocols import PolicyPrompt, Scorer
from pairloop_policy.forward import collate, response_log_probs
from pairloop_policy.models import Policy
from pairloop_policy.objective import kl_k1, kl_k3
from pairloop_policy.rewards import conservative
from pairloop_policy.sampling import Sample, Sampling, sample, views


@dataclass(frozen=True, slots=True)
class Probe:
    """Means over all samples of all probe prompts.

    Attributes:
        reward: conservative reward. std: posterior standard deviation of the reward.
        spread: standard deviation of the conservative reward within a prompt.
        kl: k3 estimate of KL(π‖π0), nats a sequence; kl_k1: the k1 estimate.
        length: response tokens. unfinished: share that was cut off.
    """

    reward: float
    std: float
    spread: float
    kl: float
    kl_k1: float
    length: float
    unfinished: float


def evaluate(
    policy: Policy,
    reference: Policy,
    prompts: Sequence[PolicyPrompt],
    scorer: Scorer,
    how: Sampling,
    *,
    samples: int,
    conservatism: float,
    seed: int,
    batch_size: int,
) -> Probe:
    """Sample ``samples`` responses a prompt and judge them. The same seed gives every policy the same luck."""
    drawn = sample(policy, prompts, samples, how, seed=seed, batch_size=batch_size)
    rewards = conservative(scorer, views(drawn, prompts), conservatism)
    k1, k3 = _kl(policy, reference, drawn, how.temperature, batch_size)
    by_prompt = rewards.value.reshape(len(prompts), samples)
    return Probe(
        reward=float(rewards.value.mean()),
        std=float(rewards.std.mean()),
        spread=float(np.sqrt(by_prompt.var(axis=1, ddof=1).mean())),
        kl=k3,
        kl_k1=k1,
        length=float(np.mean([len(s.response) for s in drawn])),
        unfinished=float(np.mean([not s.finished for s in drawn])),
    )


@torch.no_grad()
def _kl(
    policy: Policy, reference: Policy, drawn: Sequence[Sample], temperature: float, batch_size: int
) -> tuple[float, float]:
    k1, k3 = [], []
    for start in range(0, len(drawn), batch_size):
        batch = collate(drawn[start : start + batch_size], policy.pad, policy.device)
        ours, _ = response_log_probs(policy.model, batch, temperature)
        theirs, _ = response_log_probs(reference.model, batch, temperature)
        k1 += kl_k1(ours, theirs).tolist()
        k3 += kl_k3(ours, theirs).tolist()
    return float(np.mean(k1)), float(np.mean(k3))
