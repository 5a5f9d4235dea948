"""Pseudonyms: what is given away need not say who the annotators are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pairloop.records import AnnotatorKind, Vote


def pseudonyms(votes: Iterable[Vote]) -> dict[str, str]:
    """annotator-1, annotator-2 … by first vote; models keep their name.

    Give it all votes of the campaign, not those of one export: then a later export calls everybody the same.
    """
    found: dict[str, str] = {}
    people = 0
    for vote in votes:
        if vote.annotator in found:
            continue
        if vote.kind is AnnotatorKind.MODEL:
            found[vote.annotator] = vote.annotator
        else:
            people += 1
            found[vote.annotator] = f"annotator-{people}"
    return found


def renamed(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows with the annotators' names replaced wherever rows have them; what people wrote is left alone."""
    return [{key: _renamed(key, value, names) for key, value in row.items()} for row in rows]


def _renamed(key: str, value: Any, names: Mapping[str, str]) -> Any:
    if key == "annotator":
        return names[value]
    if key == "annotators":
        return sorted(names[name] for name in value)
    if key in ("votes", "annotations") and isinstance(value, list):
        return renamed(value, names)
    return value
