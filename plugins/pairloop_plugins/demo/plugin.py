"""Announces the source and the gold score ``demo``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pairloop.hookspecs import hookimpl
from pairloop.protocols import GoldScorer, GoldSpec, PairSource, SourceSpec
from pairloop_plugins.demo.source import DemoOptions, DemoSource


def _source(options: Any, path: Path | None) -> PairSource:
    return DemoSource(options or DemoOptions())


def _gold() -> GoldScorer:
    from pairloop_plugins.demo.gold import DemoGold

    return DemoGold()


@hookimpl
def pairloop_sources() -> Sequence[SourceSpec]:
    """Offer the source ``demo``."""
    return [SourceSpec("demo", _source, DemoOptions, "the help desk of a small library, shipped with pairloop")]


@hookimpl
def pairloop_gold_scorers() -> Sequence[GoldSpec]:
    """Offer the gold score ``demo``."""
    return [GoldSpec("demo", _gold, summary="a stated formula for replies of the demo's help desk")]
