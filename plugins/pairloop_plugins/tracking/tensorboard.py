"""Numbers of every round as TensorBoard scalars in the folder ``tensorboard`` of the campaign."""

import time
from collections.abc import Mapping

from pairloop.hookspecs import hookimpl
from pairloop.kit.extras import require
from pairloop.records import CampaignInfo

_tensorboard = require("tensorboardX", "tensorboard", 'The observer "tensorboard"')


@hookimpl
def pairloop_metrics(campaign: CampaignInfo, step: int, metrics: Mapping[str, float]) -> None:
    """Append scalars; TensorBoard shows the last one where a step occurs twice."""
    suffix = f".{time.time_ns()}"  # names hold seconds: a second file within the same one would replace the first
    with _tensorboard.SummaryWriter(str(campaign.folder / "tensorboard"), filename_suffix=suffix) as writer:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)
