"""What a failing command prints, and the exit code that it ends with.

| code | meaning |
|---|---|
| 0 | done, advanced or finished |
| 1 | an unexpected error (run with ``--debug``), or the reader of a pipe went away |
| 2 | the call, the configuration or the data cannot be meant this way |
| 3 | waiting for annotators |
| 4 | a plugin, the backend, training or the budget failed |
| 6 | the campaign's files cannot be used |
| 74 | disk full, read-only or failing |
| 75 | another process works on the campaign |
| 130, 143 | interrupted (Ctrl-C, SIGTERM) |
"""

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import click

from pairloop.errors import PairloopError

EXIT_UNEXPECTED, EXIT_WAITING, EXIT_INTERRUPTED = 1, 3, 130
F = TypeVar("F", bound=Callable[..., Any])


def debug_option(command: F) -> F:
    """``--debug``: read by `run_and_exit`, so the command itself does not see it."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks of errors.")(command)


def run_and_exit(
    command: click.Command,
    args: Sequence[str] | None,
    prog_name: str,
    complete_var: str | None,
    extra: Mapping[str, Any],
) -> NoReturn:
    """Parse, run, report and exit."""
    command._main_shell_completion(dict(extra), prog_name, complete_var)
    debug = "--debug" in (sys.argv[1:] if args is None else args)  # also for what fails before options are parsed
    try:
        code = _run(command, list(sys.argv[1:] if args is None else args), prog_name, extra)
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - the last resort of the whole program: every error becomes a sentence
        if debug and not _is_broken_pipe(error):
            import traceback

            traceback.print_exc()
        code = _report(error)
    except KeyboardInterrupt as error:
        code = int(getattr(error, "exit_code", EXIT_INTERRUPTED))
        click.echo("Interrupted. What was committed is kept.", err=True)
    sys.exit(code)


def _run(command: click.Command, args: list[str], prog_name: str, extra: Mapping[str, Any]) -> int:
    try:
        with command.make_context(prog_name, args, **extra) as ctx:
            command.invoke(ctx)
        return 0
    except click.exceptions.Exit as stop:
        return stop.exit_code


def _report(error: Exception) -> int:
    """Print an error for people; returns its exit code."""
    if _is_broken_pipe(error):
        _silence(sys.stdout)
        return EXIT_UNEXPECTED
    if isinstance(error, PairloopError):
        click.echo(f"Error: {safe(error.message)}", err=True)
        if error.hint:
            click.echo(f"  {safe(error.hint)}", err=True)
        return error.exit_code
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, click.exceptions.Abort):
        click.echo("Aborted.", err=True)
        return EXIT_INTERRUPTED
    click.echo(f"Unexpected error: {type(error).__name__}: {safe(str(error))}", err=True)
    click.echo("  This is a bug in pairloop or a plugin; run again with --debug to see where.", err=True)
    return EXIT_UNEXPECTED


def safe(text: str) -> str:
    """Outside text, made harmless for the terminal."""
    from pairloop.kit.text import for_terminal

    return for_terminal(text)


def _is_broken_pipe(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def _silence(stream: Any) -> None:
    """Point a closed pipe at nothing, so that the interpreter's last flush stays quiet."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):  # not a real file: a test's buffer
        return
