"""A whole campaign in a fraction of a second: toy data, a file as server, a toy model and a toy tuner::

with Campaign(folder, registry=toy_registry(), config_text=toy_config()) as campaign:
    campaign.run()
"""

from typing import Any

import tomlkit

from pairloop.registry import Registry
from pairloop.testing import remote, toy_judge, toy_reward, toy_source, toy_tuner

TOY_CONFIG: dict[str, dict[str, Any]] = {
    "campaign": {"id": "toy", "seed": 7},
    "data": {"source": "toy", "options": {"prompts": 24, "responses": 4}},
    "backend": {"kind": "file-remote", "options": {}},
    "round": {"size": 10, "max_rounds": 3},
    "selection": {"strategy": "logdet", "candidates": 1000},
    "reward": {"model": "toy"},
    "policy": {
        "tuner": "toy", "start_labels": 12, "every_labels": 8, "prompts": 6, "probe_prompts": 2, "sample_prompts": 4,
        "conservatism": 0.1,
    },
}  # fmt: skip


def toy_registry(**modules: object) -> Registry:
    """The toys, and what is installed; ``modules`` adds or replaces parts by ``kind__name=module``."""
    toys: dict[str, object] = {
        "source.toy": toy_source,
        "gold.toy": toy_source,
        "backend.file-remote": remote,
        "reward.toy": toy_reward,
        "policy.toy": toy_tuner,
        "judge.toy": toy_judge,
    }
    return Registry(toys | {name.replace("__", ".", 1): module for name, module in modules.items()})


def toy_config(**changes: dict[str, Any]) -> str:
    """TOML text of a three-round campaign that also tunes and samples; ``changes`` update its tables, None drops a key.

    Nested tables (``options``) are replaced as a whole.
    """
    tables: dict[str, dict[str, Any]] = {name: dict(table) for name, table in TOY_CONFIG.items()}
    for name, change in changes.items():
        tables[name] = {**tables.get(name, {}), **change}
    return tomlkit.dumps(
        {name: {key: value for key, value in table.items() if value is not None} for name, table in tables.items()}
    )
