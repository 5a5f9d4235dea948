"""The ``finetuned`` reward model, announced. Nothing heavy is imported before a factory runs."""

from collections.abc import Sequence
from pathlib import Path

from pairloop.hookspecs import hookimpl
from pairloop.protocols import ModelContext, RewardModel, RewardModelSpec
from pairloop_reward.finetuned.options import FinetunedOptions


def make_finetuned(options: FinetunedOptions, context: ModelContext) -> RewardModel:
    """An unfitted ``finetuned`` model.

    Raises:
        MissingExtra: torch or transformers are not installed.
    """
    _require()
    from pairloop_reward.finetuned.model import FinetunedRewardModel

    return FinetunedRewardModel(options, context)


def load_finetuned(folder: Path, context: ModelContext) -> RewardModel:
    """The model that ``save`` wrote into this folder.

    Raises:
        CorruptionDetected: a file is missing, truncated or changed; names it.
        MissingExtra: torch or transformers are not installed.
    """
    _require()
    from pairloop_reward.finetuned.model import FinetunedRewardModel

    return FinetunedRewardModel.load(folder, context)


def _require() -> None:
    from pairloop.kit.extras import require

    for module in ("torch", "transformers"):
        require(module, "torch", 'reward.model = "finetuned"')


@hookimpl
def pairloop_reward_models() -> Sequence[RewardModelSpec]:
    """Offer ``finetuned``."""
    return [
        RewardModelSpec(
            name="finetuned",
            factory=make_finetuned,
            load=load_finetuned,
            options=FinetunedOptions,
            summary="transformer with a scalar head, fine-tuned on single votes; last-layer Laplace, deep ensemble",
        ),
    ]
