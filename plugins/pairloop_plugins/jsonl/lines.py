"""Lines of a plain or gzip file: streamed, numbered, with a bound on memory."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from pairloop.errors import DataError

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        number: from 1; ``offset``: of its first byte in the (unpacked) file.
        content: without its end; cut where ``error`` says that it is too long.
        error: why it cannot be used; None for a line that was read whole.
    """

    number: int
    offset: int
    content: bytes
    error: str | None = None


def open_binary(path: Path) -> BufferedReader:
    """The file as it is.

    Raises:
        DataError: it is missing, a folder, or may not be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(
            f"cannot read the data file {path}: {error.strerror}", "Check data.path in campaign.toml."
        ) from error


def read_lines(path: Path, limit: int) -> Iterator[Line]:
    """All lines; gzip is recognised by its first bytes. A stream that breaks ends with a line that says so.

    Raises:
        DataError: the file cannot be opened.
    """
    with open_binary(path) as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        if not packed:
            yield from _split(raw, limit)
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield from _split(unpacked, limit)


def _split(file: BufferedReader | gzip.GzipFile, limit: int) -> Iterator[Line]:
    number = offset = 0
    while True:
        number += 1
        try:
            content = file.readline(limit + 1)
            size = len(content)
            whole = size <= limit or content.endswith(b"\n")
            if not whole:
                size += _skip(file, limit)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield Line(number, offset, b"", f"broken gzip stream: {error}; nothing behind this line could be read")
            return
        if not content:
            return
        if number == 1 and content.startswith(_BOM):
            content = content[len(_BOM) :]
        if whole:
            yield Line(number, offset, content.rstrip(b"\r\n"))
        else:
            yield Line(
                number, offset, content[:1000], f"line too long: {size:,} bytes, more than max_line_bytes {limit:,}"
            )
        offset += size


def _skip(file: BufferedReader | gzip.GzipFile, limit: int) -> int:
    """Read past the end of the line; returns how many bytes that were."""
    size = 0
    while rest := file.readline(limit):
        size += len(rest)
        if rest.endswith(b"\n"):
            break
    return size
