"""The methods as parts named ``aggregator.<name>``; crowd-kit is imported when one of its methods is used."""

from collections.abc import Sequence

from pairloop.hookspecs import hookimpl
from pairloop.protocols import Aggregator, AggregatorSpec


def _factory(name: str) -> Aggregator:
    from pairloop_plugins.crowd.methods import METHODS

    return METHODS[name]


_SUMMARIES = {
    "majority": "share of the votes",
    "dawid-skene": "confusion matrices by EM (crowd-kit)",
    "glad": "ability and difficulty (crowd-kit)",
    "mace": "spammers with a habit (crowd-kit)",
    "noisy-bt": "Crowd-BT with the right gradient",
    "noisy-bt-crowdkit": "Crowd-BT as crowd-kit publishes it",
}


@hookimpl
def pairloop_aggregators() -> Sequence[AggregatorSpec]:
    """Offer the methods."""
    return [
        AggregatorSpec(name, lambda name=name: _factory(name), summary=summary)  # type: ignore[misc]
        for name, summary in _SUMMARIES.items()
    ]
