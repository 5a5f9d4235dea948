"""Recorded judgements of a row."""

from typing import Any

from pairloop.records import AnnotatorKind, Choice, RecordedVote
from pairloop_plugins.jsonl.fields import Reader, Row, index_pair, kind_of
from pairloop_plugins.jsonl.strict import Bad

Recorded = tuple[tuple[tuple[int, int], RecordedVote], ...]
_CHOICES = {
    "a": Choice.LEFT,
    "b": Choice.RIGHT,
    "tie": Choice.TIE,
    "both_bad": Choice.BOTH_BAD,
    "skip": Choice.SKIP,
}
_KINDS = {kind.value: kind for kind in AnnotatorKind}


def read_votes(row: Row, n: int, reader: Reader) -> Recorded:
    """The "annotations" of a row with ``n`` responses; "a" is the first of the two responses it is about."""
    value = row.get("annotations")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Bad(f'wrong type: "annotations" must be a list, and is {kind_of(value)}')
    return tuple(_vote(item, f"annotation {number}", n, reader) for number, item in enumerate(value, 1))


def chosen_vote(reader: Reader) -> Recorded:
    """The vote that "chosen" and "rejected" stand for."""
    if not reader.options.chosen_votes:
        return ()
    return (((0, 1), RecordedVote(reader.options.chosen_annotator, Choice.LEFT, reader.options.chosen_kind)),)


def _vote(item: Any, name: str, n: int, reader: Reader) -> tuple[tuple[int, int], RecordedVote]:
    if not isinstance(item, dict):
        raise Bad(f"wrong type: {name} must be an object, and is {kind_of(item)}")
    if "pair" not in item and n != 2:
        raise Bad(f'missing keys: {name} needs "pair", two indices, because the row has {n} responses')
    pair = index_pair(item["pair"], n, f'"pair" of {name}') if "pair" in item else (0, 1)
    for key in ("annotator", "preference"):
        if key not in item:
            raise Bad(f'missing keys: {name} has no "{key}"')
    preference = item["preference"]
    if not isinstance(preference, str) or preference not in _CHOICES:
        raise Bad(f'wrong value: "preference" of {name} must be one of {", ".join(_CHOICES)}')
    return pair, RecordedVote(
        annotator=reader.label(item["annotator"], f'"annotator" of {name}'),
        choice=_CHOICES[preference],
        kind=_kind(item.get("type", "human"), name),
        strength=_strength(item.get("strength"), name),
        reason=reader.optional_text(item.get("reason"), f'"reason" of {name}'),
        seconds=_seconds(item.get("seconds"), name),
    )


def _kind(value: Any, name: str) -> AnnotatorKind:
    if not isinstance(value, str) or value not in _KINDS:
        raise Bad(f'wrong value: "type" of {name} must be one of {", ".join(_KINDS)}')
    return _KINDS[value]


def _strength(value: Any, name: str) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100):
        return value
    raise Bad(f'wrong value: "strength" of {name} must be an integer from 0 to 100')


def _seconds(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise Bad(f'wrong value: "seconds" of {name} must be a number that is not negative')
    return float(value)
