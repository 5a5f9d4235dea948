"""The pair source ``csv``: tables as spreadsheets and scripts write them, plain or gzip."""

import csv
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pairloop.errors import DataError
from pairloop.records import RejectedRow, SourceRow
from pairloop_plugins.exchange.decoding import Decoded, Unreadable, decode, recoded, refuse_foreign
from pairloop_plugins.jsonl.lines import open_binary
from pairloop_plugins.tabular.options import CsvOptions
from pairloop_plugins.tabular.source import Record, Table, read_table, suggested_options

_GZIP = b"\x1f\x8b"
_SEPARATORS = (",", ";", "\t", "|")
_SEP_LINE = re.compile(r'"?sep=(.)"?[ ,;|]*(?:\r\n|\r|\n)', re.IGNORECASE)
_END = "\x1eend\x1e"
_CELL = 64 << 20  # characters
_DOUBT = (
    "encoding: the file is not UTF-8, and a cell can be read in several ways; save it as UTF-8, or name its encoding"
)


class CsvSource:
    """Implements `pairloop.protocols.PairSource`."""

    def __init__(self, options: CsvOptions, path: Path) -> None:
        """Nothing is read yet."""
        self._options = options
        self._path = path

    def rows(self) -> Iterator[SourceRow | RejectedRow]:
        """One row a record, in file order, with the line at which it begins; blank lines are passed over.

        Raises:
            DataError: the file cannot be read as CSV, or its columns do not say what a row is.
        """
        yield from read_table(self._table(), self._options)

    def digest(self) -> str:
        """sha256 of the file's bytes as they are, packed or not.

        Raises:
            DataError: the file cannot be opened.
        """
        with open_binary(self._path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def suggested_options(self) -> dict[str, Any]:
        """Options under which the file can be read, guesses written out."""
        return suggested_options(self._table(), self._options)

    def _table(self) -> Table:
        decoded, cut = self._text()
        text = decoded.text.replace("\x00", "\ufffd")
        named = _SEP_LINE.match(text)
        if named:
            text = "\n" + text[named.end() :]  # line numbers stay what people see
        separator = self._options.delimiter or (named[1] if named else _separator(text, str(self._path)))
        records = _records(text, separator)
        header = next((cells for _, cells in records if any(cell.strip() for cell in cells)), None)
        if header is None:
            raise DataError(f"{self._path}: there is no header line in it")
        names = [cell.strip() for cell in header]
        while names and not names[-1]:
            names.pop()
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise DataError(f'{self._path}: the column "{twice[0]}" is there twice', "Remove or rename one of them.")
        return Table(names, _rows(records, names, decoded.guessed, cut), str(self._path))

    def _text(self) -> tuple[Decoded, bool]:
        """The text, and whether its last character is cut."""
        data = self._bytes()
        try:
            refuse_foreign(data)
            decoded = decode(data, None)
        except Unreadable as error:
            raise DataError(f"{self._path}: {error}") from error
        encoding = self._options.encoding
        if decoded.guessed and encoding is not None:
            try:
                decoded = Decoded(data.decode(encoding))
            except (UnicodeError, LookupError) as error:
                raise DataError(
                    f"{self._path}: neither UTF-8 nor {encoding} (data.options.encoding): {error}"
                ) from error
        cut = decoded.text.endswith("\ufffd") and not decoded.guessed and not data.endswith("\ufffd".encode())
        return decoded, cut

    def _bytes(self) -> bytes:
        most = self._options.max_bytes
        with open_binary(self._path) as raw:
            try:
                packed = raw.read(2) == _GZIP
                raw.seek(0)
                data = (gzip.GzipFile(fileobj=raw) if packed else raw).read(most + 1)
            except (EOFError, OSError, zlib.error) as error:
                raise DataError(f"{self._path}: cannot be read: {error}") from error
        if len(data) > most:
            raise DataError(
                f"{self._path} has more than {most:,} bytes (data.options.max_bytes)", "Use Parquet or JSON lines."
            )
        return data


def _separator(text: str, where: str) -> str:
    """The one under which the header has most cells.

    Raises:
        DataError: two of them give as many.
    """
    counts = {separator: _header_width(text, separator) for separator in _SEPARATORS}
    most = max(counts.values())
    best = [separator for separator, count in counts.items() if count == most]
    if most > 1 and len(best) > 1:
        raise DataError(
            f"{where}: the cells of the header could be separated by {' or '.join(map(repr, best))}",
            "Say which in campaign.toml: delimiter under [data.options].",
        )
    return best[0]


def _header_width(text: str, separator: str) -> int:
    try:
        for _, cells in _records(text, separator):
            if any(cell.strip() for cell in cells):
                return len(cells)
    except _Broken:
        return 0
    return 0


class _Broken(ValueError):
    """The rest of the text cannot be read; ``line`` is where that begins."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """All records with the line at which they begin.

    Raises:
        _Broken: a quotation mark is never closed, or a cell is too long.
    """
    csv.field_size_limit(_CELL)
    end = "" if text.endswith(("\n", "\r")) else "\n"
    reader = csv.reader(io.StringIO(f"{text}{end}{_END}\n", newline=""), delimiter=separator)
    line = 1
    try:
        for cells in reader:
            if cells == [_END]:
                return
            if any(_END in cell for cell in cells):
                raise _Broken(
                    line,
                    "open quote: a quotation mark that is opened here is never closed; nothing behind it could be read",
                )
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise _Broken(line, f"not CSV: {error}; nothing behind this line could be read") from error


def _rows(records: Iterator[tuple[int, list[str]]], names: list[str], guessed: bool, cut: bool) -> Iterator[Record]:
    previous: Record | None = None
    try:
        for line, cells in records:
            if not any(cell.strip() for cell in cells):
                continue
            if previous is not None:
                yield previous
            previous = _record(line, cells, names, guessed)
    except _Broken as broken:
        if previous is not None:
            yield previous
        yield Record(broken.line, {}, str(broken))
        return
    if previous is not None:
        yield (
            Record(previous.number, previous.values, "cut off: the file ends in the middle of a character")
            if cut
            else previous
        )


def _record(line: int, cells: list[str], names: list[str], guessed: bool) -> Record:
    width = len(names)
    values = {name: cell for name, cell in zip(names, cells, strict=False) if name}
    if len(cells) < width or any(cell.strip() for cell in cells[width:]):
        reason = f"wrong number of cells: {len(cells)} where the header has {width}; is a quotation mark missing?"
        return Record(line, values, reason)
    if guessed:
        read = {name: recoded(cell, letters_only=False) for name, cell in values.items()}
        doubtful = next((name for name, cell in read.items() if cell is None), None)
        if doubtful is not None:
            return Record(line, values, f'{_DOUBT} in data.options.encoding (column "{doubtful}")')
        return Record(line, {name: cell or "" for name, cell in read.items()})
    return Record(line, values)
