"""Reward models that are linear in fixed features: a Bradley–Terry head and its Laplace posterior.

``r(x, y) = w · ψ(x, y)`` with a feature map ψ (`maps`) that no vote has a say in. Everything else is refitted from
scratch in seconds, which is what a labelling loop wants in every round. ``tfidf``, here, needs no download and no GPU;
``encoder`` is in `encoder_model`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pairloop.errors import UsageError
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, PreferencePosterior
from pairloop.protocols import BoolArray, FitReport, ModelContext, TrainingData
from pairloop.records import ResponseView
from pairloop_reward.annotators import Annotators
from pairloop_reward.cache import DiskCache
from pairloop_reward.calibration import Calibration, calibrate
from pairloop_reward.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from pairloop_reward.head import HeadFit
from pairloop_reward.joint import fit_joint, panel_of, summary
from pairloop_reward.laplace import cholesky, marginal_precision, whiten
from pairloop_reward.likelihood import TIE, Float64, Votes
from pairloop_reward.maps import FeatureMaps, MapParts, TfidfMaps
from pairloop_reward.options import LinearOptions, TfidfOptions
from pairloop_reward.search import Chosen, block_precision, choose
from pairloop_reward.signal import require_finite, require_signal, stuck_annotators
from pairloop_reward.store import FeatureStore


@dataclass(frozen=True, slots=True)
class Head:
    """What is needed to predict.

    Attributes:
        weights: (d,) posterior mean. factor: (d, d) lower Cholesky factor of the posterior precision of the weights.
        flip_rate, tie, position_bias, temperature: as in `PreferencePosterior` and `likelihood`.
        fitted: False before any vote.
    """

    weights: Float64
    factor: Float64
    flip_rate: float = 0.0
    tie: float = 0.0
    position_bias: float = 0.0
    temperature: float = 1.0
    fitted: bool = False


class LinearRewardModel:
    """Implements `pairloop.protocols.RewardModel` for any feature map."""

    def __init__(self, options: LinearOptions, maps: FeatureMaps) -> None:
        self._options = options
        self._maps = maps
        self._store: FeatureStore[Any] | None = None
        self._head: Head | None = None
        self._annotators: Annotators | None = None

    def prior(self, responses: Sequence[ResponseView], trainable: BoolArray, *, seed: int) -> PreferencePosterior:
        """The posterior before any vote: mean 0; a block adds its τ² to the variance of a typical pair's margin."""
        store = self._maps.fit(responses, trainable)
        precision = block_precision(store.featurizer.blocks, self._maps.typical)
        self._annotators = None
        self._store, self._head = store, Head(np.zeros(len(precision)), np.diag(np.sqrt(precision)))
        return self.posterior(responses)

    def fit(self, data: TrainingData, *, seed: int) -> FitReport:
        """Fit features, head and temperature from scratch on all votes.

        Raises:
            NoSignal: no vote, ties only, or one displayed side only.
            Diverged: a number is not finite.
        """
        store = self._maps.fit(data.responses, data.trainable)
        features = store.features(data.responses)
        require_finite(features, data)
        votes = self._votes(features, data)
        require_signal(votes)
        with numeric_threads():
            chosen = self._chosen(votes, data, store.featurizer.blocks)
            panel = panel_of(data, self._options)
            joint = None if panel is None else fit_joint(votes, panel, chosen.fit)
            fit, votes = (chosen.fit, votes) if joint is None else (joint.fit, joint.votes)
            calibration = calibrate(
                votes, data.group, data.control & ~data.prelabel_shown, fit, folds=self._options.calibration_folds,
                seed=seed, others=~data.control & ~data.prelabel_shown,
            )  # fmt: skip
            head = _head(fit, calibration.temperature)
            self._annotators = None if joint is None or panel is None else summary(panel, joint)
        self._store, self._head = store, head
        seen, told = self._maps.seen(store, data.responses)
        numbers = _numbers(votes, chosen, self._maps.blocks, fit, calibration, head) | seen
        numbers |= {} if joint is None else joint.numbers()
        return FitReport(len(votes), numbers, self._notes(data, calibration, told), self.annotators())

    def _chosen(self, votes: Votes, data: TrainingData, sizes: Sequence[int]) -> Chosen:
        fixed = self._options.prior_margin
        typical = self._maps.typical if fixed is None else (fixed,) * len(sizes)
        return choose(votes, data.group, sizes, typical, self._options.flip_rate, fixed=fixed is not None)

    def annotators(self) -> dict[str, dict[str, float]]:
        """What the last fit found out about each annotator (`Annotators`), most votes first; empty where pooled."""
        return {} if self._annotators is None else self._annotators.table()

    def _notes(self, data: TrainingData, calibration: Calibration, told: tuple[str, ...]) -> tuple[str, ...]:
        return (*stuck_annotators(data), *([calibration.note] if calibration.note else []), *told)

    def posterior(self, responses: Sequence[ResponseView]) -> PreferencePosterior:
        """Joint posterior over the rewards of these responses.

        Raises:
            UsageError: neither ``prior`` nor ``fit`` came before.
        """
        return self._posterior(responses, remember=True)

    def score(self, responses: Sequence[ResponseView]) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and standard deviation of each reward, two (N,) arrays.

        Rewards have no zero of their own: the deviation is that of the difference to an average training response.
        Nothing is cached: a policy under training is scored on texts that never come back.
        """
        posterior = self._posterior(responses, remember=False)
        return posterior.mean, np.sqrt(np.sum(posterior.whitened**2, axis=1))

    def _posterior(self, responses: Sequence[ResponseView], *, remember: bool) -> PreferencePosterior:
        store, head = self._ready()
        features = store.features(responses, remember=remember).astype(np.float64)
        with numeric_threads():
            return PreferencePosterior(
                mean=features @ head.weights,
                whitened=whiten(features, head.factor),
                flip_rate=head.flip_rate,
                tie=head.tie,
                temperature=head.temperature,
                fitted=head.fitted,
                notes={"position_bias": head.position_bias},
            )

    def save(self, into: Path) -> None:
        """Write the model into an empty folder; the same model gives the same bytes.

        Raises:
            UsageError: neither ``prior`` nor ``fit`` came before. StorageFull: the disk is full.
        """
        store, head = self._ready()
        scalars = {"flip_rate", "tie", "position_bias", "temperature", "fitted"}
        values = {name: getattr(head, name) for name in sorted(scalars)}
        parts = self._maps.dump(store)
        arrays = {**parts.arrays, "weights": head.weights, "factor": head.factor}
        described: dict[str, Any] = {"head": values, "options": self._options.model_dump(mode="json")}
        if parts.values:
            described["map"] = dict(parts.values)
        if self._annotators is not None:
            described["annotators"] = list(self._annotators.names)
            arrays["annotators"] = self._annotators.array()
        write_checkpoint(into, self._maps.kind, Checkpoint(described, parts.terms, arrays))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Become the saved model.

        Raises:
            DataError: the map needs something that is no longer there.
        """
        arrays = dict(checkpoint.arrays)
        if "annotators" in checkpoint.values:
            self._annotators = Annotators.from_array(checkpoint.values["annotators"], arrays.pop("annotators"))
        self._head = Head(arrays.pop("weights"), arrays.pop("factor"), **checkpoint.values["head"])
        self._store = self._maps.restore(MapParts(arrays, checkpoint.terms, checkpoint.values.get("map", {})))

    def _votes(self, features: FloatArray, data: TrainingData) -> Votes:
        difference = features[data.left].astype(np.float64) - features[data.right]
        anchored = np.where(data.prelabel_shown, self._options.prelabel_shown_weight, 1.0)
        counted = 1.0 if self._options.ties == "learn" else data.outcome != TIE
        return Votes(difference, data.outcome, np.asarray(data.weight * anchored * counted, dtype=np.float64))

    def _ready(self) -> tuple[FeatureStore[Any], Head]:
        if self._store is None or self._head is None:
            raise UsageError("the reward model is not fitted yet", "Call prior() or fit(), or load a saved one.")
        return self._store, self._head


class TfidfRewardModel(LinearRewardModel):
    """The ``tfidf`` reward model."""

    def __init__(self, options: TfidfOptions, context: ModelContext) -> None:
        super().__init__(options, TfidfMaps(options, DiskCache(context.cache)))

    @classmethod
    def load(cls, folder: Path, context: ModelContext) -> "TfidfRewardModel":
        """The model in this folder; its posterior equals the saved model's bit for bit.

        Raises:
            CorruptionDetected: a file is missing, truncated or changed. DataError: the folder holds another model.
        """
        checkpoint = read_checkpoint(folder, TfidfMaps.kind)
        model = cls(TfidfOptions.model_validate(checkpoint.values["options"]), context)
        model.restore(checkpoint)
        return model


def _head(fit: HeadFit, temperature: float) -> Head:
    """The fitted head, with position bias and tie parameter integrated out of the precision of the weights."""
    factor = cholesky(marginal_precision(fit.precision, 2))
    return Head(fit.weights, factor, fit.flip_rate, fit.tie, fit.position_bias, temperature, fitted=True)


def _numbers(
    votes: Votes, chosen: Chosen, blocks: Sequence[str], fit: HeadFit, calibration: Calibration, head: Head
) -> dict[str, float]:
    """What a fit reports; finite by construction."""
    ties = int((votes.outcome == TIE).sum())
    spread = 1.96 * fit.position_deviation
    numbers = {
        "decisive_votes": float(len(votes) - ties),
        "tied_votes": float(ties),
        "features": float(len(fit.weights)),
        "effective_parameters": _effective_parameters(fit, head),
        **{f"prior_margin_{name}": tau for name, tau in zip(blocks, chosen.taus, strict=True)},
        "flip_rate": fit.flip_rate,
        "tie": fit.tie,
        "position_bias": fit.position_bias,
        "position_low": fit.position_bias - spread,
        "position_high": fit.position_bias + spread,
        "log_likelihood": fit.log_likelihood,
        "log_evidence": fit.log_evidence,
        "prior_chosen_by_groups": float(chosen.by_groups),
        "grid_points": float(chosen.points),
        "temperature": calibration.temperature,
        "calibration_votes": float(calibration.votes),
    }
    if calibration.votes:
        numbers["calibration_log_loss_before"] = calibration.log_loss_before
        numbers["calibration_log_loss"] = calibration.log_loss_after
    return numbers


def _effective_parameters(fit: HeadFit, head: Head) -> float:
    """Well-determined weights, d − tr(Λ H⁻¹) (MacKay 1992)."""
    scaled = whiten(np.diag(np.sqrt(fit.prior)), head.factor)
    return float(len(fit.prior) - (scaled**2).sum())
