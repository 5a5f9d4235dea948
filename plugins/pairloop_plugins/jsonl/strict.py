"""JSON as its standard has it: no NaN, no duplicate keys, no infinite numbers, no nesting bombs."""

import json
import math
from typing import Any

from pairloop.kit.text import clean

MAX_DEPTH = 64
"""Deeper nesting is refused: what is stored must be readable by everything behind it."""


class Bad(ValueError):
    """A row that cannot be used; the message is the reason.

    What stands before its first colon is the same for all rows with the same fault, so that reports can count it.
    """


def parse(line: bytes, offset: int) -> Any:
    """The JSON value of a line that starts at byte ``offset`` of its file.

    Raises:
        Bad: it is not UTF-8, not JSON, or not strictly so.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Bad(f"invalid UTF-8: byte {offset + error.start} of the file (byte {error.start} of the line)") from error
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
    except json.JSONDecodeError as error:
        raise Bad(f"not JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise Bad("nested too deeply") from error
    except Bad:
        raise
    except ValueError as error:  # an integer with more digits than Python converts
        raise Bad(f"not JSON: {error}") from error
    # Few brackets cannot nest deeply: most lines need no walk.
    if line.count(b"[") + line.count(b"{") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise Bad(f"nested more than {MAX_DEPTH} levels deep")
    return value


def depth(value: Any) -> int:
    """How deeply lists and objects are nested; 0 for a plain value. Never recurses."""
    deepest, todo = 0, [(value, 0)]
    while todo:
        item, level = todo.pop()
        children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else None
        if children is not None:
            deepest = max(deepest, level + 1)
            todo.extend((child, level + 1) for child in children)
    return deepest


class Cleaner:
    """Cleans text and counts what it had to replace."""

    def __init__(self) -> None:
        """Start at zero."""
        self.replaced = 0

    def text(self, text: str) -> str:
        """`pairloop.kit.text.clean`, counting NULs and lone surrogates."""
        cleaned = clean(text)
        if cleaned is not text and cleaned != text:
            self.replaced += cleaned.count("\ufffd") - text.count("\ufffd")
        return cleaned

    def value(self, value: Any) -> Any:
        """The same for every string, keys included, of a JSON value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Bad(f"duplicate key: {json.dumps(key)} occurs twice in one object")
        found[key] = value
    return found


def _constant(name: str) -> float:
    raise Bad(f"not JSON: {name} is no number")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Bad(f"not JSON: the number {digits[:40]} is too large")
    return number
