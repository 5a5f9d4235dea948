"""Excel workbooks as rows, through openpyxl (an optional dependency)."""

import io
import zipfile
from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Any

from pairloop.errors import MissingExtra
from pairloop.kit.extras import require
from pairloop_plugins.exchange.decoding import Unreadable
from pairloop_plugins.exchange.rows import MOST_COLUMNS, Header, Row, header_of

_HEAD = 20
_UNPACKED = 10  # times the largest file


def read_workbook(data: bytes, max_bytes: float, max_rows: int) -> Iterator[Row]:
    """The rows of every sheet that has the header near its top.

    Raises:
        Unreadable: it is another kind of archive, is damaged, has no such sheet, or openpyxl is not installed.
    """
    _check_archive(data, max_bytes)
    try:
        openpyxl = require("openpyxl", "xlsx", "an Excel workbook")
    except MissingExtra as error:
        raise Unreadable(f"{error.message} {error.hint}. Or save it as CSV UTF-8.") from error
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheets = [(sheet.title, list(_limited(sheet, max_rows))) for sheet in book.worksheets]
    except Unreadable:
        raise
    except Exception as error:  # a damaged workbook raises whatever its part happens to raise
        raise Unreadable(f"this workbook is damaged ({type(error).__name__}: {error}). Save it again.") from error
    found = False
    for title, rows in sheets:
        for row in _rows(title, rows, several=len(sheets) > 1):
            found = True
            if row is not None:
                yield row
    if not found:
        raise Unreadable("no sheet has the header in its first lines: the columns key and choice are needed")


def _check_archive(data: bytes, max_bytes: float) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Unreadable(f"this workbook or archive is not whole ({error}). Copy it here again.") from error
    if "xl/workbook.xml" not in names:
        kind = "an OpenDocument file" if "mimetype" in names else "a ZIP archive, not a table"
        raise Unreadable(f"this is {kind}. Save the table as CSV UTF-8 or xlsx and put it here.")
    if size > _UNPACKED * max_bytes:
        raise Unreadable(f"this workbook unpacks to {size / 1e6:,.0f} MB (backend.options.max_file_mb)")


def _limited(sheet: Any, max_rows: int) -> Iterator[tuple[Any, ...]]:
    for number, values in enumerate(sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS)):
        if number > max_rows + _HEAD:
            raise Unreadable(f"more than {max_rows:,} rows (backend.options.max_rows)")
        yield values


def _rows(title: str, rows: list[tuple[Any, ...]], *, several: bool) -> Iterator[Row | None]:
    """None for the header, then the rows below it."""
    header: Header | None = None
    for number, values in enumerate(rows, start=1):
        cells = [_text(value) for value in values]
        if header is None:
            header = header_of(cells) if number <= _HEAD else None
            if header is not None:
                yield None
                if header.twice:
                    raise Unreadable(f"row {number}: the column {header.twice[0]} is there twice; remove one of them")
            continue
        named = {name: cells[index] for index, name in header.columns.items() if index < len(cells)}
        if any(cell.strip() for cell in named.values()):
            place = f"row {number} of sheet {title}" if several else f"row {number}"
            yield Row(place, named)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, date | time | timedelta):
        return value.isoformat() if not isinstance(value, timedelta) else str(value)
    return str(value)
