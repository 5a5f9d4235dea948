"""How good the responses are, and how good a myopic reader takes them to be."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from pairloop.errors import ContractViolation
from pairloop.protocols import GoldScorer
from pairloop.records import JsonObject, PromptContent, Task

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")
_SENTENCES = 32


class NoGold(Exception):
    """A response has no gold score; the message says which."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A pair as displayed, in gold scores and words.

    Attributes:
        left, right: gold scores.
        words: words of the prompt and both responses; ``words_left`` and ``words_right`` of the responses.
    """

    left: float
    right: float
    words: int
    words_left: int
    words_right: int

    @property
    def gap(self) -> float:
        """|Δr|."""
        return abs(self.left - self.right)

    @property
    def best(self) -> float:
        """max(r)."""
        return max(self.left, self.right)


@dataclass(slots=True)
class Gold:
    """Gold scores of responses, each computed once for as long as this object lives.

    Attributes:
        scorer: None: the scores are in the responses' metadata under ``key``.
    """

    scorer: GoldScorer | None
    key: str
    _known: dict[tuple[PromptContent, str, str], float] = field(default_factory=dict)

    def see(self, task: Task) -> Seen:
        """The pair of a task.

        Raises:
            NoGold: a score is missing from the metadata. ContractViolation: the scorer returned no finite number.
        """
        words_left, words_right = len(task.left.split()), len(task.right.split())
        prompt = task.prompt if isinstance(task.prompt, str) else " ".join(turn.content for turn in task.prompt)
        return Seen(
            self._score(task, "left", task.left),
            self._score(task, "right", task.right),
            len(prompt.split()) + words_left + words_right,
            words_left,
            words_right,
        )

    def myopic(self, task: Task, side: str, discount: float) -> float:
        """The gold score with early sentences discounted.

        B-Pref discounts the reward of early steps. What sentence t of T adds, score(1…t) − score(1…t−1), is its
        reward here; with ``discount`` 1 the sum telescopes to the plain score minus that of the empty text, which is
        the same for both responses.
        """
        text = task.left if side == "left" else task.right
        ends = sentence_ends(text)
        before, total = self._score(task, side, ""), 0.0
        for number, end in enumerate(ends, 1):
            here = self._score(task, side, text[:end])
            total += discount ** (len(ends) - number) * (here - before)
            before = here
        return total

    def _score(self, task: Task, side: str, text: str) -> float:
        own = task.left_metadata if side == "left" else task.right_metadata
        if self.scorer is None:
            return _from_metadata(own, self.key, side)
        # Two responses with one text may differ in metadata, which the scorer may look at.
        known = (task.prompt, text, side + task.pair_id)
        if known not in self._known:
            metadata: dict[str, Any] = {**task.prompt_metadata, **own}
            score = float(self.scorer.score(task.prompt, text, metadata))
            if not math.isfinite(score):
                raise ContractViolation(f"the gold scorer returned {score} for a response of pair {task.pair_id}")
            self._known[known] = score
        return self._known[known]


def sentence_ends(text: str) -> list[int]:
    """Where the sentences end, the last at the end of the text; at most 32, the earliest run together."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text) if match.end() < len(text)]
    return [*ends[-(_SENTENCES - 1) :], len(text)]


def _from_metadata(metadata: JsonObject, key: str, side: str) -> float:
    value = metadata.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NoGold(f"the {side} response has no number '{key}' in its metadata")
    return float(value)
