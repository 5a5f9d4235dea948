"""What the sources of tables share: rows by their layout, bad ones with the reason and the place."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pairloop.kit.text import clean
from pairloop.records import RejectedRow, SourceRow
from pairloop_plugins.columns.convert import json_row
from pairloop_plugins.columns.layout import Layout, layout_of, suggested, written_out
from pairloop_plugins.columns.options import TableOptions
from pairloop_plugins.jsonl.shapes import read_row
from pairloop_plugins.jsonl.strict import MAX_DEPTH, Bad, Cleaner, depth

_EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table.

    Attributes:
        number: of its line or row, from 1.
        values: by column; ``problem``: why they cannot be used.
        place: said in a rejection behind the reason, where the number alone does not tell where it is.
    """

    number: int
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of one opened table."""

    names: Sequence[str]
    records: Iterable[Record]
    where: str


def read_table(table: Table, options: TableOptions) -> Iterator[SourceRow | RejectedRow]:
    """Good and bad rows in file order.

    Raises:
        DataError: the columns do not say what a row is.
    """
    layout = layout_of(options, table.names, table.where)
    cleaner = Cleaner()
    for record in table.records:
        yield _row(record, layout, options, cleaner)


def suggested_options(table: Table, options: TableOptions) -> dict[str, Any]:
    """Options under which the table can be read: what was guessed is written out, for a person to confirm.

    Raises:
        DataError: the columns do not even allow a guess.
    """
    return written_out(options, suggested(options, table.names, table.where))


def _row(record: Record, layout: Layout, options: TableOptions, cleaner: Cleaner) -> SourceRow | RejectedRow:
    try:
        if record.problem is not None:
            raise Bad(record.problem)
        value = json_row(record.values, layout, options)
        if depth(value) > MAX_DEPTH:
            raise Bad(f"nested more than {MAX_DEPTH} levels deep")
        return read_row(value, record.number, options, cleaner)
    except Bad as bad:
        return RejectedRow(record.number, clean(f"{bad}{record.place}"), _excerpt(record.values))


def _excerpt(values: Mapping[str, Any]) -> str:
    short = {name: value if not isinstance(value, str) else value[:_EXCERPT] for name, value in values.items()}
    return clean(json.dumps(short, ensure_ascii=False, default=str))[:_EXCERPT]
