"""pairloop: an active-learning labeling loop for RLHF.

The names below are the public face of the core. They are imported on first use (PEP 562), so that
``import pairloop`` and ``pairloop --help`` load no numerical library.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "Campaign": "pairloop.campaign",
    "Choice": "pairloop.records",
    "Annotation": "pairloop.records",
    "Batch": "pairloop.records",
    "PairloopError": "pairloop.errors",
    "hookimpl": "pairloop.hookspecs",
}

__all__ = ["Annotation", "Batch", "Campaign", "Choice", "PairloopError", "__version__", "hookimpl"]

if TYPE_CHECKING:
    from pairloop.campaign import Campaign
    from pairloop.errors import PairloopError
    from pairloop.hookspecs import hookimpl
    from pairloop.records import Annotation, Batch, Choice


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'pairloop' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
