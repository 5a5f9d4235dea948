"""How a campaign begins (adopting its config) and when it ends."""

import secrets
from typing import Any

from pairloop.budget import affordable, spending
from pairloop.config import Config
from pairloop.errors import ConfigError
from pairloop.kit.clock import now
from pairloop.kit.failpoints import failpoint
from pairloop.states import RoundState
from pairloop.steps.select import POOL_EXHAUSTED
from pairloop.store import Store
from pairloop.store.rounds import Round

# What decides ids, sides of the split or the meaning of stored votes cannot change under a running campaign.
FIXED = ("campaign.seed", "campaign.id", "data.source", "holdout.fraction", "backend.kind", "reward.model")


def campaign_id(store: Store, config: Config) -> str:
    """The stored id, or at the first opening the config's, or a random one; stores nothing.

    Raises:
        ConfigError: a key of `FIXED` changed.
    """
    new = config.model_dump(mode="json")
    old: dict[str, Any] | None = store.get_meta("config")
    for path in FIXED if old is not None else ():
        if _at(old or {}, path) != _at(new, path):
            raise ConfigError(
                f"campaign.toml: {path} changed from {_at(old or {}, path)!r} to {_at(new, path)!r} in mid-campaign",
                "Put the old value back, or start a new campaign in another folder.",
            )
    return str(store.get_meta("id") or config.campaign.id or f"c{secrets.token_hex(8)}")


def adopt_config(store: Store, config: Config, campaign_id: str) -> None:
    """Store the config, once it is known to be usable: a mistyped part must not become one that cannot change."""
    new = config.model_dump(mode="json")
    old: dict[str, Any] | None = store.get_meta("config")
    if old == new:
        return
    with store.transaction():
        store.set_meta("config", new)
        if old is None:
            store.set_meta("id", campaign_id)
            store.set_meta("created_at", now())
            store.events.add("campaign_created", None, id=campaign_id)
        else:
            store.events.add("config_changed", None, changes=_changes(old, new))
    failpoint("campaign.adopted")


def _at(config: dict[str, Any], path: str) -> Any:
    section, _, key = path.partition(".")
    return config.get(section, {}).get(key)


def _changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return sorted(
        f"{section}.{key}"
        for section in new
        for key in new[section]
        if old.get(section, {}).get(key) != new[section][key]
    )


def stop_reason(store: Store, config: Config, latest: Round | None) -> str | None:
    """Why no further round opens, or None."""
    if latest is not None and latest.number >= config.round.max_rounds:
        return f"round.max_rounds = {config.round.max_rounds} is reached"
    n, limit = affordable(
        config.budget, spending(store, store.annotations.standing(), config.budget), config.round.size
    )
    if n == 0:
        return f"{limit} is used up"
    exhausted = latest is not None and latest.state is RoundState.ABANDONED and latest.reason == POOL_EXHAUSTED
    if latest is not None and exhausted and (store.get_meta("pool_grew_after") or 0) < latest.number:
        return latest.reason
    return None
