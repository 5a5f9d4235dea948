"""Reward models: what they learn from, and what they must answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pairloop.kit.progress import Silent
from pairloop.posterior import FloatArray, IntArray, PreferencePosterior
from pairloop.protocols.progress import Progress
from pairloop.records import ResponseView

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Single votes over a table of responses; nothing is aggregated before learning.

    Attributes:
        responses: (R) the whole pool; rows below index into it.
        trainable: (R,) False where a text belongs to the holdout: features must not learn from it.
        left, right: (N,) rows as displayed.
        outcome: (N,) 0 left, 1 right, 2 tie.
        annotator: (N,) index into ``annotators``.
        weight: (N,) ≥ 0.
        group: (N,) index of the prompt's group, for cross-fitting and clustered intervals.
        control: (N,) True for votes of the random arm: the only ones that may calibrate.
        prelabel_shown: (N,) True where the annotator saw the model's guess.
        round: (N,) the round that asked.
    """

    responses: Sequence[ResponseView]
    trainable: BoolArray
    left: IntArray
    right: IntArray
    outcome: IntArray
    annotator: IntArray
    annotators: tuple[str, ...]
    weight: FloatArray
    group: IntArray
    control: BoolArray
    prelabel_shown: BoolArray
    round: IntArray

    def __len__(self) -> int:
        return len(self.left)

    def subset(self, mask: BoolArray | IntArray) -> "TrainingData":
        """The votes under ``mask`` (boolean or row numbers) over the same responses."""
        return TrainingData(
            self.responses, self.trainable, self.left[mask], self.right[mask], self.outcome[mask],
            self.annotator[mask], self.annotators, self.weight[mask], self.group[mask], self.control[mask],
            self.prelabel_shown[mask], self.round[mask],
        )  # fmt: skip

    @property
    def pairs(self) -> IntArray:
        """(N, 2) rows, left first."""
        return np.stack([self.left, self.right], axis=1)


@dataclass(frozen=True, slots=True)
class ModelContext:
    """What a reward model is given at construction.

    Attributes:
        cache: a folder for derived data that may be deleted at any time.
        base: folder against which relative names of files and folders in the options are meant; None: the working
            folder.
        progress: where long work reports to; reporting is also where a stop that was asked for happens.
        threads: processor threads to use; one by default, so that results do not depend on the machine.
    """

    cache: Path | None = None
    base: Path | None = None
    progress: Progress = field(default_factory=Silent)
    threads: int = 1


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit found: numbers for people and for the manifest, all finite.

    Attributes:
        annotators: annotator → name of a number → number, for models that tell annotators apart (``votes``,
            ``flip_rate``, ``flip_low``, ``flip_high``, ``position_bias``, ``weight`` …); those with most votes first.
    """

    n_votes: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    annotators: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@runtime_checkable
class Scorer(Protocol):
    """What policy tuning optimises: conservative scores of responses."""

    def score(self, responses: Sequence[ResponseView]) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and standard deviation of the reward, two (N,) arrays."""


class RewardModel(Scorer, Protocol):
    """A model of the reward with a posterior."""

    def prior(self, responses: Sequence[ResponseView], trainable: BoolArray, *, seed: int) -> PreferencePosterior:
        """The posterior before any vote, so that selection works in the first round."""

    def fit(self, data: TrainingData, *, seed: int) -> FitReport:
        """Fit from scratch on all votes.

        Raises:
            NoSignal: no decisive vote, or one class only.
            Diverged: a parameter is not finite.
        """

    def posterior(self, responses: Sequence[ResponseView]) -> PreferencePosterior:
        """Joint posterior over the rewards of these responses (calibrated, after ``fit``)."""

    def save(self, into: Path) -> None:
        """Write the model into an empty folder: safetensors and JSON, never pickle; same model, same bytes."""


@runtime_checkable
class HasStandIn(Protocol):
    """A reward model that takes long to fit, and names a quick one to compare ways of choosing votes with."""

    def stand_in(self) -> RewardModel:
        """An unfitted reward model for the comparison of arms and for judging the judge, which fit it many times."""
