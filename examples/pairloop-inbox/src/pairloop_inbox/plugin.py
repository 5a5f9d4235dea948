"""What the plugin offers."""

from collections.abc import Sequence

import pairloop
from pairloop.acquisition.batch import from_acquisition
from pairloop.posterior import FloatArray, IntArray, PreferencePosterior
from pairloop.protocols import BackendSpec, StrategySpec
from pairloop_inbox.backend import InboxBackend, InboxOptions


def widest(posterior: PreferencePosterior, pairs: IntArray) -> FloatArray:
    """Posterior variance of the margin, (N, 2) rows → (N,)."""
    return posterior.variance(pairs)


@pairloop.hookimpl
def pairloop_backends() -> Sequence[BackendSpec]:
    """Offer the backend ``inbox``."""
    return [BackendSpec("inbox", InboxBackend, InboxOptions, "questions as text files in a folder")]


@pairloop.hookimpl
def pairloop_strategies() -> Sequence[StrategySpec]:
    """Offer the strategy ``widest``."""
    return [StrategySpec("widest", lambda _options: from_acquisition(widest, "widest"), None, "largest uncertainty")]
