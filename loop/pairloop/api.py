"""Campaigns from Python: what the command line does with files, as functions over an open `Campaign`.

All of them are names of the package itself: ``from pairloop import create_campaign``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pairloop.campaign import CONFIG_NAME, Campaign
from pairloop.config.load import parse_config
from pairloop.config.template import template
from pairloop.errors import NoSignal, UsageError
from pairloop.exports.rows import preference_rows
from pairloop.kit.atomic import disk_errors, write_atomic
from pairloop.kit.ids import lone_view
from pairloop.posterior import FloatArray
from pairloop.protocols import Progress, RewardModel
from pairloop.records import PromptContent, Vote
from pairloop.registry import Registry
from pairloop.remeasure import remeasured
from pairloop.report import write_report as write_page


def create_campaign(
    folder: str | Path,
    tables: Mapping[str, Mapping[str, Any]],
    *,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> Campaign:
    """Write a commented ``campaign.toml`` into a folder and open the campaign.

    Args:
        folder: made where it does not exist, readable by its owner only.
        tables: what differs from the defaults, by table of the configuration, as in ``{"data": {"path": "p.jsonl"}}``.
        registry: the parts that may be named; by default all that are installed.
        progress: told how far long work is.

    Raises:
        UsageError: there is a campaign already. ConfigError: a key or value is wrong; nothing is written then.
    """
    target = Path(folder) / CONFIG_NAME
    if target.exists():
        raise UsageError(f"{target} exists already and is not overwritten", "Open it with: Campaign(folder)")
    unknown = sorted(set(tables) - set(_tables()))
    if unknown:
        raise UsageError(f"there is no table {unknown[0]!r}", f"Tables: {', '.join(_tables())}")
    text = template({name: dict(table) for name, table in tables.items()})
    parse_config(text, str(target))
    with disk_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # votes name people
    write_atomic(target, text, mode=0o644)
    return Campaign(folder, registry=registry, progress=progress)


def _tables() -> list[str]:
    from pairloop.config.models import Config

    return list(Config.model_fields)


def votes_of(campaign: Campaign) -> list[Vote]:
    """The votes that stand, in order of arrival: a person once for a pair in a round, skips included."""
    return campaign.store.annotations.votes()


def preferences(campaign: Campaign) -> list[dict[str, Any]]:
    """One row a pair by all its votes: the rows of ``pairloop export`` as dictionaries."""
    return preference_rows(campaign.store)


def reward_model(campaign: Campaign) -> RewardModel:
    """The current reward model, its files verified.

    Raises:
        NoSignal: none has been trained yet. CorruptionDetected: its files were changed.
    """
    found = campaign.context.current_model()
    if found is None:
        raise NoSignal("no reward model has been trained yet", "Close a round first: campaign.step()")
    return found[1]


def score(campaign: Campaign, prompt: PromptContent, responses: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Posterior mean and standard deviation of the reward of texts that may be new to the campaign.

    Args:
        prompt: text, or messages as ``Message`` records. responses: N texts.

    Returns:
        Two (N,) arrays. Only differences between responses to one prompt mean something.

    Raises:
        NoSignal: no reward model has been trained yet.
    """
    return reward_model(campaign).score([lone_view(prompt, text) for text in responses])


def write_report(campaign: Campaign, path: str | Path) -> Path:
    """Write the HTML report; the file is readable by its owner only.

    Raises:
        StorageFull: the file cannot be written.
    """
    again = remeasured(campaign.store, campaign.parts, seed=campaign.config.campaign.seed)
    write_page(campaign.store, campaign.config, Path(path), again)
    return Path(path)
