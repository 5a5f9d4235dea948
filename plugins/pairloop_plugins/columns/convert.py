"""A row of a table as the object that the JSON lines source reads, so that both have the same rules."""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from pairloop_plugins.columns.layout import Layout
from pairloop_plugins.columns.options import TableOptions
from pairloop_plugins.jsonl.fields import kind_of
from pairloop_plugins.jsonl.strict import Bad

Row = Mapping[str, Any]
_ABSENT = object()
_OPTIONAL = ("chosen_model", "rejected_model", "model_a", "model_b", "group", "metadata", "annotations", "pairs")
_TEXTS = ("response_a", "response_b")
_ABOUT_VOTE = ("annotator", "strength", "reason", "seconds")


def json_row(row: Row, layout: Layout, options: TableOptions) -> dict[str, Any]:
    """The object with the keys of the JSON lines source.

    Raises:
        Bad: a column is missing in this row, or a value cannot be read.
    """
    found: dict[str, Any] = _kept(row, layout, options)
    columns = layout.columns
    if "prompt" in columns:
        found["prompt"] = _with_system(_chat(_value(row, columns["prompt"])), row, columns.get("system"))
    for role in _TEXTS:
        if role in columns:
            found[role] = _value(row, columns[role])
    for role in ("chosen", "rejected"):
        if role in columns:
            found[role] = _chat(_value(row, columns[role]))
    if "conversation_a" in columns:
        found["chosen"], found["rejected"] = _conversations(row, layout)
    if "responses" in columns:
        found["responses"] = _responses(row, columns["responses"])
    for role in _OPTIONAL:
        value = _value(row, columns[role], None) if role in columns else None
        if value is not None and value != "":
            value = _loaded(value) if role in ("metadata", "annotations", "pairs") else value
            if role == "metadata" and isinstance(value, dict):
                value = {**found.get("metadata", {}), **value}
            found[_key(role, layout)] = value
    _add_vote(found, row, layout, options)
    return found


def _key(role: str, layout: Layout) -> str:
    """Conversations are read as chosen and rejected; their models are called so too."""
    if "conversation_a" not in layout.columns:
        return role
    return {"model_a": "chosen_model", "model_b": "rejected_model"}.get(role, role)


def _kept(row: Row, layout: Layout, options: TableOptions) -> dict[str, Any]:
    """What the options name by its column: metadata to keep, and the group; metadata of a known set beside it."""
    names = {*options.keep, *((options.group_key.partition(".")[0],) if options.group_key else ())}
    found = {name: plain_value(row[name]) for name in sorted(names) if name in row}
    extra = {name: plain_value(row[name]) for name in layout.keep if row.get(name) is not None}
    if extra:
        found["metadata"] = extra
    return found


def _add_vote(found: dict[str, Any], row: Row, layout: Layout, options: TableOptions) -> None:
    """The preference column as one annotation; without it, a chosen text is one, and conversations have none."""
    if "annotations" in found:
        return
    columns = layout.columns
    if "preference" in columns:
        raw = _value(row, columns["preference"], None)
        found["annotations"] = [] if raw is None or raw == "" else [_annotation(raw, row, layout, options)]
    elif "conversation_a" in columns:
        found["annotations"] = []
    elif "chosen" in columns:
        found["annotations"] = [_vote("a", row, layout, options)] if options.chosen_votes else []


def _annotation(raw: Any, row: Row, layout: Layout, options: TableOptions) -> dict[str, Any]:
    word = _word(raw)
    choice = layout.values.get(word)
    if choice is None:
        known = ", ".join(sorted(layout.values))
        raise Bad(f'wrong value: the preference "{word[:40]}" is none of {known}; say what it means in'
                  " data.options.values")  # fmt: skip
    vote = _vote(choice, row, layout, options)
    if word in layout.strengths:
        vote.setdefault("strength", layout.strengths[word])
    return vote


def _vote(choice: str, row: Row, layout: Layout, options: TableOptions) -> dict[str, Any]:
    vote: dict[str, Any] = {"annotator": options.chosen_annotator, "type": layout.kind.value, "preference": choice}
    for role in _ABOUT_VOTE:
        if role in layout.columns:
            value = _value(row, layout.columns[role], None)
            if value is not None and value != "":
                vote[role] = _number(value, role) if role in ("strength", "seconds") else value
    return vote


def _word(raw: Any) -> str:
    """A preference as it is looked up: whole numbers by their digits, texts without case and outer blanks."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, float) and raw.is_integer():
        return str(int(raw))
    if not isinstance(raw, str | int | float):
        raise Bad(f"wrong type: the preference must be a text or a number, and is {kind_of(raw)}")
    return str(raw).strip().casefold()


def _number(value: Any, role: str) -> Any:
    """Cells of a CSV file hold digits."""
    if not isinstance(value, str):
        return int(value) if role == "strength" and isinstance(value, float) and value.is_integer() else value
    try:
        return int(value) if role == "strength" else float(value)
    except ValueError as error:
        raise Bad(f'wrong value: "{role}" must be a number, and is "{value[:40]}"') from error


def _responses(row: Row, columns: str | tuple[str, ...]) -> Any:
    if isinstance(columns, str):
        return _dense(_loaded(_value(row, columns)))
    values = [_value(row, name, None) for name in columns]
    return [value for value in values if value is not None and value != ""]


def _conversations(row: Row, layout: Layout) -> tuple[Any, Any]:
    both = [_chat(_value(row, layout.columns[f"conversation_{side}"])) for side in "ab"]
    if layout.turns is None:
        return both[0], both[1]
    turn = row.get(layout.turns)
    if not isinstance(turn, int) or isinstance(turn, bool) or turn < 1:
        raise Bad(f'wrong value: "{layout.turns}" must be a whole number from 1')
    first, second = (value[: 2 * turn] if isinstance(value, list) else value for value in both)
    return first, second


def _with_system(prompt: Any, row: Row, column: Any) -> Any:
    said = None if column is None else _value(row, column, None)
    if said is None or said == "":
        return prompt
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return [{"role": "system", "content": said}, *turns] if isinstance(turns, list) else turns


def _value(row: Row, column: Any, default: Any = _ABSENT) -> Any:
    """The value of a column, which may be a dotted path."""
    value: Any = row
    for part in (column,) if column in row else column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            if default is _ABSENT:
                raise Bad(f'missing keys: "{column}"')
            return default
        value = value[part]
    value = plain_value(value)
    if value is None and default is _ABSENT:
        raise Bad(f'missing keys: "{column}" is empty')
    return value


def _chat(value: Any) -> Any:
    """Messages, also where a cell holds them as JSON; any other text is a text."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        try:
            loaded = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if isinstance(loaded, list) and all(
            isinstance(turn, dict) and {"role", "content"} <= set(turn) for turn in loaded
        ):
            return loaded
    return value


def _loaded(value: Any) -> Any:
    """A list or object, also where a cell holds it as JSON."""
    if not isinstance(value, str):
        return _dense(value)
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Bad(f'not JSON: a cell that must hold a list or an object begins "{value[:40]}"') from error


def _dense(value: Any) -> Any:
    """Objects of a table have all keys of their column: those without a value are left out."""
    if isinstance(value, list):
        return [_dense(item) for item in value]
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item is not None}
    return value


def plain_value(value: Any) -> Any:
    """A value of a table as JSON has it; NaN, which pandas writes for a missing value, is None.

    Raises:
        Bad: bytes, an infinite number, or a type that JSON does not have.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isinf(value):
            raise Bad("wrong value: a number is infinite")
        return None if math.isnan(value) else value
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise Bad(f"wrong type: a value of the type {type(value).__name__}")
