"""The command line. Everything heavy is imported by the command that needs it, never by ``pairloop --help``."""

import sys


def main() -> None:
    """Run the command line and exit with its code (see ``docs/cli.md``)."""
    from pairloop.cli.app import cli

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a narrow terminal encoding must not end a campaign
    cli.main(prog_name="pairloop")
