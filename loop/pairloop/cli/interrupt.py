"""Ctrl-C and SIGTERM: the first asks to stop at the next safe place, the second stops at once.

Safe places are between two steps, between two units of reported progress, and while waiting for people. The campaign
would survive a stop anywhere; a clean one only leaves nothing to be done twice.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_NOTICE = b"\nStopping after the current piece of work; once more stops at once.\n"


class Interrupted(KeyboardInterrupt):
    """A signal ended the command; ``exit_code`` is 128 + its number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


class Stop:
    """Whether, and by which signal, a stop was asked for."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._waiting = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """The signal handler.

        Raises:
            Interrupted: this is the second signal, or nothing is being worked on.
        """
        if self.signal is not None or self._waiting:
            raise Interrupted(number)
        self.signal = number
        with suppress(OSError):  # nobody may be there to read it
            os.write(2, _NOTICE)  # print is not safe to call again from inside print

    def check(self) -> None:
        """End here if a stop was asked for.

        Raises:
            Interrupted: it was.
        """
        if self.signal is not None:
            raise Interrupted(self.signal)

    def sleep(self, seconds: float) -> None:
        """Wait; a signal ends the wait at once.

        Raises:
            Interrupted: a signal came.
        """
        self.check()
        self._waiting = True
        try:
            self.check()
            time.sleep(seconds)
        finally:
            self._waiting = False


@contextmanager
def stopping() -> Iterator[Stop]:
    """Handle SIGINT and SIGTERM inside; the former handlers come back afterwards."""
    stop = Stop()
    former = {number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
