"""Responses for the pool: plain samples of a policy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pairloop.protocols import Generated, PolicyPrompt
from pairloop_policy import models
from pairloop_policy.options import PolicyOptions
from pairloop_policy.runtime import deterministic, device
from pairloop_policy.sampling import Sample, Sampling, sample


def generate(
    policy: Path, prompts: Sequence[PolicyPrompt], n: int, options: PolicyOptions, *, seed: int, threads: int
) -> list[Generated]:
    """``n`` non-empty responses a prompt, in the order of the prompts; the same seed gives the same texts."""
    drawn = draw(policy, prompts, n, options, seed=seed, threads=threads)
    told = told_sampling(options, seed)
    return [Generated(prompts[s.prompt].id, s.text, {**told, "finished": s.finished}) for s in drawn]


def draw(
    policy: Path, prompts: Sequence[PolicyPrompt], n: int, options: PolicyOptions, *, seed: int, threads: int
) -> list[Sample]:
    """``n`` samples a prompt from the policy of a folder."""
    with deterministic(threads):
        loaded = models.load(policy, device(options.device), options.dtype)
        how = Sampling(options.max_new_tokens, options.temperature, options.top_p, allow_empty=False)
        return sample(loaded, prompts, n, how, seed=seed, batch_size=options.batch_size)


def told_sampling(options: PolicyOptions, seed: int) -> dict[str, Any]:
    """The sampling parameters as provenance tells them."""
    return {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "max_new_tokens": options.max_new_tokens,
        "seed": seed,
    }
