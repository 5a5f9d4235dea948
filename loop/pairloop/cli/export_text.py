"""Rows as JSON lines or CSV."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from pairloop.kit.ids import content_from_json
from pairloop.kit.text import plain

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""First characters by which spreadsheets take a text for a formula (OWASP, "CSV Injection")."""


def encode(rows: Sequence[dict[str, Any]], form: str, columns: Sequence[str]) -> bytes:
    """UTF-8 bytes of the rows; ``columns`` heads a CSV file, also one without rows."""
    return _jsonl(rows) if form == "jsonl" else _csv(rows, columns)


def _jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows).encode("utf-8")


def _csv(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(name, row[name]) for name in columns])
    return buffer.getvalue().encode("utf-8")


def cell(name: str, value: Any) -> Any:
    """One CSV cell: conversations as paragraphs, lists joined by ";", formulas made harmless."""
    if name == "prompt":
        value = plain(content_from_json(value))
    if isinstance(value, list):
        value = ";".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return "'" + value
    return value
