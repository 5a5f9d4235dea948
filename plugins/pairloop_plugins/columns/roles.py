"""What a column can hold, and the names under which it is usually found."""

import re
from collections.abc import Iterable, Mapping

CHOICES = ("a", "b", "tie", "both_bad", "skip")
"""What a preference can say of the first and the second response."""

ROLES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("question", "instruction", "query", "context", "input", "user_prompt"),
    "system": ("system_prompt", "system_message"),
    "response_a": (
        "response_1",
        "response1",
        "answer_a",
        "answer_1",
        "answer1",
        "output_a",
        "output_1",
        "completion_a",
    ),
    "response_b": (
        "response_2",
        "response2",
        "answer_b",
        "answer_2",
        "answer2",
        "output_b",
        "output_2",
        "completion_b",
    ),
    "model_a": ("model_1", "model1"),
    "model_b": ("model_2", "model2"),
    "responses": ("answers", "completions", "outputs", "candidates"),
    "chosen": ("preferred", "chosen_response", "response_chosen", "accepted"),
    "rejected": ("dispreferred", "rejected_response", "response_rejected"),
    "chosen_model": ("model_chosen",),
    "rejected_model": ("model_rejected",),
    "conversation_a": ("messages_a",),
    "conversation_b": ("messages_b",),
    "preference": ("winner", "choice", "label", "vote", "preferred_response"),
    "annotator": ("annotator_id", "worker", "worker_id", "judge", "rater", "rater_id"),
    "strength": ("confidence",),
    "reason": ("rationale", "justification", "comment"),
    "seconds": ("duration_seconds",),
    "group": ("topic", "conversation_id"),
    "metadata": (),
    "annotations": (),
    "pairs": (),
}
"""Role: other names of its column. The role's own name is always understood; the others are guesses to confirm."""

SHAPES = (
    ("conversation_a", "conversation_b"),
    ("response_a", "response_b"),
    ("chosen", "rejected"),
    ("responses",),
)
"""The columns of which one set must be there."""

DEFAULT_VALUES: Mapping[str, str] = {
    "a": "a",
    "b": "b",
    "left": "a",
    "right": "b",
    "model_a": "a",
    "model_b": "b",
    "response_a": "a",
    "response_b": "b",
    "tie": "tie",
    "same": "tie",
    "both_bad": "both_bad",
    "both bad": "both_bad",
    "bothbad": "both_bad",
    "tie (bothbad)": "both_bad",
    "tie (both bad)": "both_bad",
    "skip": "skip",
}
"""Preferences that mean one thing only; numbers do not, and need ``values``."""

_NUMBERED = re.compile(r"(response|answer|output|completion)_?(\d+)")


def plain_name(column: str) -> str:
    """A column's name as it is compared: case, blanks and hyphens do not count."""
    return re.sub(r"[\s\-]+", "_", column.strip().casefold())


def candidates(names: Iterable[str]) -> dict[str, list[str]]:
    """For every role the columns that could hold it; a column with the role's own name comes alone."""
    found: dict[str, list[str]] = {}
    plain = {name: plain_name(name) for name in names}
    for role, others in ROLES.items():
        own = [name for name, compared in plain.items() if compared == role]
        hits = own or [name for name, compared in plain.items() if compared in others]
        if hits:
            found[role] = hits
    return found


def numbered(names: Iterable[str]) -> tuple[str, ...]:
    """The columns response_1, response_2, … of one kind, in order, where there are more than two; else none."""
    kinds: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(plain_name(name))
        if match:
            kinds.setdefault(match[1], []).append((int(match[2]), name))
    series = [tuple(name for _, name in sorted(found)) for found in kinds.values() if len(found) > 2]
    return series[0] if len(series) == 1 else ()
