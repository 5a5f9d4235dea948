"""Commands that other packages bring, by entry points."""

import os
import sys

import click

from pairloop.errors import DuplicatePlugin, PluginError


def names(group: str) -> list[str]:
    """Names announced in an entry-point group, sorted.

    Reads ``entry_points.txt`` of what is installed. importlib.metadata does the same, but importing it costs more than
    all the rest of ``pairloop --help``; it is used when a command is loaded.
    """
    found: set[str] = set()
    for folder in sys.path:
        for path in _files(folder):
            found.update(_names_in(path, f"[{group}]"))
    return sorted(found)


def _files(folder: str) -> list[str]:
    try:
        with os.scandir(folder or ".") as entries:
            return [f"{e.path}/entry_points.txt" for e in entries if e.name.endswith((".dist-info", ".egg-info"))]
    except OSError:  # a sys.path entry that does not exist, or a zip file
        return []


def _names_in(path: str, header: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):  # most distributions have no entry points
        return []
    if header not in text:
        return []
    section = text.split(header, 1)[1].partition("\n[")[0]
    return [line.partition("=")[0].strip() for line in section.splitlines() if "=" in line and line[0] not in "#;"]


def load(group: str, name: str) -> click.Command | None:
    """Import a command; None when nothing announces it.

    Raises:
        DuplicatePlugin: two distributions announce it. PluginError: it cannot be imported, or is no command.
    """
    from importlib.metadata import entry_points

    found = list(entry_points(group=group, name=name))
    if not found:
        return None
    owners = [f"{p.dist.name} {p.dist.version}" if p.dist else "?" for p in found]
    if len(found) > 1:
        raise DuplicatePlugin(f"the command {name!r} is announced by {' and '.join(sorted(owners))}")
    try:
        command = found[0].load()
    except Exception as error:
        raise PluginError(f"the command {name!r} of {owners[0]} cannot be loaded: {error!r}") from error
    if not isinstance(command, click.Command):
        raise PluginError(f"the command {name!r} of {owners[0]} is no click command, but {type(command).__name__}")
    return command
