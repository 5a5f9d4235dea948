"""The help of every command as Markdown, for ``docs/cli.md``::

    python -m pairloop.cli.reference docs/cli.md

replaces what stands between the two markers of that file.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from pairloop.cli.app import cli
from pairloop.cli.table import COMMANDS

BEGIN, END = "<!-- begin: written by python -m pairloop.cli.reference -->", "<!-- end -->"
_WIDTH = 100


def reference() -> str:
    """All commands of the core with their ``--help``."""
    return "\n".join(_section(path, command, parent) for path, command, parent in _commands())


def _commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    root = click.Context(cli, info_name="pairloop", terminal_width=_WIDTH)
    for name in COMMANDS:
        command = cli.get_command(root, name)
        if isinstance(command, click.Group):
            inner = click.Context(command, parent=root, info_name=name, terminal_width=_WIDTH)
            for part in command.list_commands(inner):
                sub = command.get_command(inner, part)
                if sub is not None:
                    yield f"{name} {part}", sub, inner
        elif command is not None:
            yield name, command, root


def _section(path: str, command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, parent=parent, info_name=path.rpartition(" ")[2], terminal_width=_WIDTH)
    return f"### pairloop {path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"


def updated(text: str) -> str:
    """The document with the part between the markers written anew.

    Raises:
        ValueError: a marker is missing.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"needs the lines {BEGIN!r} and {END!r}")
    return f"{head}{BEGIN}\n\n{reference()}\n{END}{tail}"


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(updated(document.read_text(encoding="utf-8")), encoding="utf-8")
