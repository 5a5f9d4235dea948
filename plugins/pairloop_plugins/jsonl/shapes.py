"""The shapes of a row: n responses, a ready pair, or chosen and rejected."""

from typing import Any

from pairloop.records import PromptContent, SourceResponse, SourceRow
from pairloop_plugins.columns.options import RowOptions
from pairloop_plugins.jsonl.conversations import read_preference
from pairloop_plugins.jsonl.fields import Reader, Row, index_pair, kind_of, listed
from pairloop_plugins.jsonl.strict import Bad, Cleaner
from pairloop_plugins.jsonl.votes import Recorded, chosen_vote, read_votes

_READY = ((0, 1),)
_Parts = tuple[PromptContent, tuple[SourceResponse, ...], tuple[tuple[int, int], ...] | None, Recorded]


def read_row(value: Any, line: int, options: RowOptions, cleaner: Cleaner) -> SourceRow:
    """The row that a JSON value stands for.

    Raises:
        Bad: none, with the reason.
    """
    if not isinstance(value, dict):
        raise Bad(f"not an object: the row is {kind_of(value)}")
    reader = Reader(options, cleaner)
    if "responses" in value:
        prompt, responses, pairs, recorded = _responses(value, reader)
    elif "response_a" in value and "response_b" in value:
        prompt, responses, pairs, recorded = _ready_pair(value, reader)
    elif "chosen" in value and "rejected" in value:
        prompt, responses, pairs, recorded = _preference(value, reader)
    else:
        wanted = '"responses", "response_a" and "response_b", or "chosen" and "rejected"'
        raise Bad(f"missing keys: {wanted}; found {listed(value)}")
    _check_different(responses, pairs)
    return SourceRow(prompt, responses, pairs, recorded, reader.group(value), reader.row_metadata(value), line)


def _responses(row: Row, reader: Reader) -> _Parts:
    values = row["responses"]
    if not isinstance(values, list):
        raise Bad(f'wrong type: "responses" must be a list, and is {kind_of(values)}')
    responses = tuple(reader.response(value, f"response {number}") for number, value in enumerate(values, 1))
    pairs = row.get("pairs")
    if pairs is not None:
        if not isinstance(pairs, list):
            raise Bad(f'wrong type: "pairs" must be a list, and is {kind_of(pairs)}')
        pairs = tuple(index_pair(pair, len(responses), f"pair {number}") for number, pair in enumerate(pairs, 1))
    return _prompt(row, reader), responses, pairs, read_votes(row, len(responses), reader)


def _ready_pair(row: Row, reader: Reader) -> _Parts:
    responses = tuple(
        reader.made(
            row[f"response_{side}"],
            f'"response_{side}"',
            row.get(f"model_{side}"),
            reader.metadata(row.get(f"metadata_{side}"), f'"metadata_{side}"'),
        )
        for side in "ab"
    )
    return _prompt(row, reader), responses, _READY, read_votes(row, 2, reader)


def _preference(row: Row, reader: Reader) -> _Parts:
    prompt, *texts = read_preference(row, reader)
    responses = tuple(
        reader.made(text, f'"{side}"', row.get(f"{side}_model"), {})
        for side, text in zip(("chosen", "rejected"), texts, strict=True)
    )
    votes = read_votes(row, 2, reader) if row.get("annotations") is not None else chosen_vote(reader)
    return prompt, responses, _READY, votes


def _prompt(row: Row, reader: Reader) -> PromptContent:
    if "prompt" not in row:
        raise Bad(f'missing keys: "prompt"; found {listed(row)}')
    return reader.prompt(row["prompt"])


def _check_different(responses: tuple[SourceResponse, ...], pairs: tuple[tuple[int, int], ...] | None) -> None:
    different = len({response.text for response in responses})
    if different < 2:
        raise Bad(f"fewer than two different responses: {different}")
    for one, other in pairs or ():
        if responses[one].text == responses[other].text:
            raise Bad(f"fewer than two different responses: {one} and {other}, which form a pair, are the same text")
