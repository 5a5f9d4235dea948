"""The built-in reward models, announced. Nothing heavy is imported before a factory runs."""

from collections.abc import Sequence
from pathlib import Path

from pairloop.hookspecs import hookimpl
from pairloop.kit.extras import require
from pairloop.protocols import ModelContext, RewardModel, RewardModelSpec
from pairloop_reward.classifier_options import ClassifierOptions
from pairloop_reward.encoder_options import EncoderOptions
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


def make_classifier(options: ClassifierOptions, context: ModelContext) -> RewardModel:
    """An unfitted ``classifier`` model."""
    from pairloop_reward.classifier import ClassifierRewardModel

    return ClassifierRewardModel(options, context)


def load_classifier(folder: Path, context: ModelContext) -> RewardModel:
    """The model that ``save`` wrote into this folder.

    Raises:
        CorruptionDetected: a file is missing, truncated or changed; names it.
    """
    from pairloop_reward.classifier import ClassifierRewardModel

    return ClassifierRewardModel.load(folder, context)


def make_encoder(options: EncoderOptions, context: ModelContext) -> RewardModel:
    """An unfitted ``encoder`` model."""
    require("torch", "torch", "The reward model 'encoder'")
    from pairloop_reward.encoder_model import EncoderRewardModel

    return EncoderRewardModel(options, context)


def load_encoder(folder: Path, context: ModelContext) -> RewardModel:
    """The model that ``save`` wrote into this folder; the encoder itself must be where it was.

    Raises:
        CorruptionDetected: a file is missing, truncated or changed; names it. DataError: the encoder is another one.
    """
    require("torch", "torch", "The reward model 'encoder'")
    from pairloop_reward.encoder_model import EncoderRewardModel

    return EncoderRewardModel.load(folder, context)


@hookimpl
def pairloop_reward_models() -> Sequence[RewardModelSpec]:
    """Offer ``tfidf``, ``encoder`` and ``classifier``."""
    return [
        RewardModelSpec(
            name="tfidf",
            factory=make_tfidf,
            load=load_tfidf,
            options=TfidfOptions,
            summary="TF-IDF and surface features, Bradley–Terry head with ties, flips and position bias; no download",
        ),
        RewardModelSpec(
            name="encoder",
            factory=make_encoder,
            load=load_encoder,
            options=EncoderOptions,
            summary="frozen embeddings of any transformers encoder or causal LM, with the head of tfidf",
        ),
        RewardModelSpec(
            name="classifier",
            factory=make_classifier,
            load=load_classifier,
            options=ClassifierOptions,
            summary="common practice to compare with: scikit-learn's default classifier on majority verdicts",
        ),
    ]
