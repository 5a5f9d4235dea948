"""Random choice with known chances: the control arm, the holdout, and the baseline that is hard to beat.

Every pair carries its own random number (`keys`), so the draw does not depend on the order of the candidates.

Without a cap, or where no prompt has more candidates than its cap, this is simple random sampling without
replacement and the propensity is n/N for every pair. Where the cap binds the chances cannot all be equal; the draw is
then in two phases (Särndal, Swensson & Wretman 1992, ch. 9): first ``min(cap, c)`` of the ``c`` candidates of each
prompt, then n of the K survivors, both uniformly. The propensity is the exact product ``min(cap, c)/c · n/K``, so
weights 1/propensity estimate averages over all candidates without bias. (Walking down one shuffled list and skipping
full prompts would have no such formula: survivors of large prompts come early.)
An unweighted estimate under a binding cap is an average over prompts rather than over pairs. Draws that must be
uniform over pairs (control arm, holdout) therefore pass ``per_prompt=0``, which means no cap.
"""

from dataclasses import dataclass

import numpy as np

from pairloop.acquisition import request
from pairloop.acquisition.keys import pair_keys
from pairloop.kit.seeds import derive_seed
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import Selection, SelectionContext


@dataclass(frozen=True, slots=True)
class RandomStrategy:
    """Uniform without replacement; looks neither at the posterior nor at costs. Scores are all 0."""

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks with exact propensities; see `pairloop.protocols.BatchStrategy`."""
        request.check(context, n)
        if not n or not len(context.candidates):
            return request.empty()
        survivors, chance = _within_prompts(context)
        order = np.argsort(pair_keys(context.candidates[survivors], derive_seed(context.seed, "draw")), kind="stable")
        taken = order[:n]
        return request.selection(survivors[taken], np.zeros(len(taken)), chance[taken] * (len(taken) / len(survivors)))


def _within_prompts(context: SelectionContext) -> tuple[IntArray, FloatArray]:
    """First phase: survivors (K,) and their chance of having survived (K,)."""
    prompts = request.prompt_of(context)
    sizes = np.bincount(prompts)
    if context.per_prompt < 1 or sizes.max() <= context.per_prompt:
        return np.arange(len(prompts)), np.ones(len(prompts))
    keys = pair_keys(context.candidates, derive_seed(context.seed, "within prompts"))
    order = np.lexsort((keys, prompts))
    survivors = order[request.capped(prompts[order], context.per_prompt)]
    of_prompt = sizes[prompts[survivors]]
    return survivors, np.minimum(context.per_prompt, of_prompt) / of_prompt
