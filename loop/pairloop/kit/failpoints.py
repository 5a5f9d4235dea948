"""Named points at which the crash tests kill, or fail, the process.

``failpoint("publish.after_send")`` costs one dictionary look-up unless ``PAIRLOOP_FAILPOINT=name[:hit]`` is set, which
kills the process (SIGKILL) at the given hit. In-process tests use `pairloop.testing.failpoints`. Every name is
declared in ``FAILPOINTS``, so that a test can visit them all.
"""

import os
import signal
from collections.abc import Callable

FAILPOINTS: frozenset[str] = frozenset(
    {
        "atomic.before_rename",
        "atomic.after_rename",
        "artifact.before_rename",
        "artifact.after_rename",
        "artifact.after_row",
        "ingest.before_commit",
        "transaction.before_commit",
        "transaction.after_commit",
        "campaign.adopted",
        "intake.before_commit",
        "intake.after_commit",
        "round.opened",
        "select.before_commit",
        "select.after_commit",
        "publish.after_lookup",
        "publish.reconciled",
        "publish.before_send",
        "publish.after_send",
        "publish.after_receipt",
        "publish.ambiguous",
        "publish.done",
        "collect.after_poll",
        "collect.after_page",
        "collect.before_cancel",
        "collect.after_cancel",
        "collect.closed",
        "judge.after_answer",
        "judge.before_commit",
        "judge.after_commit",
        "train.before_save",
        "train.before_commit",
        "train.after_commit",
        "tune.prepared",
        "tune.before_save",
        "tune.before_commit",
        "tune.after_commit",
        "generate.before_commit",
        "generate.after_commit",
        "round.closed",
        "manifest.written",
    }
)

_handler: Callable[[str], None] | None = None
_hits: dict[str, int] = {}


def _arm_from_environment() -> Callable[[str], None] | None:
    wanted = os.environ.get("PAIRLOOP_FAILPOINT")
    if not wanted:
        return None
    name, _, hit = wanted.partition(":")
    target = int(hit or 1)

    def kill(reached: str) -> None:
        if reached == name:
            _hits[name] = _hits.get(name, 0) + 1
            if _hits[name] == target:
                os.kill(os.getpid(), signal.SIGKILL)

    return kill


def set_handler(handler: Callable[[str], None] | None) -> None:
    """Call ``handler(name)`` at every failpoint from now on; None goes back to doing nothing."""
    global _handler  # noqa: PLW0603 - one switch for the whole process is the point
    _handler = handler


def failpoint(name: str) -> None:
    """Do nothing, unless a test armed this point."""
    if _handler is not None:
        _handler(name)


_handler = _arm_from_environment()
