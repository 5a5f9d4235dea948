"""Outcomes of steps, for people and as facts."""

from typing import Any

from pairloop.cli.output import line, message
from pairloop.steps.base import Advanced, Outcome, Waiting


def outcome_facts(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON values."""
    if isinstance(outcome, Advanced):
        return {"outcome": "advanced", "round": outcome.round, "state": outcome.state.value, "note": outcome.note}
    if isinstance(outcome, Waiting):
        return {
            "outcome": "waiting",
            "round": outcome.round,
            "answered": outcome.answered,
            "wanted": outcome.wanted,
            "note": outcome.note,
        }
    return {"outcome": "finished", "reason": outcome.reason}


def sentence(outcome: Outcome) -> str:
    """An outcome in a line."""
    if isinstance(outcome, Advanced):
        where = f"round {outcome.round} → {outcome.state}" if outcome.round else "data"
        return f"{where:<24} {outcome.note}".rstrip()
    if isinstance(outcome, Waiting):
        return f"round {outcome.round}: waiting for annotators, {outcome.answered} of {outcome.wanted} answered"
    return f"finished: {outcome.reason}"


class Teller:
    """Prints every outcome once: to stdout for people, to stderr beside JSON."""

    def __init__(self, as_json: bool) -> None:
        self._say = message if as_json else line
        self._last = ""

    def __call__(self, outcome: Outcome) -> None:
        """Print it, unless it says the same as the one before."""
        text = sentence(outcome)
        if text != self._last:
            self._say(text)
            self._last = text


class Once:
    """Says a sentence to people, on stderr, and not twice in a row."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, text: str) -> None:
        """Say it."""
        if text != self._last:
            message(text)
            self._last = text
