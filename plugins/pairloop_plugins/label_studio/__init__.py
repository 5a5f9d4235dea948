"""The backend ``label-studio``: questions become tasks of a Label Studio project. See docs/label-studio.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pairloop.hookspecs import hookimpl
from pairloop.protocols import Backend, BackendContext, BackendSpec, PairSource, Prepared, Preparing, SourceSpec
from pairloop_plugins.label_studio.options import LabelStudioOptions

__all__ = ["LabelStudioOptions", "pairloop_backends", "pairloop_sources"]


def _factory(options: Any, context: BackendContext) -> Backend:
    from pairloop_plugins.label_studio.backend import LabelStudioBackend

    return LabelStudioBackend(options, context)


def _prepare(options: Any, preparing: Preparing) -> Prepared:
    from pairloop_plugins.label_studio.setup import prepare

    return prepare(options, preparing)


def _pool(options: Any, path: Path | None) -> PairSource:
    from pairloop_plugins.label_studio.pool import TaskPool

    return TaskPool(options or LabelStudioOptions())


@hookimpl
def pairloop_backends() -> Sequence[BackendSpec]:
    """Offer the backend ``label-studio``."""
    return [
        BackendSpec(
            "label-studio",
            _factory,
            LabelStudioOptions,
            "tasks of a Label Studio project: see docs/label-studio.md",
            _prepare,
        )
    ]


@hookimpl
def pairloop_sources() -> Sequence[SourceSpec]:
    """Offer the tasks of a project as the pool of a campaign that adopts them."""
    return [SourceSpec("label-studio", _pool, LabelStudioOptions, "tasks that a Label Studio project has already")]
