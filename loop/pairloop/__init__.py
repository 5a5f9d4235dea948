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
    "Vote": "pairloop.records",
    "create_campaign": "pairloop.api",
    "hookimpl": "pairloop.hookspecs",
    "preferences": "pairloop.api",
    "reward_model": "pairloop.api",
    "score": "pairloop.api",
    "votes_of": "pairloop.api",
    "write_report": "pairloop.api",
}

__all__ = [
    "Annotation", "Batch", "Campaign", "Choice", "PairloopError", "Vote", "__version__", "create_campaign", "hookimpl",
    "preferences", "reward_model", "score", "votes_of", "write_report",
]  # fmt: skip

if TYPE_CHECKING:
    from pairloop.api import create_campaign, preferences, reward_model, score, votes_of, write_report
    from pairloop.campaign import Campaign
    from pairloop.errors import PairloopError
    from pairloop.hookspecs import hookimpl
    from pairloop.records import Annotation, Batch, Choice, Vote


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'pairloop' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
