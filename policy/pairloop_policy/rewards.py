"""The conservative reward: mean − k·std of a scorer's posterior."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pairloop.errors import ContractViolation, Diverged
from pairloop.posterior import FloatArray
from pairloop.protocols import Scorer
from pairloop.records import ResponseView


@dataclass(frozen=True, slots=True)
class Rewards:
    """(N,) conservative rewards, with the posterior mean and standard deviation that they come from."""

    value: FloatArray
    mean: FloatArray
    std: FloatArray


def conservative(scorer: Scorer, responses: Sequence[ResponseView], k: float) -> Rewards:
    """Score responses.

    Raises:
        Diverged: a score is not finite. ContractViolation: not one mean and one standard deviation a response.
    """
    mean, std = (np.asarray(part, dtype=np.float64) for part in scorer.score(responses))
    if mean.shape != (len(responses),) or std.shape != (len(responses),):
        raise ContractViolation(
            f"the scorer returned arrays of shapes {mean.shape} and {std.shape} for {len(responses)} responses."
        )
    bad = np.flatnonzero(~np.isfinite(mean - k * std))
    if len(bad):
        first = responses[int(bad[0])]
        raise Diverged(
            f"the reward of {len(bad)} of {len(responses)} sampled responses is not finite; nothing was kept.",
            f"First such response, to prompt {first.prompt_id}: {first.text[:80]!r}. Retrain the reward model.",
        )
    return Rewards(mean - k * std, mean, std)
