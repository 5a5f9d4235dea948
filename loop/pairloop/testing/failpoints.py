"""Reaching, recording and failing at the named points of `pairloop.kit.failpoints` from a test.

A crash test kills a child process: set ``PAIRLOOP_FAILPOINT=name:hit`` in its environment, or call `kill_at` in a
forked child. A fault test raises in this process with `failing_at`.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pairloop.kit.failpoints import FAILPOINTS, set_handler


def kill_at(name: str, hit: int = 1, kind: signal.Signals = signal.SIGKILL) -> None:
    """Send this process ``kind`` when it reaches ``name`` for the ``hit``-th time from now; for child processes.

    Raises:
        ValueError: no such failpoint.
    """

    def die() -> None:
        os.kill(os.getpid(), kind)

    set_handler(_at(name, hit, die))


@contextmanager
def failing_at(name: str, error: Exception, hit: int = 1) -> Iterator[None]:
    """Raise ``error`` at the ``hit``-th time that ``name`` is reached inside the block.

    Raises:
        ValueError: no such failpoint.
    """

    def fail() -> None:
        raise error

    set_handler(_at(name, hit, fail))
    try:
        yield
    finally:
        set_handler(None)


@contextmanager
def recorded() -> Iterator[list[str]]:
    """The failpoints reached inside the block, in order, repeats included."""
    reached: list[str] = []
    set_handler(reached.append)
    try:
        yield reached
    finally:
        set_handler(None)


def _at(name: str, hit: int, action: Callable[[], None]) -> Callable[[str], None]:
    if name not in FAILPOINTS:
        raise ValueError(f"there is no failpoint {name!r}; known: {', '.join(sorted(FAILPOINTS))}")
    seen: Counter[str] = Counter()

    def handler(reached: str) -> None:
        seen[reached] += 1
        if reached == name and seen[name] == hit:
            action()

    return handler
