"""A reward model of a hundred lines for tests: hashed words, Bradley–Terry by Newton steps, Laplace posterior.

Features are counts of words hashed into ``dimensions`` bins, centred on what may be learned from; the weights are
the MAP estimate under a unit Gaussian prior; ties pull both ways by half. numpy only, and one campaign of it takes
milliseconds.
"""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from scipy.special import expit

from pairloop.errors import CorruptionDetected, NoSignal, UsageError
from pairloop.hookspecs import hookimpl
from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import canonical_json
from pairloop.kit.options import Options
from pairloop.posterior import FloatArray, PreferencePosterior
from pairloop.protocols import BoolArray, FitReport, ModelContext, RewardModel, RewardModelSpec, TrainingData
from pairloop.records import ResponseView

_STEPS = 8  # Newton converges quadratically; eight steps from zero are at machine precision here
_TARGET = np.array([1.0, 0.0, 0.5])  # of the outcomes left, right, tie
_FILE = "model.json"


class ToyRewardOptions(Options):
    """``[reward.options]`` of ``toy``."""

    dimensions: int = Field(default=24, ge=1)
    """Bins that words are hashed into."""


class ToyRewardModel:
    """Implements `pairloop.protocols.RewardModel`."""

    def __init__(self, options: ToyRewardOptions) -> None:
        self._options = options
        self._centre: FloatArray | None = None
        self._weights: FloatArray = np.zeros(options.dimensions)
        self._factor: FloatArray = np.eye(options.dimensions)
        self._fitted = False

    def prior(self, responses: Sequence[ResponseView], trainable: BoolArray, *, seed: int) -> PreferencePosterior:
        """Zero means and unit covariance of the weights."""
        self._learn_centre(responses, trainable)
        return self.posterior(responses)

    def fit(self, data: TrainingData, *, seed: int) -> FitReport:
        """Newton's method on the penalised likelihood.

        Raises:
            NoSignal: no decisive vote, or one displayed side only.
        """
        decisive = data.outcome[data.outcome < 2]
        if len(set(decisive.tolist())) < 2:
            raise NoSignal(f"{len(decisive)} decisive votes, not both sides among them")
        self._learn_centre(data.responses, data.trainable)
        features = self._features(data.responses)
        difference = features[data.left] - features[data.right]
        target = _TARGET[data.outcome]
        weights = np.zeros(self._options.dimensions)
        for _ in range(_STEPS):
            p = expit(difference @ weights)
            gradient = difference.T @ (data.weight * (target - p)) - weights
            weights = weights + np.linalg.solve(self._precision(difference, p, data.weight), gradient)
        p = expit(difference @ weights)
        self._weights = weights
        self._factor = np.linalg.cholesky(self._precision(difference, p, data.weight))
        self._fitted = True
        likelihood = float(np.sum(target * np.log(p) + (1 - target) * np.log1p(-p)))
        return FitReport(len(data), {"log_likelihood": likelihood, "decisive_votes": float(len(decisive))})

    def posterior(self, responses: Sequence[ResponseView]) -> PreferencePosterior:
        """Means and whitened coordinates ``L⁻¹ φ``."""
        features = self._features(responses)
        whitened = np.linalg.solve(self._factor, features.T).T
        return PreferencePosterior(features @ self._weights, whitened, fitted=self._fitted)

    def score(self, responses: Sequence[ResponseView]) -> tuple[FloatArray, FloatArray]:
        """Means and standard deviations of the rewards."""
        posterior = self.posterior(responses)
        return posterior.mean, np.sqrt(np.sum(np.square(posterior.whitened), axis=1))

    def save(self, into: Path) -> None:
        """One JSON file; numbers in hexadecimal, so that not a bit is lost."""
        if self._centre is None:
            raise UsageError("the toy reward model is not fitted yet")
        arrays = {"centre": self._centre, "weights": self._weights, "factor": self._factor}
        body: dict[str, Any] = {name: [float(x).hex() for x in array.ravel()] for name, array in arrays.items()}
        body |= {"fitted": self._fitted, "dimensions": self._options.dimensions}
        write_atomic(into / _FILE, canonical_json(body))

    @classmethod
    def load(cls, folder: Path) -> "ToyRewardModel":
        """The model in this folder.

        Raises:
            CorruptionDetected: the file is missing or damaged.
        """
        try:
            body = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            model = cls(ToyRewardOptions(dimensions=body["dimensions"]))
            n = body["dimensions"]
            model._centre = _numbers(body["centre"], (n,))
            model._weights = _numbers(body["weights"], (n,))
            model._factor = _numbers(body["factor"], (n, n))
            model._fitted = bool(body["fitted"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptionDetected(f"the model file {folder / _FILE} is missing or damaged: {error}") from error
        return model

    def _learn_centre(self, responses: Sequence[ResponseView], trainable: BoolArray) -> None:
        counts = self._counts(responses)
        self._centre = counts[trainable].mean(axis=0) if trainable.any() else np.zeros(self._options.dimensions)

    def _features(self, responses: Sequence[ResponseView]) -> FloatArray:
        if self._centre is None:
            raise UsageError("the toy reward model is not fitted yet", "Call prior() or fit(), or load a saved one.")
        return np.asarray(self._counts(responses) - self._centre)

    def _counts(self, responses: Sequence[ResponseView]) -> FloatArray:
        counts = np.zeros((len(responses), self._options.dimensions))
        for row, response in enumerate(responses):
            for word in response.text.split():
                counts[row, zlib.crc32(word.encode("utf-8", "surrogatepass")) % self._options.dimensions] += 1.0
        return counts

    def _precision(self, difference: FloatArray, p: FloatArray, weight: FloatArray) -> FloatArray:
        curvature = weight * p * (1.0 - p)
        return np.asarray((difference * curvature[:, None]).T @ difference + np.eye(self._options.dimensions))


def _numbers(values: list[str], shape: tuple[int, ...]) -> FloatArray:
    return np.array([float.fromhex(value) for value in values]).reshape(shape)


def _make(options: Any, _context: ModelContext) -> RewardModel:
    return ToyRewardModel(options or ToyRewardOptions())


def _load(folder: Path, _context: ModelContext) -> RewardModel:
    return ToyRewardModel.load(folder)


@hookimpl
def pairloop_reward_models() -> Sequence[RewardModelSpec]:
    """Offer the reward model ``toy``."""
    return [RewardModelSpec("toy", _make, _load, ToyRewardOptions, "hashed words, for tests")]
