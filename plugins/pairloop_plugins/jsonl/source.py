"""The source itself: lines in, good and bad rows out."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pairloop.kit.text import clean
from pairloop.records import RejectedRow, SourceRow
from pairloop_plugins.jsonl.lines import Line, open_binary, read_lines
from pairloop_plugins.jsonl.options import JsonlOptions
from pairloop_plugins.jsonl.shapes import read_row
from pairloop_plugins.jsonl.strict import Bad, Cleaner, parse

_EXCERPT = 200


class JsonlSource:
    """Implements `pairloop.protocols.PairSource`.

    Attributes:
        cleaned: NULs and lone surrogates that the last iteration replaced by U+FFFD.
    """

    def __init__(self, options: JsonlOptions, path: Path) -> None:
        """Nothing is read yet."""
        self._options = options
        self._path = path
        self.cleaned = 0

    def rows(self) -> Iterator[SourceRow | RejectedRow]:
        """One row a line, in file order; blank lines are passed over.

        Raises:
            DataError: the file cannot be opened.
        """
        cleaner = Cleaner()
        self.cleaned = 0
        for line in read_lines(self._path, self._options.max_line_bytes):
            if line.error is None and not line.content.strip():
                continue
            yield self._row(line, cleaner)
            self.cleaned = cleaner.replaced

    def digest(self) -> str:
        """sha256 of the file's bytes as they are, packed or not.

        Raises:
            DataError: the file cannot be opened.
        """
        with open_binary(self._path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _row(self, line: Line, cleaner: Cleaner) -> SourceRow | RejectedRow:
        try:
            if line.error is not None:
                raise Bad(line.error)
            return read_row(parse(line.content, line.offset), line.number, self._options, cleaner)
        except Bad as bad:
            start = line.content[: 4 * _EXCERPT].decode("utf-8", "replace")
            return RejectedRow(line.number, clean(str(bad)), clean(start)[:_EXCERPT])
