"""The backend ``replay``: recorded votes, given again one by one by the people who gave them."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from pairloop.hookspecs import hookimpl
from pairloop.kit.options import Options
from pairloop.protocols import Backend, BackendContext, BackendSpec
from pairloop.records import AnnotatorKind

__all__ = ["ReplayOptions", "pairloop_backends"]


class ReplayOptions(Options):
    """``[backend.options]`` of ``replay``."""

    kinds: tuple[AnnotatorKind, ...] = Field(default=(AnnotatorKind.HUMAN,), min_length=1)
    """Whose recorded votes are given again."""
    order: Literal["recorded", "shuffled"] = "recorded"
    """Which of a pair's votes comes first: the first recorded, or one drawn by the campaign's seed."""


def _factory(options: Any, context: BackendContext) -> Backend:
    from pairloop_plugins.replay.backend import ReplayBackend

    return ReplayBackend(options or ReplayOptions(), context)


@hookimpl
def pairloop_backends() -> Sequence[BackendSpec]:
    """Offer the backend ``replay``."""
    return [BackendSpec("replay", _factory, ReplayOptions, "recorded votes, each given once")]
