"""Rows as a Parquet file, through pyarrow (an optional dependency)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pairloop.exports.columns import ANNOTATION, ANNOTATIONS, OBJECT, TURNS, types_of
from pairloop.exports.columns import turns as as_turns
from pairloop.exports.rows import Row
from pairloop.kit.extras import require


def parquet(rows: Sequence[Row], columns: Sequence[str]) -> bytes:
    """The bytes of one file, the same for the same rows; objects without fixed keys are JSON texts in it.

    Where some prompts are conversations, all are: a text becomes one turn of the user.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    arrow = require("pyarrow", "parquet", "a Parquet file")
    writer = require("pyarrow.parquet", "parquet", "a Parquet file")
    types = types_of(columns, rows)
    schema = arrow.schema([(name, _type(arrow, kind)) for name, kind in types.items()])
    table = arrow.Table.from_pylist([_row(row, types) for row in rows], schema=schema)
    sink = arrow.BufferOutputStream()
    writer.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def _type(arrow: Any, kind: str) -> Any:
    if kind == "strings":
        return arrow.list_(arrow.string())
    if kind == TURNS:
        return arrow.list_(arrow.struct([("role", arrow.string()), ("content", arrow.string())]))
    if kind == ANNOTATIONS:
        return arrow.list_(arrow.struct([(name, _type(arrow, each)) for name, each in ANNOTATION.items()]))
    plain = {"bool": arrow.bool_(), "int64": arrow.int64(), "float64": arrow.float64()}
    return plain.get(kind, arrow.string())


def _row(row: Row, types: Mapping[str, str]) -> Row:
    return {name: _value(row[name], kind) for name, kind in types.items()}


def _value(value: Any, kind: str) -> Any:
    if kind == OBJECT:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    return as_turns(value, "user") if kind == TURNS else value
