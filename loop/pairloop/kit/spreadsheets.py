"""CSV that a spreadsheet can open without running anything: the one way in which CSV leaves pairloop."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters by which spreadsheets take a text for a formula (OWASP, "CSV Injection")."""
_IGNORED = re.compile(r"^[\s\x00-\x1f\x7f-\x9f\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")


def is_formula(text: str) -> bool:
    """True when a spreadsheet might run the text: also behind blanks and invisible characters, and in full width."""
    if text.startswith(FORMULA):
        return True
    first = _IGNORED.sub("", text)[:1]
    return bool(first) and unicodedata.normalize("NFKC", first).startswith(FORMULA)


def harmless(value: Any) -> Any:
    """The value of one cell: a text that would be taken for a formula begins with an apostrophe; booleans in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and is_formula(value):
        return "'" + value
    return value


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, separator: str = ",") -> bytes:
    """UTF-8 bytes with a header line.

    Every text is quoted: where the spreadsheet's separator is a semicolon or a tab, one in a text would else begin a
    new cell, and a formula could stand there.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=separator, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([harmless(column) for column in columns])
    for row in rows:
        writer.writerow([harmless(value) for value in row])
    return buffer.getvalue().encode("utf-8")
