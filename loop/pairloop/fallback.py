"""Whether the strategy goes on choosing, or random choice takes over: decided after each round from stored facts only.

Random choice takes over at once when the confidence sequence of the differences at equal votes proves active selection
worse than random: under a strategy that never is, that happens with probability at most (1 − level)/2 in the whole life
of a campaign. It also takes over when no gain is shown *and* a worthwhile one is excluded in several rounds running. A
share of each batch stays with the strategy, so that the sequence, which starts again, can bring it back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pairloop.anytime import LEVEL
from pairloop.saving import Record, running, saving, sentence

ACTIVE, RANDOM = "active", "random"
WORSE, NO_GAIN, GAIN, OPEN = "worse", "no_gain", "gain", "open"


def decide(
    previous: Mapping[str, Any] | None,
    records: Sequence[Record],
    *,
    strategy: str,
    round_number: int,
    grid: Sequence[float],
    worthwhile: float,
    patience: int,
    may_switch: bool,
) -> dict[str, Any]:
    """The state of the selection after a round, as stored in the report of its model.

    Args:
        previous: the state after the round before; None at the start.
        records: all records of `pairloop.saving.judge` about this strategy, in order, with the ``round`` of each.
        worthwhile: saving in (0, 1) for which active selection is worth while; ``1 − worthwhile`` is in ``grid``.
        patience: rounds running without gain after which random choice takes over.
        may_switch: False only tells.

    Returns:
        ``mode`` (who chooses next), ``since`` (the round of the last change), ``verdict`` (of the sequence since then:
        "worse", "no_gain", "gain" or "open"), ``rounds_without_gain``, ``reason`` of the mode, ``difference`` at equal
        votes and ``saving`` over all records, ``sentence``.
    """
    mode, since, reason, streak = _continued(previous, strategy, may_switch)
    current = [record for record in records if record["round"] > since]
    verdict = _verdict(current, round(1.0 - worthwhile, 6))
    judged = any(record["round"] == round_number for record in current)
    streak = 0 if verdict != NO_GAIN else streak + int(judged)
    switched = _switched(mode, verdict, streak >= patience, worthwhile) if may_switch else None
    if switched is not None:
        mode, reason, since, streak = *switched, round_number, 0
    return {
        "strategy": strategy,
        "mode": mode,
        "since": since,
        "reason": reason,
        "verdict": verdict,
        "rounds_without_gain": streak,
        "difference": running(records, 1.0),
        "saving": (found := saving(records, grid)),
        "sentence": sentence(found),
    }


def _continued(previous: Mapping[str, Any] | None, strategy: str, may_switch: bool) -> tuple[str, int, str | None, int]:
    """Mode, round of the last change, reason and rounds without gain; another strategy starts afresh."""
    if previous is None or previous["strategy"] != strategy:
        return ACTIVE, 0, None, 0
    if not may_switch and previous["mode"] == RANDOM:
        return ACTIVE, previous["since"], "the configuration only tells", 0
    return previous["mode"], previous["since"], previous["reason"], previous["rounds_without_gain"]


def _verdict(records: Sequence[Record], worthwhile: float) -> str:
    equal, fewer = running(records, 1.0), running(records, worthwhile)
    if equal is None:
        return OPEN
    if equal["low"] > 0:
        return WORSE
    if equal["high"] < 0:
        return GAIN
    return NO_GAIN if fewer is not None and fewer["low"] > 0 else OPEN


def _switched(mode: str, verdict: str, patient_enough: bool, worthwhile: float) -> tuple[str, str] | None:
    """The new mode and why; None to stay."""
    if mode == ACTIVE and verdict == WORSE:
        return RANDOM, f"active selection is proven worse than random choice (level {100 * LEVEL:.0f} %)"
    if mode == ACTIVE and verdict == NO_GAIN and patient_enough:
        return RANDOM, f"no gain is shown, and a saving of {100 * worthwhile:.0f} % of the votes is excluded"
    if mode == RANDOM and verdict == GAIN:
        return ACTIVE, "active selection is proven better than random choice again"
    return None
