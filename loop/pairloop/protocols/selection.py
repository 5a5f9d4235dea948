"""Selection: what a strategy may look at, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from pairloop.posterior import FloatArray, IntArray, PreferencePosterior

Goal = Literal["reward_model", "policy", "leaderboard"]
"""What the votes are for: a reward model that is right about the pool's pairs, about the best responses of each prompt,
or about the order of the sources that responses come from."""


@dataclass(frozen=True, slots=True)
class SelectionContext:
    """What a strategy may look at.

    Attributes:
        posterior: joint posterior over the R responses of the pool.
        candidates: (N, 2) rows of pairs that may be asked; never asked before, never in flight.
        prompt: (R,) prompt index of each response.
        group: (R,) group index of each response.
        pending: (M, 2) rows of pairs that are in flight: their expected information counts already.
        asked: (M2, 2) rows of training-side pairs that were asked before, have a vote, and are not in flight. The
            posterior has learned from them; they are for methods that keep away from what was asked.
        cost: (N,) price of asking each candidate, > 0.
        per_prompt: at most this many picks of one prompt; 0 for no limit (draws that must be uniform over pairs).
        seed: derived from campaign seed, round and step.
        goal: what the votes are for; strategies without targets have one goal only.
        source: (R,) number of the source (policy or data) that each response comes from, −1 where unknown; None where
            no source is known.
    """

    posterior: PreferencePosterior
    candidates: IntArray
    prompt: IntArray
    group: IntArray
    pending: IntArray
    asked: IntArray
    cost: FloatArray
    per_prompt: int
    seed: int
    goal: Goal = "reward_model"
    source: IntArray | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Picks in order of preference.

    Attributes:
        picks: (k,) indices into ``candidates``, no repeats.
        scores: (k,) the strategy's own score of each pick when it was picked.
        propensity: (k,) probability of inclusion for randomised strategies, NaN for deterministic ones.
    """

    picks: IntArray
    scores: FloatArray
    propensity: FloatArray


class BatchStrategy(Protocol):
    """Chooses a batch. Deterministic given the context, unchanged by swapping the two responses of any pair."""

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; fewer only if the candidates or the per-prompt cap run out."""


Acquisition = Callable[[PreferencePosterior, IntArray], FloatArray]
"""Scalar acquisition: (posterior, (N, 2) candidate rows) → (N,) numbers, bigger is asked first."""
