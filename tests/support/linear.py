"""A reward model of a few numbers a response, for simulations that need thousands of fits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from pairloop.errors import NoSignal
from pairloop.posterior import FloatArray, IntArray, PreferencePosterior
from pairloop.protocols import FitReport, TrainingData
from pairloop.records import ResponseView
from pairloop.votes import MeasuredVotes


class World:
    """Pairs of responses with linear rewards; ``ask`` draws votes."""

    def __init__(self, seed: int, *, responses: int = 400, dimensions: int = 6, noise: float = 1.0) -> None:
        self.random = np.random.default_rng(seed)
        self.features = self.random.normal(size=(responses, dimensions))
        self.reward = self.features @ self.random.normal(size=dimensions) / noise
        self.views = tuple(ResponseView(str(i), str(i // 4), "p", "t", str(i // 4)) for i in range(responses))

    def pairs(self, n: int, *, holdout: bool) -> IntArray:
        """Random pairs of one half of the responses."""
        half = len(self.views) // 2
        pairs = self.random.integers(half, size=(n, 2)) + half * holdout
        pairs[:, 1] += pairs[:, 0] == pairs[:, 1]
        return np.asarray(np.minimum(pairs, len(self.views) - 1))

    def vote(self, pairs: IntArray, *, wrong: float = 0.0) -> IntArray:
        """Outcomes by Bradley–Terry; ``wrong``: share of opposite answers."""
        p = expit(self.reward[pairs[:, 0]] - self.reward[pairs[:, 1]])
        left = self.random.random(len(pairs)) < p
        return np.where(left ^ (self.random.random(len(pairs)) < wrong), 0, 1)

    def data(self, pairs: IntArray, outcome: IntArray, control: Any) -> TrainingData:
        """The votes as training data."""
        n = len(pairs)
        return TrainingData(
            self.views, np.ones(len(self.views), bool), pairs[:, 0], pairs[:, 1], outcome, np.zeros(n, int), ("a",),
            np.ones(n), pairs[:, 0] // 4, np.asarray(control, bool), np.zeros(n, bool), np.ones(n, int),
        )  # fmt: skip

    def measured(self, pairs: IntArray, outcome: IntArray) -> MeasuredVotes:
        """The votes as holdout votes."""
        return MeasuredVotes(pairs, outcome, pairs[:, 0] // 4)

    def model(self) -> "Linear":
        """An unfitted model."""
        return Linear(self.features)


class Linear:
    """Bradley–Terry by Newton steps under a unit prior, with a Laplace posterior."""

    def __init__(self, features: FloatArray) -> None:
        self._x = features
        self._mean = np.zeros(features.shape[1])
        self._factor = np.eye(features.shape[1])

    def fit(self, data: TrainingData, *, seed: int) -> FitReport:
        """MAP.

        Raises:
            NoSignal: one outcome only.
        """
        if len(set(data.outcome.tolist())) < 2:
            raise NoSignal("one outcome only")
        x, y = self._x[data.left] - self._x[data.right], 1.0 - data.outcome
        for _ in range(8):
            p = expit(x @ self._mean)
            precision = (x * (p * (1 - p))[:, None]).T @ x + np.eye(x.shape[1])
            self._mean = self._mean + np.linalg.solve(precision, x.T @ (y - p) - self._mean)
        self._factor = np.linalg.cholesky(precision)
        return FitReport(len(data))

    def posterior(self, responses: Sequence[ResponseView]) -> PreferencePosterior:
        """Of these responses; their ids are rows of the features."""
        x = self._x[[int(response.id) for response in responses]]
        return PreferencePosterior(x @ self._mean, np.linalg.solve(self._factor, x.T).T)
