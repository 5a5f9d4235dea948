"""What every kind of file is turned into before it is understood: rows of named cells that know where they stand."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

READ = ("key", "choice", "strength", "prompt_rating", "reason", "annotator", "minutes", "seconds")
"""The columns that are read; others may be damaged, renamed or missing."""
TEXTS = ("prompt", "left", "right")
MOST_COLUMNS = 1000

_EXACT: Mapping[str, str] = MappingProxyType({name.replace("_", ""): name for name in (*READ, *TEXTS)})
_ALIASES: Mapping[str, str] = MappingProxyType(
    {"answer": "choice", "rating": "prompt_rating", "comment": "reason", "time": "minutes", "timeminutes": "minutes"}
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        where: "line 5", "row 5 of sheet Votes", "record 5".
        cells: by column; missing ones are empty.
        problem: why the row as a whole cannot be used.
        submitted_at: when it was answered, where the file says so.
    """

    where: str
    cells: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    submitted_at: str | None = None

    def cell(self, name: str) -> str:
        """A cell's text, "" where there is none."""
        return self.cells.get(name, "")


@dataclass(frozen=True, slots=True)
class Header:
    """Which column stands where.

    Attributes:
        width: cells of the header; named: those up to the last that is not empty.
        twice: columns that are there more than once.
    """

    columns: Mapping[int, str]
    width: int
    named: int
    twice: tuple[str, ...] = ()


def header_of(cells: Sequence[str]) -> Header | None:
    """The header that these cells are, or None: it needs at least the columns key and choice.

    Another word for a column counts only where the column itself is not there.
    """
    letters = [_letters(cell) for cell in cells[:MOST_COLUMNS]]
    columns: dict[int, str] = {}
    twice: list[str] = []
    for names in (_EXACT, _ALIASES):
        there = set(columns.values())
        for index, word in enumerate(letters):
            name = names.get(word)
            if name is None or name in there:
                continue
            if name in columns.values():
                twice.append(name)
            columns[index] = name
    if not {"key", "choice"} <= set(columns.values()):
        return None
    named = max(index for index, cell in enumerate(cells, start=1) if cell.strip())
    return Header(columns, len(cells), named, tuple(name for name in twice if name in READ))


def fingerprint(left: str, right: str) -> str:
    """The letters and digits of two texts: the same after the harm that spreadsheets usually do.

    "" where one of them has none, as when an encoding without its letters went over it.
    """
    letters = (_letters(left), _letters(right))
    return hashlib.sha256("|".join(letters).encode("utf-8", "replace")).hexdigest() if all(letters) else ""


def _letters(cell: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", cell).casefold())
