"""CSV that a spreadsheet can open without running anything: the one way in which CSV leaves pairloop."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""First characters by which spreadsheets take a text for a formula (OWASP, "CSV Injection")."""


def harmless(value: Any) -> Any:
    """The value of one cell: a text that would be taken for a formula begins with an apostrophe; booleans in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA):
        return "'" + value
    return value


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """UTF-8 bytes with a header line.

    Every text is quoted: where the spreadsheet's separator is a semicolon or a tab, one in a text would else begin a
    new cell, and a formula could stand there.
    """
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerow([harmless(column) for column in columns])
    writer = csv.writer(buffer, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    for row in rows:
        writer.writerow([harmless(value) for value in row])
    return buffer.getvalue().encode("utf-8")
