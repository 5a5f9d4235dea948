"""Rows as JSON lines or CSV."""

import json
from collections.abc import Sequence
from typing import Any

from pairloop.kit.ids import content_from_json
from pairloop.kit.spreadsheets import harmless, to_csv
from pairloop.kit.text import plain


def encode(rows: Sequence[dict[str, Any]], form: str, columns: Sequence[str]) -> bytes:
    """UTF-8 bytes of the rows; ``columns`` heads a CSV file, also one without rows."""
    return _jsonl(rows) if form == "jsonl" else _csv(rows, columns)


def _jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows).encode("utf-8")


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
