"""The wall clock, replaceable in tests."""

from collections.abc import Callable
from datetime import UTC, datetime

_source: Callable[[], datetime] | None = None


def set_clock(source: Callable[[], datetime] | None) -> None:
    """Use another clock (None: the real one)."""
    global _source  # noqa: PLW0603 - one clock for the whole process is the point
    _source = source


def now_time() -> datetime:
    """The current moment, UTC."""
    return _source() if _source is not None else datetime.now(UTC)


def now() -> str:
    """The current moment as ISO 8601 with seconds, UTC."""
    return now_time().isoformat(timespec="seconds")


def hours_since(moment: str) -> float:
    """Hours from an ISO 8601 moment until now."""
    return (now_time() - datetime.fromisoformat(moment)).total_seconds() / 3600.0
