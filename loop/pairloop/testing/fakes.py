"""Small pools with a known posterior, so that tests of selection need no model and no fit."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from pairloop.posterior import FloatArray, PreferencePosterior
from pairloop.protocols import SelectionContext


def fake_posterior(
    responses: int = 60, dimensions: int = 8, *, seed: int = 0, dtype: type[np.floating] = np.float64
) -> PreferencePosterior:
    """A posterior with random means (standard deviation 1) and coordinates of decaying spectrum, (R,) and (R, D)."""
    generator = np.random.default_rng(seed)
    scales = 1.0 / np.sqrt(1.0 + np.arange(dimensions))
    whitened = generator.standard_normal((responses, dimensions)) * scales
    return PreferencePosterior(generator.standard_normal(responses), whitened.astype(dtype))


def fake_context(
    prompts: int = 15,
    responses: int = 4,
    dimensions: int = 8,
    *,
    seed: int = 0,
    per_prompt: int = 2,
    pending: int = 3,
    asked: int = 0,
) -> SelectionContext:
    """All pairs of ``responses`` responses to each of ``prompts`` prompts; of a shuffled order, the first
    ``pending`` pairs are in flight and the next ``asked`` were asked before; the rest are candidates. Costs differ."""
    generator = np.random.default_rng([seed, 1])
    rows = np.arange(prompts * responses).reshape(prompts, responses)
    pairs = np.array([pair for block in rows for pair in combinations(block.tolist(), 2)]).reshape(-1, 2)
    pairs = generator.permuted(generator.permutation(pairs), axis=1)
    prompt = np.repeat(np.arange(prompts), responses)
    return SelectionContext(
        posterior=fake_posterior(prompts * responses, dimensions, seed=seed),
        candidates=pairs[pending + asked :], prompt=prompt, group=prompt // 2, pending=pairs[:pending],
        asked=pairs[pending : pending + asked],
        cost=generator.uniform(0.5, 2.0, len(pairs) - pending - asked), per_prompt=per_prompt, seed=seed,
    )  # fmt: skip


def read_only(context: SelectionContext) -> SelectionContext:
    """The same context over copies that raise when something writes to them."""
    posterior = replace(
        context.posterior, mean=_frozen(context.posterior.mean), whitened=_frozen(context.posterior.whitened)
    )
    return replace(
        context, posterior=posterior,
        candidates=_frozen(context.candidates), prompt=_frozen(context.prompt), group=_frozen(context.group),
        pending=_frozen(context.pending), asked=_frozen(context.asked), cost=_frozen(context.cost),
    )  # fmt: skip


def with_posterior(context: SelectionContext, mean: FloatArray, whitened: FloatArray) -> SelectionContext:
    """The same context with other means (R,) and coordinates (R, D)."""
    return replace(context, posterior=replace(context.posterior, mean=mean, whitened=whitened))


def _frozen(array: Any) -> Any:
    copy = array.copy()
    copy.flags.writeable = False
    return copy
