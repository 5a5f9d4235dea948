"""Rows as JSON lines, as one JSON array, or as CSV."""

import json
from collections.abc import Sequence
from typing import Any

from pairloop.kit.ids import content_from_json
from pairloop.kit.spreadsheets import harmless, to_csv
from pairloop.kit.text import plain


def encode(rows: Sequence[dict[str, Any]], form: str, columns: Sequence[str]) -> bytes:
    """UTF-8 bytes of the rows; ``columns`` heads a CSV file, also one without rows."""
    if form == "argilla":  # its ``records.from_json`` reads one array
        return b"[\n" + b",\n".join(line.encode() for line in map(_line, rows)) + b"\n]\n"
    return _jsonl(rows) if form == "jsonl" else _csv(rows, columns)


def _jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(_line(row) + "\n" for row in rows).encode("utf-8")


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False)


def _csv(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> bytes:
    return to_csv(columns, ([cell(name, row[name]) for name in columns] for row in rows))


def cell(name: str, value: Any) -> Any:
    """One CSV cell: conversations as paragraphs, lists joined by ";", objects as JSON, formulas made harmless."""
    if name == "prompt":
        value = plain(content_from_json(value))
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        value = ";".join(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in value)
    return harmless(value)
