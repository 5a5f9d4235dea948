"""Numbers of every round as metrics of one MLflow run, found again by a tag with the campaign's id.

Server, credentials and experiment are MLflow's own business: ``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME`` and
the other variables of its client. Without an experiment there, the campaign's name is used.
"""

import os
import time
from collections.abc import Mapping
from typing import Any

from pairloop.hookspecs import hookimpl
from pairloop.kit.extras import require
from pairloop.records import CampaignInfo

_mlflow = require("mlflow", "mlflow", 'The observer "mlflow"')
_TAG = "pairloop.campaign"


@hookimpl
def pairloop_metrics(campaign: CampaignInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Log the metrics at once; MLflow keeps every value of a step, so one that is given again stands there twice."""
    client = _mlflow.tracking.MlflowClient()
    now = int(time.time() * 1000)
    values = [_mlflow.entities.Metric(_name(key), value, now, step) for key, value in metrics.items()]
    run = _run(client, campaign)
    for start in range(0, len(values), 1000):  # MLflow's limit for one call
        client.log_batch(run, metrics=values[start : start + 1000])


def _run(client: Any, campaign: CampaignInfo) -> str:
    """The run with the campaign's tag, made where there is none."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or campaign.name
    found = client.get_experiment_by_name(name)
    experiment = client.create_experiment(name) if found is None else found.experiment_id
    runs = client.search_runs([experiment], f"tags.`{_TAG}` = '{campaign.id}'", max_results=1)
    if runs:
        return str(runs[0].info.run_id)
    return str(client.create_run(experiment, run_name=campaign.name, tags={_TAG: campaign.id}).info.run_id)


def _name(key: str) -> str:
    """MLflow takes letters, digits, blanks and ``_-./:`` only."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "_-./: ") else "_" for char in key)
