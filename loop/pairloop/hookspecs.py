"""The hooks of pairloop.

A plugin is a module (or object) with functions marked ``@pairloop.hookimpl``. It is announced by an entry point in
the group ``pairloop`` whose name is ``<kind>.<name>``, for example ``backend.csv``; a campaign imports only the
entry points that its config names. The kinds are ``backend``, ``source``, ``gold``, ``reward``, ``strategy``,
``policy``, ``judge``, ``aggregator`` and ``observer``.
"""

from collections.abc import Mapping, Sequence

import pluggy

from pairloop.protocols import (
    AggregatorSpec,
    BackendSpec,
    GoldSpec,
    JudgeSpec,
    RewardModelSpec,
    SourceSpec,
    StrategySpec,
    TunerSpec,
)
from pairloop.records import CampaignInfo, Event, JsonObject

PROJECT = "pairloop"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def pairloop_backends() -> Sequence[BackendSpec]:  # type: ignore[empty-body]
    """Offer annotation backends. Called once, when a campaign that names one is opened."""


@hookspec
def pairloop_sources() -> Sequence[SourceSpec]:  # type: ignore[empty-body]
    """Offer pair sources. Called once, when a campaign that names one reads its data."""


@hookspec
def pairloop_gold_scorers() -> Sequence[GoldSpec]:  # type: ignore[empty-body]
    """Offer programmatic gold scores for simulated annotators and benchmarks."""


@hookspec
def pairloop_reward_models() -> Sequence[RewardModelSpec]:  # type: ignore[empty-body]
    """Offer reward models. Heavy imports belong inside the factory."""


@hookspec
def pairloop_strategies() -> Sequence[StrategySpec]:  # type: ignore[empty-body]
    """Offer selection strategies."""


@hookspec
def pairloop_tuners() -> Sequence[TunerSpec]:  # type: ignore[empty-body]
    """Offer policy tuners. Heavy imports belong inside the factory."""


@hookspec
def pairloop_judges() -> Sequence[JudgeSpec]:  # type: ignore[empty-body]
    """Offer language models that judge pairs. Heavy imports belong inside the factory."""


@hookspec
def pairloop_aggregators() -> Sequence[AggregatorSpec]:  # type: ignore[empty-body]
    """Offer ways to aggregate votes, for comparison. Heavy imports belong inside the factory."""


@hookspec
def pairloop_event(event: Event) -> None:
    """Observe ``event`` after it was committed.

    Called for every event, in order, by the writing process. An exception is logged and never stops the campaign.
    """


@hookspec
def pairloop_metrics(campaign: CampaignInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Take the numbers of a model that was trained, when its round has ended.

    ``step`` is the round. Names have levels, as in ``reward/holdout/accuracy/value`` and ``policy/kl``; nothing in them
    is about single annotators. Called at least once for every model: an exception is logged, and the same numbers come
    again when the next round ends.
    """


@hookspec(firstresult=True)
def pairloop_should_stop(facts: JsonObject) -> str | None:
    """End the campaign before the next round opens: return the reason, or None to go on.

    ``facts`` is what ``pairloop status --json`` prints. The first answer that is not None counts.
    """


@hookspec(firstresult=True)
def pairloop_should_tune(facts: JsonObject) -> bool | None:
    """Decide whether the policy is tuned after this round; None leaves it to the gate of the config.

    ``facts`` is what ``pairloop status --json`` prints. The first answer that is not None counts.
    """
