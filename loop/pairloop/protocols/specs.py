"""What a plugin offers: named factories with their options."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairloop.protocols.aggregation import Aggregator
from pairloop.protocols.backends import Backend, BackendContext, Prepared, Preparing
from pairloop.protocols.judges import Judge, JudgeContext
from pairloop.protocols.models import ModelContext, RewardModel
from pairloop.protocols.policy import PolicyTuner
from pairloop.protocols.selection import BatchStrategy, Goal
from pairloop.protocols.sources import GoldScorer, PairSource


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """Offers a backend. ``options`` is a `pairloop.kit.options.Options` class or None.

    ``prepare``: what ``pairloop init`` calls to make or find the place where people answer, where that takes more than
    options; it gets the options as far as they are known.
    """

    name: str
    factory: Callable[[Any, BackendContext], Backend]
    options: type[Any] | None = None
    summary: str = ""
    prepare: Callable[[Any, Preparing], Prepared] | None = None


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Offers a pair source; ``factory(options, path)`` gets the resolved path of ``data.path`` (may be None)."""

    name: str
    factory: Callable[[Any, Path | None], PairSource]
    options: type[Any] | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class GoldSpec:
    """Offers a gold scorer."""

    name: str
    factory: Callable[[], GoldScorer]
    options: None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class RewardModelSpec:
    """Offers a reward model: ``factory`` makes an unfitted one, ``load`` reads a folder that ``save`` wrote."""

    name: str
    factory: Callable[[Any, ModelContext], RewardModel]
    load: Callable[[Path, ModelContext], RewardModel]
    options: type[Any] | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """Offers a selection strategy. ``goals``: the values of ``selection.goal`` that it knows how to serve."""

    name: str
    factory: Callable[[Any], BatchStrategy]
    options: type[Any] | None = None
    summary: str = ""
    goals: tuple[Goal, ...] = ("reward_model",)


@dataclass(frozen=True, slots=True)
class TunerSpec:
    """Offers a policy tuner."""

    name: str
    factory: Callable[[Any], PolicyTuner]
    options: type[Any] | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class JudgeSpec:
    """Offers a judge. Making one asks nothing yet."""

    name: str
    factory: Callable[[Any, JudgeContext], Judge]
    options: type[Any] | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class AggregatorSpec:
    """Offers a way to aggregate votes."""

    name: str
    factory: Callable[[], Aggregator]
    options: None = None
    summary: str = ""


Spec = AggregatorSpec | BackendSpec | SourceSpec | GoldSpec | RewardModelSpec | StrategySpec | TunerSpec | JudgeSpec
