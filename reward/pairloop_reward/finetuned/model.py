"""The ``finetuned`` reward model: a transformer with a scalar head, fine-tuned on single votes.

Votes are read as in the linear models (ties, flips and habits of annotators, position); the network is trained on their
likelihood, its last layer gets a Laplace posterior, and several networks make a deep ensemble (Lakshminarayanan et al.
2017): the mean of their rewards, with the mean of their covariances and the covariance between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pairloop.errors import UsageError
from pairloop.posterior import FloatArray, PreferencePosterior
from pairloop.protocols import BoolArray, FitReport, ModelContext, RewardModel, TrainingData
from pairloop.records import ResponseView
from pairloop_reward.annotators import Annotators
from pairloop_reward.backbone.location import Location, locate
from pairloop_reward.cache import DiskCache
from pairloop_reward.finetuned import saving
from pairloop_reward.finetuned.fitting import calibrated, fit_members, pretrained, start_of
from pairloop_reward.finetuned.lastlayer import fit_last_layer
from pairloop_reward.finetuned.member import Member
from pairloop_reward.finetuned.modes import prepare
from pairloop_reward.finetuned.options import FinetunedOptions
from pairloop_reward.finetuned.report import notes_of, numbers_of
from pairloop_reward.finetuned.trust import judged, stand_in_options

_TYPICAL = float(np.hypot(1.0, 0.7))  # prior standard deviation of a typical margin before any vote, as of ``tfidf``


@dataclass(frozen=True, slots=True)
class Scalars:
    """What goes into every `PreferencePosterior`, beside members."""

    flip_rate: float = 0.0
    tie: float = 0.0
    position_bias: float = 0.0
    temperature: float = 1.0
    fitted: bool = False


class FinetunedRewardModel:
    """Implements `pairloop.protocols.RewardModel`."""

    def __init__(self, options: FinetunedOptions, context: ModelContext) -> None:
        self._options, self._context = options, context
        self._members: list[Member] = []
        self._scalars = Scalars()
        self._annotators: Annotators | None = None

    def prior(self, responses: Sequence[ResponseView], trainable: BoolArray, *, seed: int) -> PreferencePosterior:
        """The posterior before any vote: mean 0, and what the pretrained network's last layer tells apart.

        Raises:
            ConfigError: the model cannot be used.
        """
        network, states = pretrained(self._location(), self._options, self._context)
        hidden, _ = states.of(responses)
        layer = fit_last_layer(hidden, responses, trainable, None, max(self._options.dimensions, 1))
        width = layer.matrix.shape[1]
        weights = np.zeros(hidden.shape[1])
        network.set_head(weights)
        self._members = [Member(network, states, weights, layer, np.eye(width) / _TYPICAL)]
        self._scalars, self._annotators = Scalars(), None
        return self.posterior(responses)

    def fit(self, data: TrainingData, *, seed: int) -> FitReport:
        """Fine-tune from the pretrained network on all votes, or go on where a killed fit stopped.

        Raises:
            NoSignal: no vote, ties only, or one displayed side only.
            Diverged: a loss or a gradient is not finite.
            ConfigError: the model cannot be used. ModelError: a training process failed.
        """
        trust = judged(data, self._options, DiskCache(self._context.cache))
        location = self._location()
        start = start_of(location, data, trust, self._options, self._context)
        trained = fit_members(location, start, data, trust, self._options, self._context, seed=seed)
        calibration = calibrated(trained, data, trust)
        fits = [each.fitted.fit for each in trained]
        self._members = [each.member for each in trained]
        self._annotators = trust.annotators
        self._scalars = Scalars(
            trust.flip_rate,
            float(np.mean([fit.tie for fit in fits])),
            float(np.mean([fit.position_bias for fit in fits])),
            calibration.temperature,
            fitted=True,
        )
        numbers = numbers_of(trained, data, trust, calibration, start.cut)
        return FitReport(len(data), numbers, notes_of(trained, data, calibration, start.cut), self.annotators())

    def annotators(self) -> dict[str, dict[str, float]]:
        """What the last fit found out about each annotator (`Annotators`), most votes first; empty where pooled."""
        return {} if self._annotators is None else self._annotators.table()

    def stand_in(self) -> RewardModel:
        """``tfidf`` with the same view of votes: comparisons of ways to choose votes fit many models."""
        from pairloop_reward.model import TfidfRewardModel

        return TfidfRewardModel(stand_in_options(self._options), self._context)

    def check(self) -> str:
        """Load the model and say what it is and how much of it would train.

        Raises:
            ConfigError: it cannot be used. MissingExtra: a package is missing.
        """
        location = self._location()
        network, states = pretrained(location, self._options, self._context)
        total = sum(parameter.numel() for parameter in network.model.parameters())
        trains = sum(parameter.numel() for parameter in prepare(network, self._options, 0).values())
        kind = "causal model" if network.causal else "encoder"
        return (
            f"{type(network.model).__name__} in {location.folder}: {kind} of {total:,} weights, {trains:,} train, "
            f"up to {states.max_length} tokens"
        )

    def posterior(self, responses: Sequence[ResponseView]) -> PreferencePosterior:
        """Joint posterior over the rewards of these responses.

        Raises:
            UsageError: neither ``prior`` nor ``fit`` came before.
        """
        return self._posterior(responses, remember=True)

    def score(self, responses: Sequence[ResponseView]) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and standard deviation of each reward, two (N,) arrays; nothing is cached.

        The deviation is that of the difference to an average training response.
        """
        posterior = self._posterior(responses, remember=False)
        return posterior.mean, np.sqrt(np.sum(posterior.whitened**2, axis=1))

    def _posterior(self, responses: Sequence[ResponseView], *, remember: bool) -> PreferencePosterior:
        members, scalars = self._ready(), self._scalars
        found = [member.predict(responses, remember=remember) for member in members]
        means = np.stack([mean for mean, _ in found], axis=1)
        count = len(members)
        columns = [rows / np.sqrt(count) for _, rows in found]
        if count > 1:
            # rewards have no zero: each member's is put at its average training response
            centred = means - np.array([member.layer.mean @ member.weights for member in members])
            columns.append((centred - centred.mean(axis=1, keepdims=True)) / np.sqrt(count - 1.0))
        return PreferencePosterior(
            mean=means.mean(axis=1), whitened=np.concatenate(columns, axis=1), flip_rate=scalars.flip_rate,
            tie=scalars.tie, temperature=scalars.temperature, fitted=scalars.fitted,
            notes={"position_bias": scalars.position_bias},
        )  # fmt: skip

    def save(self, into: Path) -> None:
        """Write the model into an empty folder; the same model gives the same bytes.

        With one member, the folder is one for ``AutoModelForSequenceClassification`` with the same scores.

        Raises:
            UsageError: neither ``prior`` nor ``fit`` came before. StorageFull: the disk is full.
        """
        members = self._ready()
        values: dict[str, Any] = {"options": self._options.model_dump(mode="json"), "scalars": _as_json(self._scalars)}
        saving.save(into, members, values, self._annotators)

    @classmethod
    def load(cls, folder: Path, context: ModelContext) -> "FinetunedRewardModel":
        """The model in this folder; its posterior equals the saved model's bit for bit.

        Raises:
            CorruptionDetected: a file is missing, truncated or changed. DataError: the folder holds another model.
        """
        checkpoint = saving.read(folder)
        options = FinetunedOptions.model_validate(checkpoint.values["options"])
        model = cls(options, context)
        model._members = saving.members(folder, checkpoint, options, context)
        model._scalars = Scalars(**checkpoint.values["scalars"])
        if "annotators" in checkpoint.values:
            names = checkpoint.values["annotators"]
            model._annotators = Annotators.from_array(names, checkpoint.arrays["annotators"])
        return model

    def _location(self) -> Location:
        return locate(
            self._options.model, where="reward.options.model", base=self._context.base,
            revision=self._options.revision,
        )  # fmt: skip

    def _ready(self) -> list[Member]:
        if not self._members:
            raise UsageError("the reward model is not fitted yet", "Call prior() or fit(), or load a saved one.")
        return self._members


def _as_json(scalars: Scalars) -> dict[str, Any]:
    return {name: getattr(scalars, name) for name in Scalars.__slots__}
