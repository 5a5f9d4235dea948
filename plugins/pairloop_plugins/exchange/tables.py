"""Delimited text as rows, in whatever dialect it comes back.

The separator is the one under which a line near the top is the header: nothing is sniffed. Quotation marks are read
as leniently as spreadsheets do, and what that could hide is looked for: a quote that is never closed, cells beyond
the header, cells that hold other rows, a last line that is cut off.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from pairloop.kit.ids import is_key
from pairloop_plugins.exchange.decoding import Decoded, Unreadable, recoded
from pairloop_plugins.exchange.rows import MOST_COLUMNS, READ, Header, Row, header_of

FIELD_LIMIT = 8 << 20
"""Characters of a cell."""
_SEPARATORS = (",", ";", "\t", "|")
_HEAD = 20  # lines among which the header is looked for
_SEP_LINE = re.compile(r'\ufeff?"?sep=(.)"?[ ,;|]*(?:\r\n|\r|\n)', re.IGNORECASE)
_KEY = re.compile(r"(?<![a-z0-9])k[a-z0-9]{17}(?![a-z0-9])")
_END = "\x1eend\x1e"
_AGAIN = "Save the file again and put it here once more."


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of one line (or of several, where a cell has line breaks), which begins at line ``line``."""

    line: int
    cells: list[str]


def read_table(decoded: Decoded, max_rows: int, known: Collection[str]) -> Iterator[Row]:
    """The rows below the header, blank ones left out.

    Raises:
        Unreadable: no header, a column twice, a quote that is never closed, or beyond a limit.
    """
    text = decoded.text.replace("\x00", "\ufffd")
    separator, text = _dialect(text)
    if not text.endswith(("\n", "\r")):
        cut, text = True, text + "\n"
    else:
        cut = False
    found: Header | None = None
    previous: Record | None = None
    for record in _records(text, separator, max_rows):
        if found is None:
            found = header_of(record.cells)
            if found is not None and found.twice:
                raise Unreadable(f"line {record.line}: the column {found.twice[0]} is there twice; remove one of them")
            continue
        if previous is not None:
            yield from _row(previous, found, decoded.guessed, known)
        previous = record
    if previous is not None and found is not None:
        if cut and _is_cut(previous, found, text):
            yield Row(f"line {previous.line}", problem=f"the file ends in the middle of this line. {_AGAIN}")
        else:
            yield from _row(previous, found, decoded.guessed, known)


def _dialect(text: str) -> tuple[str, str]:
    """The separator, and the text without a ``sep=`` line and without a second layer of quotes.

    Raises:
        Unreadable: there is no header under any separator.
    """
    named = _SEP_LINE.match(text)
    if named:
        # Blank, so that line numbers stay what people see.
        text = text[: named.start()] + "\n" + text[named.end() :]
    separator = _first_header(text, (*(named[1] if named else ""), *_SEPARATORS))
    if separator is not None:
        return separator, text
    for outer in _SEPARATORS:
        inner = _unwrapped(text, outer)
        separator = None if inner is None else _first_header(inner, _SEPARATORS)
        if inner is not None and separator is not None:
            return separator, inner
    raise Unreadable(
        f"none of the first {_HEAD} lines is the header: the columns key and choice are needed. Copy the first line of"
        " the file that was written, or save the table as CSV."
    )


def _first_header(text: str, separators: Iterable[str]) -> str | None:
    """The separator under which the header comes first; None where there is none under any."""
    places = [(place, separator) for separator in separators if (place := _header_place(text, separator)) is not None]
    return min(places, key=lambda found: found[0])[1] if places else None


def _header_place(text: str, separator: str) -> int | None:
    for number, cells in enumerate(_reader(text, separator)):
        if header_of(cells) is not None:
            return number
        if number >= _HEAD:
            break
    return None


def _unwrapped(text: str, separator: str) -> str | None:
    """The text in the cells where every line became one cell, as when it was opened with the wrong separator."""
    lines = []
    for cells in _reader(text, separator):
        if len(cells) > MOST_COLUMNS or any(cells[1:]):
            return None
        lines.append(cells[0] if cells else "")
    return "\n".join(lines) + "\n" if lines and '"' in text else None


def _reader(text: str, separator: str) -> Iterator[list[str]]:
    csv.field_size_limit(FIELD_LIMIT)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    except csv.Error as error:
        raise Unreadable(f"it cannot be read as CSV: {error}; a cell may have {FIELD_LIMIT:,} characters") from error


def _records(text: str, separator: str, max_rows: int) -> Iterator[Record]:
    """All records with the line at which they begin.

    Raises:
        Unreadable: a quotation mark is never closed, or a limit is passed.
    """
    csv.field_size_limit(FIELD_LIMIT)
    reader = csv.reader(io.StringIO(text + _END + "\n", newline=""), delimiter=separator)
    line = 1
    try:
        for number, cells in enumerate(reader):
            if cells == [_END]:
                return
            if any(_END in cell for cell in cells):
                raise Unreadable(f"line {line}: a quotation mark that is opened here is never closed. {_AGAIN}")
            if number > max_rows + _HEAD:
                raise Unreadable(f"more than {max_rows:,} lines (backend.options.max_rows)")
            yield Record(line, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise Unreadable(
            f"line {line}: {error}; a cell may have {FIELD_LIMIT:,} characters. Is a quotation mark missing?"
        ) from error


def _row(record: Record, header: Header, guessed: bool, known: Collection[str]) -> Iterator[Row]:
    """The row of a record; nothing where all that counts is blank."""
    cells = {name: record.cells[index] for index, name in header.columns.items() if index < len(record.cells)}
    where = f"line {record.line}"
    if len(record.cells) > header.width or any(cell.strip() for cell in record.cells[header.named :]):
        yield Row(
            where,
            cells,
            f"has {len(record.cells)} cells, the header names {header.named}: is there a quotation mark or a separator"
            " too much in a text? Put the line back as it was written; a column of notes needs a name",
        )
        return
    if not any(cell.strip() for cell in cells.values()):
        return
    swallowed = next((cell for cell in record.cells if "\n" in cell or "\r" in cell if _holds_key(cell, known)), None)
    if swallowed is not None:
        yield Row(where, cells, "a cell of this line holds other lines: is a quotation mark missing or too much?")
        return
    for name in ("annotator", "reason") if guessed else ():  # the others hold words and numbers, or are refused
        cell = recoded(cells.get(name, ""), letters_only=name != "reason")
        if cell is None:
            yield Row(where, cells, f"{name}: the file is not UTF-8, and this cell can be read in several ways: save it"
                      " as CSV UTF-8, or name its encoding in backend.options.encoding")  # fmt: skip
            return
        cells[name] = cell
    yield Row(where, cells)


def _holds_key(cell: str, known: Collection[str]) -> bool:
    return any(key in known or is_key(key) for key in _KEY.findall(cell))


def _is_cut(record: Record, header: Header, text: str) -> bool:
    """A last line without an end that says something is whole only if it ends with what is not read, or is quoted."""
    last = len(record.cells) - 1
    said = any(name == "choice" and i <= last and record.cells[i].strip() for i, name in header.columns.items())
    if not said:
        return False
    if last < header.named - 1:
        return True
    return header.columns.get(last) in READ and not text.rstrip("\r\n").endswith('"')
