"""JSON as rows: lines or one array; plain, as of Prodigy's ``choice`` view, or as records of Argilla.

Each object is recognised by itself, so that the shape need not be said.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pairloop_plugins.exchange.decoding import Unreadable
from pairloop_plugins.exchange.rows import READ, Row

_OFFERED = {"left": "left", "right": "right", "tie": "same", "same": "same", "both_bad": "both bad", "skip": "skip"}


def looks_like_json(text: str) -> bool:
    """True when the first character opens an object or an array."""
    return text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")


def read_json(text: str, max_rows: int) -> Iterator[Row]:
    """The rows of all objects.

    Raises:
        Unreadable: an array that is no JSON, or beyond a limit. A bad line is a row with a problem.
    """
    text = text.lstrip("\ufeff")
    if text.lstrip()[:1] == "[":
        yield from _array(text, max_rows)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if number > max_rows:
            raise Unreadable(f"more than {max_rows:,} lines (backend.options.max_rows)")
        if line.strip():
            yield from _line(line, number)


def _array(text: str, max_rows: int) -> Iterator[Row]:
    try:
        items = _parse(text)
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}. Is the file whole? Save it again.") from error
    if not isinstance(items, list):
        raise Unreadable("neither JSON lines nor one array of objects")
    if len(items) > max_rows:
        raise Unreadable(f"more than {max_rows:,} records (backend.options.max_rows)")
    for number, item in enumerate(items, start=1):
        yield from _rows(item, f"record {number}")


def _line(line: str, number: int) -> Iterator[Row]:
    where = f"line {number}"
    try:
        item = _parse(line)
    except ValueError as error:
        yield Row(where, problem=f"not JSON: {error}")
        return
    yield from _rows(item, where)


def _parse(text: str) -> Any:
    """One JSON value.

    Raises:
        ValueError: not JSON, a key twice in one object, or nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice in one object")
    return found


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _rows(item: Any, where: str) -> Iterator[Row]:
    if not isinstance(item, dict):
        yield Row(where, problem="not an object")
    elif "responses" in item and "fields" in item:
        yield from _argilla(item, where)
    elif "options" in item or "accept" in item:
        yield _prodigy(item, where)
    else:
        yield _plain(item, where)


def _plain(item: Mapping[str, Any], where: str) -> Row:
    names = {str(name).strip().casefold().replace(" ", "_"): value for name, value in item.items()}
    if len(names) != len(item):
        return Row(where, problem="two of its keys differ in case only")
    if "key" not in names:
        return Row(where, problem="has no key: leave the objects as they were written")
    row = _checked(where, {name: names[name] for name in READ if name in names})
    texts = {name: str(item.get(name, "")) for name in ("left", "right")}
    return replace(row, cells={**texts, **row.cells})


def _prodigy(item: Mapping[str, Any], where: str) -> Row:
    """``answer`` is there once a person has decided; ``reject`` and ``ignore`` are skips."""
    meta = item.get("meta")
    key = item.get("key", meta.get("key") if isinstance(meta, dict) else None)
    answer, accepted = item.get("answer"), item.get("accept", [])
    cells = {"key": key, "annotator": item.get("_annotator_id") or item.get("_session_id") or item.get("annotator")}
    cells |= {name: item.get(name) for name in ("reason", "strength", "prompt_rating", "seconds")}
    if answer is None:
        return _checked(where, {**cells, "choice": None})
    if answer in ("reject", "ignore"):
        return _checked(where, {**cells, "choice": "skip"}, item.get("_timestamp"))
    if answer != "accept" or not isinstance(accepted, list) or len(accepted) != 1 or str(accepted[0]) not in _OFFERED:
        said = json.dumps({"answer": answer, "accept": accepted})[:80]
        return Row(where, problem=f"accept: {said} is not one of the options: {', '.join(_OFFERED)}")
    return _checked(where, {**cells, "choice": _OFFERED[str(accepted[0])]}, item.get("_timestamp"))


def _argilla(item: Mapping[str, Any], where: str) -> Iterator[Row]:
    """One row for each user who answered the question ``choice``."""
    responses = item["responses"]
    if not isinstance(responses, dict):
        yield Row(where, problem="responses: not an object of lists, by question")
        return
    by_user: dict[str, dict[str, Any]] = {}
    for name in ("choice", "strength", "prompt_rating", "reason"):
        answers = responses.get(name) or []
        if not isinstance(answers, list) or not all(isinstance(a, dict) and "value" in a for a in answers):
            yield Row(where, problem=f'responses: "{name}" is no list of answers with a value and a user_id')
            return
        for answer in answers:
            by_user.setdefault(str(answer.get("user_id") or ""), {})[name] = answer["value"]
    for user, cells in by_user.items():
        yield _checked(where, {**cells, "key": item.get("id"), "annotator": user})
    if not by_user:
        yield _checked(where, {"key": item.get("id")})


def _checked(where: str, values: Mapping[str, Any], timestamp: Any = None) -> Row:
    """Text and numbers become cells; anything else is a problem that names the key."""
    cells: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, bool) or (value is not None and not isinstance(value, str | int | float)):
            return Row(where, problem=f"{name}: {json.dumps(value)[:40]} is neither text nor a number")
        cells[name] = "" if value is None else str(value)
    return Row(where, cells, submitted_at=_moment(timestamp))


def _moment(timestamp: Any) -> str | None:
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float) or not 0 < timestamp < 1e11:
        return None
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")
