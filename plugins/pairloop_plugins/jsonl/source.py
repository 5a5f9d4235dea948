"""The source itself: lines in, good and bad rows out."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pairloop.errors import DataError
from pairloop.kit.text import clean
from pairloop.records import RejectedRow, SourceRow
from pairloop_plugins.columns.convert import json_row
from pairloop_plugins.columns.layout import Layout, layout_of_keys, suggested, written_out
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
            DataError: the file cannot be opened, or the columns of the options name no responses.
        """
        cleaner = Cleaner()
        layout = layout_of_keys(self._options, str(self._path))
        self.cleaned = 0
        for line in read_lines(self._path, self._options.max_line_bytes):
            if line.error is None and not line.content.strip():
                continue
            yield self._row(line, layout, cleaner)
            self.cleaned = cleaner.replaced

    def digest(self) -> str:
        """sha256 of the file's bytes as they are, packed or not.

        Raises:
            DataError: the file cannot be opened.
        """
        with open_binary(self._path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def suggested_options(self) -> dict[str, Any]:
        """Options under which the file can be read: keys with other names are guessed from the first object.

        Raises:
            DataError: the file cannot be opened.
        """
        options = self._options
        keys = [] if options.columns or options.dataset else self._first_keys()
        plain = {"responses"} & set(keys) or {"response_a", "chosen"} & set(keys)
        try:
            return written_out(options, suggested(options, keys, str(self._path)) if keys and not plain else None)
        except DataError:
            return written_out(options, None)  # no guess: each row then says what it lacks

    def _first_keys(self) -> list[str]:
        for line in read_lines(self._path, self._options.max_line_bytes):
            try:
                value = parse(line.content, line.offset) if line.error is None and line.content.strip() else None
            except Bad:
                continue
            if isinstance(value, dict):
                return list(value)
        return []

    def _row(self, line: Line, layout: Layout | None, cleaner: Cleaner) -> SourceRow | RejectedRow:
        try:
            if line.error is not None:
                raise Bad(line.error)
            value = parse(line.content, line.offset)
            if layout is not None and isinstance(value, dict):
                value = json_row(value, layout, self._options)
            return read_row(value, line.number, self._options, cleaner)
        except Bad as bad:
            start = line.content[: 4 * _EXCERPT].decode("utf-8", "replace")
            return RejectedRow(line.number, clean(str(bad)), clean(start)[:_EXCERPT])
