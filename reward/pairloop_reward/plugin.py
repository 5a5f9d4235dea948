"""The built-in reward models, announced. Nothing heavy is imported before a factory runs."""

from collections.abc import Sequence
from pathlib import Path

from pairloop.hookspecs import hookimpl
from pairloop.protocols import ModelContext, RewardModel, RewardModelSpec
from pairloop_reward.options import TfidfOptions


def make_tfidf(options: TfidfOptions, context: ModelContext) -> RewardModel:
    """An unfitted ``tfidf`` model."""
    from pairloop_reward.model import TfidfRewardModel

    return TfidfRewardModel(options, context)


def load_tfidf(folder: Path, context: ModelContext) -> RewardModel:
    """The model that ``save`` wrote into this folder.

    Raises:
        CorruptionDetected: a file is missing, truncated or changed; names it.
    """
    from pairloop_reward.model import TfidfRewardModel

    return TfidfRewardModel.load(folder, context)


@hookimpl
def pairloop_reward_models() -> Sequence[RewardModelSpec]:
    """Offer ``tfidf``."""
    return [
        RewardModelSpec(
            name="tfidf",
            factory=make_tfidf,
            load=load_tfidf,
            options=TfidfOptions,
            summary="TF-IDF and surface features, Bradley–Terry head with ties, flips and position bias; no download",
        )
    ]
