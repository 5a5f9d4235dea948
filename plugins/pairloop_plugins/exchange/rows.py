"""What every kind of file is turned into before it is understood: rows of named cells that know where they stand."""

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
    """Which column stands where; ``twice``: columns that are there more than once."""

    columns: Mapping[int, str]
    width: int
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
    return Header(columns, len(cells), tuple(name for name in twice if name in READ))


def _letters(cell: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", cell).casefold())
