"""Is there anything to learn from these votes?"""

import numpy as np

from pairloop.errors import Diverged, NoSignal
from pairloop.posterior import FloatArray
from pairloop.protocols import TrainingData
from pairloop_reward.likelihood import LEFT, RIGHT, TIE, Votes

_SURE = 1e-3  # chance, over all annotators, of calling a fair one stuck to a side
_FEWEST = 8  # decisive votes of one annotator before a note is worth it


def require_signal(votes: Votes) -> None:
    """Refuse votes from which no reward can be learned.

    One class means that every decisive vote names the same displayed side. Which response is shown on which side is
    drawn at random, so that says something about the annotators' side and nothing about the responses; and were the
    sides not drawn, the reward could not be told from the position bias.

    Raises:
        NoSignal: no vote, ties only, one side only, or pairs whose features are all equal.
    """
    heavy = votes.weight > 0
    left = int((heavy & (votes.outcome == LEFT)).sum())
    right = int((heavy & (votes.outcome == RIGHT)).sum())
    if not heavy.any():
        raise NoSignal("there is no vote to learn from", "Train again when annotators have answered.")
    if left + right == 0:
        raise NoSignal(
            f"all {int(heavy.sum())} votes are ties, so nothing says which response is better",
            "Ask about more different responses, or ask annotators to decide when they lean to one side.",
        )
    if left == 0 or right == 0:
        side = "left" if right == 0 else "right"
        raise NoSignal(
            f"one class only: all {left + right} decisive votes are for the {side} side as displayed, "
            "which cannot be told from a habit of clicking there (position bias)",
            "Check that the sides are shown in random order and that annotators read both; then collect more votes.",
        )
    decisive = heavy & (votes.outcome != TIE)
    if not votes.difference[decisive].any():
        raise NoSignal(
            "the two responses of every judged pair look the same to the features",
            "Use a reward model with richer features, or check that the responses differ.",
        )


def require_finite(features: FloatArray, data: TrainingData) -> None:
    """Refuse features that are not finite.

    Raises:
        Diverged: names the first such response.
    """
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        response = data.responses[int(bad[0])]
        raise Diverged(
            f"{len(bad)} responses have features that are not finite, first response {response.id} "
            f"of prompt {response.prompt_id}",
            "Look at its text; leave it out or correct it, then train again.",
        )


def stuck_annotators(data: TrainingData) -> tuple[str, ...]:
    """A note for each annotator whose decisive votes all name one side, where chance is no explanation."""
    notes = []
    for index, name in enumerate(data.annotators):
        own = data.outcome[(data.annotator == index) & (data.weight > 0)]
        left, right = int((own == LEFT).sum()), int((own == RIGHT).sum())
        n = left + right
        if n >= _FEWEST and 0 in (left, right) and len(data.annotators) * 2.0 ** (1 - n) < _SURE:
            side = "left" if left else "right"
            notes.append(f"annotator {name} named the {side} side in all {n} decisive votes")
    return tuple(notes)
