"""Finding and loading the parts that a campaign's config names.

Entry points in the group ``pairloop`` are named ``<kind>.<name>``. Listing them reads metadata only; a module is
imported when a config names its part. One `Registry` (and one pluggy manager) per campaign: no globals.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, cast, overload

import pluggy

from pairloop import hookspecs
from pairloop.config.load import did_you_mean, validate
from pairloop.errors import ConfigError, DuplicatePlugin, MissingExtra, PluginError, PluginNotFound
from pairloop.kit.options import Options
from pairloop.protocols import (
    AggregatorSpec,
    BackendSpec,
    GoldSpec,
    JudgeSpec,
    RewardModelSpec,
    SourceSpec,
    Spec,
    StrategySpec,
    TunerSpec,
)

GROUP = "pairloop"
HOOKS = {
    "backend": "pairloop_backends",
    "source": "pairloop_sources",
    "gold": "pairloop_gold_scorers",
    "reward": "pairloop_reward_models",
    "strategy": "pairloop_strategies",
    "policy": "pairloop_tuners",
    "judge": "pairloop_judges",
    "aggregator": "pairloop_aggregators",
}
KINDS = (*HOOKS, "observer")


@dataclass(frozen=True, slots=True)
class Offer:
    """A part that some installed distribution announces."""

    kind: str
    name: str
    distribution: str
    version: str
    entry_point: EntryPoint | None = None
    module: object | None = None


class Registry:
    """The parts within reach, and the plugins loaded so far.

    Args:
        modules: parts by "<kind>.<name>" that need no entry point (tests, notebooks).
        installed: also offer what installed distributions announce.
    """

    def __init__(self, modules: Mapping[str, object] | None = None, *, installed: bool = True) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._offers = [_offer_of_module(name, module) for name, module in (modules or {}).items()]
        if installed:
            self._offers += [offer for point in _entry_points() if (offer := _offer_of_entry_point(point)) is not None]
        self.loaded: list[Offer] = []

    @property
    def hook(self) -> Any:
        """The hooks of the loaded plugins."""
        return self._manager.hook

    def offers(self, kind: str | None = None) -> list[Offer]:
        """Announced parts, sorted by kind and name; nothing is imported."""
        found = [offer for offer in self._offers if kind is None or offer.kind == kind]
        return sorted(found, key=lambda offer: (offer.kind, offer.name, offer.distribution))

    @overload
    def spec(self, kind: Literal["backend"], name: str, key: str) -> BackendSpec: ...
    @overload
    def spec(self, kind: Literal["source"], name: str, key: str) -> SourceSpec: ...
    @overload
    def spec(self, kind: Literal["gold"], name: str, key: str) -> GoldSpec: ...
    @overload
    def spec(self, kind: Literal["reward"], name: str, key: str) -> RewardModelSpec: ...
    @overload
    def spec(self, kind: Literal["strategy"], name: str, key: str) -> StrategySpec: ...
    @overload
    def spec(self, kind: Literal["policy"], name: str, key: str) -> TunerSpec: ...
    @overload
    def spec(self, kind: Literal["judge"], name: str, key: str) -> JudgeSpec: ...
    @overload
    def spec(self, kind: Literal["aggregator"], name: str, key: str) -> AggregatorSpec: ...
    def spec(self, kind: str, name: str, key: str) -> Spec:
        """The spec of a part, importing its plugin if need be; ``key`` is the config key that names it.

        Raises:
            PluginNotFound: nothing announces it; suggests what was meant.
            DuplicatePlugin: two distributions announce it. PluginError: it fails to load or does not deliver.
        """
        offer = self._find(kind, name, key)
        self._load(offer)
        specs = [spec for batch in getattr(self._manager.hook, HOOKS[kind])() for spec in batch if spec.name == name]
        if not specs:
            raise PluginError(
                f"{key} = {name!r}: {offer.distribution} announces {kind}.{name}, but its hook {HOOKS[kind]} does not"
                " deliver it"
            )
        if len(specs) > 1:
            raise DuplicatePlugin(f"{key} = {name!r}: the loaded plugins deliver {kind}.{name} {len(specs)} times")
        return cast(Spec, specs[0])

    def load_observers(self, names: Iterable[str]) -> None:
        """Load observer plugins by name."""
        for name in names:
            self._load(self._find("observer", name, "campaign.plugins"))

    def _find(self, kind: str, name: str, key: str) -> Offer:
        found = [offer for offer in self._offers if offer.kind == kind and offer.name == name]
        if not found:
            known = [offer.name for offer in self.offers(kind)]
            raise PluginNotFound(
                f"{key}: there is no {kind} called {name!r}{did_you_mean(name, known)}",
                "Installed parts are listed by: pairloop plugins",
            )
        if len(found) > 1:
            dists = " and ".join(sorted(f"{offer.distribution} {offer.version}" for offer in found))
            raise DuplicatePlugin(f"{key}: {kind}.{name} is announced by {dists}", "Uninstall one of them.")
        return found[0]

    def _load(self, offer: Offer) -> None:
        label = f"{offer.kind}.{offer.name}"
        plugin = offer.module
        if plugin is None and offer.entry_point is not None:
            try:
                plugin = offer.entry_point.load()
            except MissingExtra:
                raise
            except Exception as error:
                raise PluginError(
                    f"{label} of {offer.distribution} {offer.version} cannot be loaded: {error!r}"
                ) from error
        if plugin is not None and not self._manager.is_registered(plugin):
            self._manager.register(plugin, name=label)
            try:
                self._manager.check_pending()
            except pluggy.PluginValidationError as error:
                self._manager.unregister(plugin)
                raise PluginError(f"{label} of {offer.distribution} {offer.version}: {error}") from error
        if offer not in self.loaded:
            self.loaded.append(offer)


def options_of(spec: Spec, table: Mapping[str, Any], origin: str, key: str) -> Options | None:
    """Validate a part's options.

    Raises:
        ConfigError: names file and key, with a suggestion for an unknown key.
    """
    if spec.options is None:
        if table:
            raise ConfigError(f"{origin}: {key}: {spec.name!r} takes no options (found {', '.join(sorted(table))})")
        return None
    return cast(Options, validate(spec.options, dict(table), origin, key))


def _entry_points() -> Iterable[EntryPoint]:
    return entry_points(group=GROUP)


def _offer_of_entry_point(point: EntryPoint) -> Offer | None:
    kind, dot, name = point.name.partition(".")
    if not dot or kind not in KINDS:
        return None
    dist = point.dist
    return Offer(kind, name, dist.name if dist else "?", dist.version if dist else "?", entry_point=point)


def _offer_of_module(label: str, module: object) -> Offer:
    kind, _, name = label.partition(".")
    if kind not in KINDS or not name:
        raise PluginError(f"{label!r} is no part: write <kind>.<name> with a kind of {', '.join(KINDS)}")
    return Offer(kind, name, "(given in Python)", "-", module=module)
