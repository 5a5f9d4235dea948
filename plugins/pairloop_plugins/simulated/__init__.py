"""The backend ``simulated``: annotators made of a gold score and the ways in which people depart from it."""

from collections.abc import Sequence
from typing import Any

from pairloop.hookspecs import hookimpl
from pairloop.protocols import Backend, BackendContext, BackendSpec
from pairloop_plugins.simulated.options import SimulatedOptions

__all__ = ["SimulatedOptions", "pairloop_backends"]


def _factory(options: Any, context: BackendContext) -> Backend:
    from pairloop_plugins.simulated.backend import SimulatedBackend

    return SimulatedBackend(options or SimulatedOptions(), context)


@hookimpl
def pairloop_backends() -> Sequence[BackendSpec]:
    """Offer the backend ``simulated``."""
    return [BackendSpec("simulated", _factory, SimulatedOptions, "annotators simulated from a gold score")]
