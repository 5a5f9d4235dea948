"""Facts to stdout, messages to stderr, and outside text made harmless on both."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pairloop.kit.text import for_terminal

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160  # columns when nobody's terminal sets them


def emit_json(value: Any) -> None:
    """One JSON document on stdout, UTF-8 whatever the locale."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    emit_bytes(text.encode("utf-8", "backslashreplace"))  # a lone surrogate becomes its JSON escape


def emit_bytes(data: bytes) -> None:
    """Bytes on stdout."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def line(text: str = "") -> None:
    """A line of facts for people, on stdout."""
    click.echo(for_terminal(text))


def message(text: str) -> None:
    """A line that is no fact, on stderr."""
    click.echo(for_terminal(text), err=True)


def console(*, stderr: bool = False) -> "Console":
    """A rich console without markup, emoji or highlighting; colours only on a terminal and without ``NO_COLOR``."""
    from rich.console import Console

    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.is_terminal:
        made.width = PIPE_WIDTH
    return made


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table on stdout."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(for_terminal(_plain(cell))) for cell in row))
    console().print(made)


def facts(values: Mapping[str, Any]) -> None:
    """Aligned ``name  value`` lines on stdout."""
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        line(f"{name.ljust(width)}  {_plain(value)}")


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
