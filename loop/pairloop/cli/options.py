"""Arguments and options that many commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pairloop.cli.failures import debug_option

__all__ = ["debug_option", "dry_run_option", "folder_argument", "json_option"]

F = TypeVar("F", bound=Callable[..., Any])

folder_argument = click.argument(
    "folder", type=click.Path(path_type=Path), default=Path("."), required=False, metavar="[FOLDER]"
)
"""The campaign's folder; the current one by default."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON on stdout, messages on stderr.")


def dry_run_option(help_text: str) -> Callable[[F], F]:
    """``--dry-run`` with what it does in this command."""
    return click.option("--dry-run", is_flag=True, help=help_text)
