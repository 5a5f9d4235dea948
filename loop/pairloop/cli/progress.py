"""Progress of long work on stderr, for people who watch; silent in pipes and with ``--json``."""

import sys
from typing import TYPE_CHECKING

from pairloop.cli.interrupt import Stop
from pairloop.kit.text import for_terminal

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class Bar:
    """Implements `pairloop.protocols.Progress` with one rich bar that vanishes when its work is done.

    Reporting progress is also a place where a requested stop may happen: between two units, never inside one.
    """

    def __init__(self, stop: Stop | None = None, *, visible: bool = True) -> None:
        self._stop = stop
        self._visible = visible
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    def start(self, label: str, total: int | None = None) -> None:
        """Show a bar, or a spinner where the total is unknown."""
        self.finish()
        if not self._visible:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichBars

        from pairloop.cli.output import console

        self._bars = RichBars(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TextColumn("{task.fields[note]}", markup=False),
            console=console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._bars.start()
        self._task = self._bars.add_task(for_terminal(label, 60), total=total, note="")

    def advance(self, n: int = 1, note: str = "") -> None:
        """Move the bar; end here if a stop was asked for."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, advance=n, note=for_terminal(note, 60))
        if self._stop is not None:
            self._stop.check()

    def finish(self) -> None:
        """Take the bar away; may be called twice."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


def watched() -> bool:
    """True when a person looks at stderr."""
    return sys.stderr.isatty()
