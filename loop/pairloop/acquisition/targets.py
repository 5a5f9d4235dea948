"""What a batch should make more certain: contrasts of rewards that stand for the goal of the campaign.

A target is a direction z* in whitened coordinates, scaled by the square root of its weight. What the targets are
depends on ``selection.goal``:

- ``reward_model``: pairs of the pool, drawn uniformly.
- ``policy``: in draws from the posterior, the best response of a prompt against its second best (top two of Thompson
  sampling: Russo 2016). A policy that picks or imitates the best loses nothing where bad responses are ranked wrongly.
- ``leaderboard``: mean reward of each source of responses against each other one, prompts' means taken out; weighted
  by the chance that their order is wrong, relative to the variance that the contrast has.

Pairs weigh ``I* / (1 + I* q*)``, with q* the variance of the target's margin and I* the information of a vote on it.
The fall of the weighted variance is then, to first order, twice the information that the batch gives about the
targets' votes (EPIG: Bickford Smith et al. 2023), and no target weighs more than a vote can tell: one odd text with a
huge variance does not draw the batch to itself.
"""

import numpy as np

from pairloop.acquisition.functions import expected_information
from pairloop.acquisition.geometry import Float64Array, differences
from pairloop.acquisition.keys import canonical, pair_keys
from pairloop.kit.seeds import derive_seed, generator
from pairloop.posterior import IntArray
from pairloop.protocols import SelectionContext

DRAWS = 16  # posterior draws of the policy goal


def target_directions(context: SelectionContext, count: int) -> Float64Array:
    """(M, D) finite weighted directions, M ≤ ``count`` (leaderboard: one for each two sources).

    Where the goal gives none (no prompt with two responses, one source only), the pairs of the pool stand in.
    """
    found = np.empty((0, context.posterior.whitened.shape[1]))
    if context.goal == "leaderboard":
        found = _sources(context)
    elif context.goal == "policy":
        found = _weighted(context, _best_against_second(context, count))
    return found if len(found) else _weighted(context, _of_pool(context, count))


def _weighted(context: SelectionContext, pairs: IntArray) -> Float64Array:
    posterior = context.posterior
    z = differences(posterior.whitened, pairs)
    variance = np.einsum("md,md->m", z, z)
    information = expected_information(posterior, posterior.margin(pairs), variance)
    weight = information / (1.0 + information * variance)
    kept = np.isfinite(variance * weight)
    return np.asarray(np.sqrt(weight[kept])[:, None] * z[kept])


def _of_pool(context: SelectionContext, count: int) -> IntArray:
    """Up to ``count`` pairs, asked or not: those that a strategy took out must not drop out of what matters."""
    pairs = canonical(np.concatenate([context.candidates, context.pending, context.asked]))
    keys = pair_keys(pairs, derive_seed(context.seed, "targets"))
    if len(keys) > count:
        first = np.argpartition(keys, count - 1)[:count]
        pairs, keys = pairs[first], keys[first]
    return pairs[np.argsort(keys, kind="stable")]


def _best_against_second(context: SelectionContext, count: int) -> IntArray:
    """Best and second best of each prompt in `DRAWS` draws; at most about ``count`` pairs, of prompts drawn by seed."""
    posterior = context.posterior
    rows = np.unique(context.candidates)
    rng = generator(derive_seed(context.seed, "policy targets"))
    prompts = np.unique(context.prompt[rows])
    few = max(count // DRAWS, 1)
    if len(prompts) > few:
        rows = rows[np.isin(context.prompt[rows], rng.choice(prompts, few, replace=False))]
    noise = rng.standard_normal((posterior.whitened.shape[1], DRAWS))
    with np.errstate(invalid="ignore", over="ignore"):
        draws = np.asarray(posterior.mean[rows], np.float64)[:, None] + posterior.whitened[rows] @ noise
    rows, draws = rows[np.isfinite(draws).all(axis=1)], draws[np.isfinite(draws).all(axis=1)]
    return canonical(np.concatenate([_top_two(rows, context.prompt[rows], draws[:, k]) for k in range(DRAWS)]))


def _top_two(rows: IntArray, prompt: IntArray, reward: Float64Array) -> IntArray:
    order = np.lexsort((-reward, prompt))
    starts = np.flatnonzero(np.r_[True, prompt[order][1:] != prompt[order][:-1]]) if len(order) else order
    starts = starts[np.r_[np.diff(starts), len(order) - starts[-1:]].astype(np.int64) > 1]
    return np.asarray(np.stack([rows[order[starts]], rows[order[starts + 1]]], axis=1), np.int64).reshape(-1, 2)


def _sources(context: SelectionContext) -> Float64Array:
    """Contrasts between the sources' mean rewards, prompts' means taken out."""
    rows = np.unique(context.candidates)
    source = context.source[rows] if context.source is not None else np.zeros(len(rows), dtype=np.int64)
    rows, source = rows[source >= 0], source[source >= 0]
    g = np.column_stack([context.posterior.whitened[rows], context.posterior.mean[rows]]).astype(np.float64)
    kept = np.isfinite(g).all(axis=1)
    g, source, prompt = g[kept], source[kept], context.prompt[rows][kept]
    place, of_prompt = _means(g, prompt)
    means = _means(g - of_prompt[place], source)[1]
    one, other = np.triu_indices(len(means), 1)
    contrast = means[one] - means[other]
    z, margin = contrast[:, :-1], contrast[:, -1]
    deviation = np.sqrt(np.einsum("md,md->m", z, z))
    known = deviation > 0
    ratio = margin[known] / deviation[known]
    weight = np.exp(-0.5 * ratio**2) / deviation[known] ** 2
    return np.asarray(np.sqrt(weight)[:, None] * z[known])


def _means(values: Float64Array, label: IntArray) -> tuple[IntArray, Float64Array]:
    """(position of each row's label, (K, D) mean of the rows of each label)."""
    _, place, counts = np.unique(label, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, place, values)
    return place, sums / np.maximum(counts, 1)[:, None]
