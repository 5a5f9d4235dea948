"""Numbers of every round in one Weights & Biases run, which is resumed by the campaign's id.

Key, project and mode are its client's own business: ``WANDB_API_KEY``, ``WANDB_PROJECT`` (by default "pairloop"),
``WANDB_MODE=offline`` and the other variables.
"""

import os
from collections.abc import Mapping

from pairloop.hookspecs import hookimpl
from pairloop.kit.extras import require
from pairloop.records import CampaignInfo

_wandb = require("wandb", "wandb", 'The observer "wandb"')


@hookimpl
def pairloop_metrics(campaign: CampaignInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Log the metrics with ``round`` as their horizontal axis; a run is opened and finished for each call."""
    settings = _wandb.Settings(silent=True, console="off", disable_git=True)
    run = _wandb.init(
        project=os.environ.get("WANDB_PROJECT") or "pairloop", id=campaign.id, name=campaign.name, resume="allow",
        dir=str(campaign.folder), settings=settings,
    )  # fmt: skip
    try:
        run.define_metric("*", step_metric="round")
        run.log({**metrics, "round": step})
    finally:
        run.finish()
