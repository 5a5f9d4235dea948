"""Numbers of trained models for whoever keeps them: experiment trackers and dashboards, as observer plugins."""

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

from pairloop.records import CampaignInfo
from pairloop.registry import Registry
from pairloop.store import Store
from pairloop.store.models import ModelRow

_TOLD = "metrics_told"
_ROLES = ("reward", "policy")
_LEFT_OUT = ("annotators", "notes")  # numbers about persons do not leave the campaign's folder


def numbers(report: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a report by the path of their keys, joined by slashes; lists are left out."""
    return dict(_leaves(report, ()))


def _leaves(value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            if key not in _LEFT_OUT:
                yield from _leaves(inner, (*path, str(key)))
        elif isinstance(inner, int | float) and math.isfinite(inner):
            yield "/".join((*path, str(key))), float(inner)


def tell_metrics(store: Store, registry: Registry, campaign: CampaignInfo) -> None:
    """Call the observers' ``pairloop_metrics`` with every model that they have not been told about.

    What was told is noted afterwards, so that a kill in between repeats a model and never omits one; the same after an
    exception, which is logged.
    """
    hook = registry.hook.pairloop_metrics
    if not hook.get_hookimpls():
        return
    last = int(store.get_meta(_TOLD) or 0)
    for row in sorted(_new(store, last), key=lambda row: row.id):
        metrics = {f"{row.role}/{name}": value for name, value in numbers(row.report).items()}
        try:
            hook(campaign=campaign, step=row.round, metrics={**metrics, f"{row.role}/votes": float(row.votes)})
        except Exception:
            logging.getLogger("pairloop").exception(
                "an observer plugin failed on the numbers of round %d; they are given again with the next", row.round
            )
            return
        with store.transaction():
            store.set_meta(_TOLD, row.id)


def _new(store: Store, last: int) -> list[ModelRow]:
    return [row for role in _ROLES for row in store.models.all(role) if row.id > last]
