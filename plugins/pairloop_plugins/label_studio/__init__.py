"""The backend ``label-studio``: questions become tasks of a Label Studio project. See docs/label-studio.md."""

from collections.abc import Sequence
from typing import Any

from pairloop.hookspecs import hookimpl
from pairloop.protocols import Backend, BackendContext, BackendSpec, Prepared, Preparing
from pairloop_plugins.label_studio.options import LabelStudioOptions

__all__ = ["LabelStudioOptions", "pairloop_backends"]


def _factory(options: Any, context: BackendContext) -> Backend:
    from pairloop_plugins.label_studio.backend import LabelStudioBackend

    return LabelStudioBackend(options, context)


def _prepare(options: Any, preparing: Preparing) -> Prepared:
    from pairloop_plugins.label_studio.setup import prepare

    return prepare(options, preparing)


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
