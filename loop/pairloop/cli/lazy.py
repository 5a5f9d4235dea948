"""A click group that knows its commands by name and imports the one that is used."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import click

from pairloop.cli import failures


class Entry(NamedTuple):
    """Where a command lives ("module:attribute"), its line in ``--help``, and the heading above it.

    A named tuple, since importing `dataclasses` would take a tenth of the time of ``pairloop --help``.
    """

    target: str
    summary: str
    section: str = "Commands"


class LazyGroup(click.Group):
    """Commands from a static table, and more from an entry-point group.

    Args:
        table: the commands by name.
        more: entry-point group whose names are listed without importing anything.
    """

    def __init__(self, *args: Any, table: Mapping[str, Entry], more: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table
        self._more = more

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the table in its order, then the others by name."""
        return [*self._table, *self._other_names()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of this name.

        Raises:
            PluginError: another distribution's command cannot be loaded.
        """
        entry = self._table.get(cmd_name)
        if entry is not None:
            module, _, attribute = entry.target.partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        if self._more is None:
            return None
        from pairloop.cli.more import load

        return load(self._more, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a name that does not exist."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            import difflib

            close = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f" Did you mean '{close[0]}'?" if close else f" See: {ctx.command_path} --help"
            raise click.UsageError(f"There is no command '{failures.safe(name)}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table by section, then the bare names of other distributions' commands."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self._table.items():
            sections.setdefault(entry.section, []).append((name, entry.summary))
        width = max(len(name) for name in self._table) + 2
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width - 2), summary) for name, summary in rows])
        others = self._other_names()
        if others:
            with formatter.section("More commands"):
                formatter.write_text(", ".join(others))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run a command line and exit; every way to fail has its exit code (see `pairloop.cli.failures`)."""
        failures.run_and_exit(self, args, prog_name or "pairloop", complete_var, extra)

    def _other_names(self) -> list[str]:
        if self._more is None:
            return []
        from pairloop.cli.more import names

        return [name for name in names(self._more) if name not in self._table]
