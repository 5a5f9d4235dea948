"""Where long work reports to."""

from typing import Protocol


class Progress(Protocol):
    """Where long work reports to; the command line draws it, tests ignore it."""

    def start(self, label: str, total: int | None = None) -> None:
        """Begin a piece of work of ``total`` units (None: unknown)."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """``n`` more units are done."""

    def finish(self) -> None:
        """The piece of work is done."""
