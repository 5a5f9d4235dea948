"""The ``classifier`` reward model: common practice, to compare with.

Logistic regression of scikit-learn, with its defaults, on differences of features; trained on majority verdicts. No
flips, no ties, no annotators, no position, no choice of prior strength, no calibration. Two of its defaults are moot
or changed: pairs have no order, so there is no intercept; and it may take more than 100 steps, so that it converges.

Its posterior is Laplace's approximation around the fit (`sklearn` has none), so that every strategy works with it. The
probabilities are therefore moderated by the uncertainty of the margin, and more cautious than `predict_proba`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit, log_expit

from pairloop.errors import DataError, NoSignal, UsageError
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray, PreferencePosterior
from pairloop.protocols import BoolArray, FitReport, ModelContext, TrainingData
from pairloop.records import ResponseView
from pairloop_reward.cache import DiskCache
from pairloop_reward.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from pairloop_reward.classifier_options import ClassifierOptions
from pairloop_reward.encoder import Encoder, encoder_of
from pairloop_reward.features import Featurizer
from pairloop_reward.laplace import cholesky, whiten
from pairloop_reward.likelihood import TIE, Float64, Votes
from pairloop_reward.options import TfidfOptions
from pairloop_reward.signal import require_finite, require_signal
from pairloop_reward.store import FeatureStore, featurizer_arrays, featurizer_from, fitted_featurizer

KIND = "classifier"
_MAX_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Pairs with a winner: (V,) rows of the winners and the losers, and weights."""

    winner: IntArray
    loser: IntArray
    weight: Float64


class ClassifierRewardModel:
    """Implements `pairloop.protocols.RewardModel`."""

    def __init__(self, options: ClassifierOptions, context: ModelContext) -> None:
        self._options = options
        self._cache = DiskCache(context.cache)
        self._store: FeatureStore[Featurizer] | FeatureStore[Encoder] | None = None
        self._weights: Float64 | None = None
        self._factor: Float64 | None = None
        self._fitted = False

    def prior(self, responses: Sequence[ResponseView], trainable: BoolArray, *, seed: int) -> PreferencePosterior:
        """The posterior before any vote: every weight has variance C."""
        self._store = self._fit_store(responses, trainable)
        size = self._store.features(responses).shape[1]
        self._weights, self._factor = np.zeros(size), np.eye(size) / np.sqrt(self._options.C)
        self._fitted = False
        return self.posterior(responses)

    def fit(self, data: TrainingData, *, seed: int) -> FitReport:
        """Fit from scratch.

        Raises:
            NoSignal: no verdict, or one displayed side only. Diverged: a feature is not finite.
        """
        store = self._fit_store(data.responses, data.trainable)
        features = store.features(data.responses)
        require_finite(features, data)
        shown = features[data.left].astype(np.float64) - features[data.right]
        require_signal(Votes(shown, data.outcome, data.weight.astype(np.float64)))
        verdicts = (majority if self._options.verdicts == "majority" else single)(data)
        if len(verdicts.winner) < 2:
            raise NoSignal(
                f"{len(data)} votes have {len(verdicts.winner)} verdicts, and a classifier needs two",
                "Every other pair is a tie or a draw; collect more votes.",
            )
        difference = features[verdicts.winner].astype(np.float64) - features[verdicts.loser]
        with numeric_threads():
            weights = _regression(difference, verdicts.weight, self._options.C)
            p = expit(difference @ weights)
            curvature = difference * (verdicts.weight * p * (1.0 - p))[:, None]
            factor = cholesky(curvature.T @ difference + np.eye(len(weights)) / self._options.C)
        self._store, self._weights, self._factor, self._fitted = store, weights, factor, True
        likelihood = float(verdicts.weight @ log_expit(difference @ weights))
        numbers = {
            "verdicts": float(len(verdicts.winner)),
            "features": float(len(weights)),
            "log_likelihood": likelihood,
        }
        return FitReport(len(data), numbers)

    def posterior(self, responses: Sequence[ResponseView]) -> PreferencePosterior:
        """Joint posterior over the rewards of these responses.

        Raises:
            UsageError: neither ``prior`` nor ``fit`` came before.
        """
        return self._posterior(responses, remember=True)

    def score(self, responses: Sequence[ResponseView]) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and standard deviation of each reward, two (N,) arrays."""
        posterior = self._posterior(responses, remember=False)
        return posterior.mean, np.sqrt(np.sum(posterior.whitened**2, axis=1))

    def _posterior(self, responses: Sequence[ResponseView], *, remember: bool) -> PreferencePosterior:
        store, weights, factor = self._ready()
        features = store.features(responses, remember=remember).astype(np.float64).reshape(-1, len(weights))
        with numeric_threads():
            return PreferencePosterior(features @ weights, whiten(features, factor), fitted=self._fitted)

    def save(self, into: Path) -> None:
        """Write the model into an empty folder; the same model gives the same bytes.

        An encoder is not written: its key is, and loading wants the same one.

        Raises:
            UsageError: neither ``prior`` nor ``fit`` came before. StorageFull: the disk is full.
        """
        store, weights, factor = self._ready()
        arrays = {"weights": weights, "factor": factor}
        terms: tuple[str, ...] = ()
        described = {"options": self._options.model_dump(mode="json"), "fitted": self._fitted, "encoder": None}
        if isinstance(store.featurizer, Encoder):
            described["encoder"] = store.featurizer.key
        else:
            arrays, terms = {**featurizer_arrays(store.featurizer), **arrays}, store.featurizer.text.terms
        write_checkpoint(into, KIND, Checkpoint(described, terms, arrays))

    @classmethod
    def load(cls, folder: Path, context: ModelContext) -> "ClassifierRewardModel":
        """The model in this folder; its posterior equals the saved model's bit for bit.

        Raises:
            CorruptionDetected: a file is missing, truncated or changed.
            DataError: the folder holds another model, or the encoder that is installed is another one.
        """
        checkpoint = read_checkpoint(folder, KIND)
        arrays = dict(checkpoint.arrays)
        model = cls(ClassifierOptions.model_validate(checkpoint.values["options"]), context)
        model._weights, model._factor = arrays.pop("weights"), arrays.pop("factor")
        model._fitted = bool(checkpoint.values["fitted"])
        if checkpoint.values["encoder"] is None:
            model._store = FeatureStore(featurizer_from(arrays, checkpoint.terms), model._cache)
            return model
        encoder = encoder_of(model._options.features)
        if encoder.key != checkpoint.values["encoder"]:
            raise DataError(
                f"{folder}: the model was trained on embeddings of another encoder than {encoder.folder}",
                "Install the same encoder again, or train again.",
            )
        model._store = FeatureStore(encoder, model._cache, encoder.key)
        return model

    def _fit_store(
        self, responses: Sequence[ResponseView], trainable: BoolArray
    ) -> FeatureStore[Featurizer] | FeatureStore[Encoder]:
        if self._options.features == "product":
            return FeatureStore(fitted_featurizer(responses, trainable, TfidfOptions(), self._cache), self._cache)
        encoder = encoder_of(self._options.features)
        return FeatureStore(encoder, self._cache, encoder.key)

    def _ready(self) -> tuple[FeatureStore[Featurizer] | FeatureStore[Encoder], Float64, Float64]:
        if self._store is None or self._weights is None or self._factor is None:
            raise UsageError("the reward model is not fitted yet", "Call prior() or fit(), or load a saved one.")
        return self._store, self._weights, self._factor


def single(data: TrainingData) -> Verdicts:
    """Every decisive vote."""
    rows = np.flatnonzero((data.outcome != TIE) & (data.weight > 0))
    left_won = data.outcome[rows] == 0
    left, right = data.left[rows], data.right[rows]
    return Verdicts(
        np.where(left_won, left, right), np.where(left_won, right, left), data.weight[rows].astype(np.float64)
    )


def majority(data: TrainingData) -> Verdicts:
    """One verdict of weight 1 for every pair on which one side has more votes than the other side and than ties."""
    rows = np.flatnonzero(data.weight > 0)
    left, right = data.left[rows].astype(np.int64), data.right[rows].astype(np.int64)
    swapped = left > right
    outcome = data.outcome[rows]
    outcome = np.where(swapped & (outcome != TIE), 1 - outcome, outcome)
    first, second = np.where(swapped, right, left), np.where(swapped, left, right)
    pairs, index = np.unique(np.stack([first, second], axis=1), axis=0, return_inverse=True)
    counts = np.stack([np.bincount(index[outcome == k], minlength=len(pairs)) for k in (0, 1, TIE)], axis=1)
    first_won = counts[:, 0] > np.maximum(counts[:, 1], counts[:, 2])
    decided = first_won | (counts[:, 1] > np.maximum(counts[:, 0], counts[:, 2]))
    winner, loser = np.where(first_won, pairs[:, 0], pairs[:, 1]), np.where(first_won, pairs[:, 1], pairs[:, 0])
    return Verdicts(winner[decided], loser[decided], np.ones(int(decided.sum())))


def _regression(difference: Float64, weight: Float64, C: float) -> Float64:
    """(d,) weights. Which side of a pair comes first changes nothing; both classes must occur, so it alternates."""
    from sklearn.linear_model import LogisticRegression

    sign = np.where(np.arange(len(difference)) % 2 == 0, 1.0, -1.0)
    model = LogisticRegression(C=C, fit_intercept=False, max_iter=_MAX_STEPS)
    model.fit(difference * sign[:, None], sign > 0, sample_weight=weight)
    return np.asarray(model.coef_[0], dtype=np.float64)
