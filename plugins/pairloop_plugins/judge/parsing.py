"""From what a model wrote to an answer: strictly, since a guess at what it meant would be a vote that nobody cast."""

import math
import re
from collections.abc import Mapping

from pairloop.records import Choice

_WORD = re.compile(r"^\W*(?:(?:final\s+)?(?:answer|verdict)\W+)?(?:response\s+)?(a|b|tie)\W*$", re.IGNORECASE)
_CHOICES = {"a": Choice.LEFT, "b": Choice.RIGHT, "tie": Choice.TIE}
_COVERAGE = 0.5
"""Share of the probability that the three answers must hold between them, for their ratio to mean anything."""


def parse(text: str, *, last_line: bool) -> Choice | None:
    """The choice that the text names: A, B or tie and nothing beside it; None for anything else.

    ``last_line``: the answer stands in the last line that is not empty, after whatever else was written.
    """
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if not lines or (len(lines) > 1 and not last_line):
        return None
    found = _WORD.match(lines[-1].strip())
    return None if found is None else _CHOICES[found[1].lower()]


def soft(log_probabilities: Mapping[str, float]) -> float | None:
    """Probability of the left side from the log-probabilities of first tokens; half of a tie's goes to each side.

    None where A, B and tie together hold less than half of the probability.
    """
    mass = {"a": 0.0, "b": 0.0, "tie": 0.0}
    for token, value in log_probabilities.items():
        word = token.strip().strip("\"'*.:`").lower()
        if word in mass and value <= 1e-6:
            mass[word] += math.exp(value)
    total = sum(mass.values())
    if not _COVERAGE <= total <= 1.0 + 1e-3:
        return None
    return min(max((mass["a"] + mass["tie"] / 2.0) / total, 0.0), 1.0)


def agrees(choice: Choice, p_left: float | None) -> bool:
    """False where a probability says the opposite of the choice, and is not to be used."""
    if p_left is None:
        return True
    return {Choice.LEFT: p_left >= 0.5, Choice.RIGHT: p_left <= 0.5}.get(choice, True)
