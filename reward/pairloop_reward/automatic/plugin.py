"""The ``auto`` reward model, announced. Nothing heavy is imported before a factory runs."""

from collections.abc import Sequence
from pathlib import Path

from pairloop.hookspecs import hookimpl
from pairloop.protocols import ModelContext, RewardModel, RewardModelSpec
from pairloop_reward.automatic.options import AutoOptions


def make_auto(options: AutoOptions, context: ModelContext) -> RewardModel:
    """An unfitted ``auto`` model."""
    from pairloop_reward.automatic.model import AutoRewardModel

    return AutoRewardModel(options, context)


def load_auto(folder: Path, context: ModelContext) -> RewardModel:
    """The model that ``save`` wrote into this folder.

    Raises:
        CorruptionDetected: a file is missing, truncated or changed; names it.
    """
    from pairloop_reward.automatic.model import AutoRewardModel

    return AutoRewardModel.load(folder, context)


@hookimpl
def pairloop_reward_models() -> Sequence[RewardModelSpec]:
    """Offer ``auto``."""
    return [
        RewardModelSpec(
            name="auto",
            factory=make_auto,
            load=load_auto,
            options=AutoOptions,
            summary="tfidf, encoder or finetuned: what predicted the votes of the random arm best before it saw them",
        ),
    ]
