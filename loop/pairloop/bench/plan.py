"""The benchmark's TOML file, and the cells that it spans."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from pairloop.config.load import read_text, resolve_path, validate
from pairloop.config.models import Name, PluginOptions, Share
from pairloop.errors import ConfigError
from pairloop.kit.canonical import digest
from pairloop.kit.options import Options


class BenchSection(Options):
    """The benchmark as a whole."""

    name: Name = "bench"
    """Names the results."""
    seeds: int = Field(default=10, ge=1)
    """Paired seeds: every strategy sees the same splits, first batches and annotators under the same seed."""
    first_seed: int = Field(default=0, ge=0)
    """The first seed; the others follow."""
    votes: int = Field(default=300, ge=1)
    """Votes each cell may spend."""
    batch: int = Field(default=50, ge=1)
    """Votes a round."""
    holdout: float = Field(default=0.25, gt=0, lt=1)
    """Share of the groups that is held out and measures, drawn anew for each seed."""
    workers: int = Field(default=1, ge=1)
    """Processes; the results do not depend on it."""
    bootstrap: int = Field(default=1000, ge=100)
    """Draws of the cluster bootstrap."""
    baseline: str | None = None
    """The arm that the others are compared with; the first strategy when left out."""
    target_accuracy: Share | None = None
    """Votes-to-target is counted to this accuracy; the baseline's final mean when left out."""


class DataArm(Options):
    """One data set."""

    name: Name
    """Names it in tables."""
    source: str = "jsonl"
    """Pair source."""
    path: str | None = None
    """File or folder, relative to the benchmark's file."""
    options: PluginOptions = Field(default_factory=dict)
    """Options of the source."""
    truth: Literal["votes", "gold"] = "votes"
    """What measures: recorded decisive votes of held-out pairs, or the gold scorer's preference."""
    only: str | None = None
    """Metadata key of the prompt row that must be true for a pair to measure (for example a clean subset)."""
    measured_pairs: int = Field(default=5000, ge=10)
    """At most so many pairs measure, drawn per seed."""


class AnnotatorArm(Options):
    """One way to answer."""

    name: Name
    """Names it in tables."""
    kind: str = "simulated"
    """Backend."""
    gold: str | None = None
    """Gold scorer."""
    options: PluginOptions = Field(default_factory=dict)
    """Options of the backend."""
    replicas: int = Field(default=1, ge=1, le=20)
    """Votes a pair."""


class ModelArm(Options):
    """One reward model."""

    name: Name
    """Names it in tables."""
    model: str = "tfidf"
    """Reward model."""
    options: PluginOptions = Field(default_factory=dict)
    """Options of the model."""


class StrategyArm(Options):
    """One way to select."""

    name: Name
    """Names it in tables."""
    strategy: str = "logdet"
    """Strategy of the active arm."""
    options: PluginOptions = Field(default_factory=dict)
    """Options of the strategy."""
    random_share: Share = 0.15
    """Share of each batch drawn uniformly; 1 for a random arm."""


class Plan(Options):
    """A whole benchmark."""

    bench: BenchSection = BenchSection()
    data: tuple[DataArm, ...] = Field(min_length=1)
    annotators: tuple[AnnotatorArm, ...] = Field(min_length=1)
    models: tuple[ModelArm, ...] = (ModelArm(name="tfidf"),)
    strategies: tuple[StrategyArm, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> "Plan":
        for label, arms in (
            ("data", self.data),
            ("annotators", self.annotators),
            ("models", self.models),
            ("strategies", self.strategies),
        ):
            names = [arm.name for arm in arms]
            if len(set(names)) != len(names):
                raise ValueError(f"{label}: two arms have the same name")
        wanted = self.bench.baseline
        if wanted is not None and wanted not in [arm.name for arm in self.strategies]:
            raise ValueError(f"bench.baseline: there is no strategy arm called {wanted!r}")
        return self

    @property
    def baseline(self) -> str:
        """Name of the strategy arm that the others are compared with."""
        return self.bench.baseline or self.strategies[0].name


@dataclass(frozen=True, slots=True)
class Cell:
    """One campaign of the benchmark."""

    data: DataArm
    annotators: AnnotatorArm
    model: ModelArm
    strategy: StrategyArm
    seed: int
    bench: BenchSection

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.data.name}/{self.annotators.name}/{self.model.name}/{self.strategy.name}/{self.seed}"

    def fingerprint(self, versions: dict[str, Any]) -> str:
        """What decides the result: the cell's settings, the data's bytes and the versions; 16 hex digits."""
        section = self.bench.model_dump(mode="json", include={"votes", "batch", "holdout"})
        arms = [arm.model_dump(mode="json") for arm in (self.data, self.annotators, self.model, self.strategy)]
        return digest([section, arms, self.seed, versions])[:16]


def load_plan(path: Path) -> Plan:
    """Read and validate a benchmark file; relative data paths become absolute.

    Raises:
        ConfigError: names file and key.
    """
    try:
        table = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    plan = validate(Plan, table, str(path))
    data = tuple(arm.model_copy(update={"path": _absolute(path, arm.path)}) for arm in plan.data)
    return plan.model_copy(update={"data": data})


def _absolute(file: Path, value: str | None) -> str | None:
    found = resolve_path(file.absolute(), value)
    return None if found is None else str(found)


def cells(plan: Plan) -> Iterator[Cell]:
    """Every cell, seeds outermost, so that an interrupted benchmark has whole paired seeds."""
    for seed in range(plan.bench.first_seed, plan.bench.first_seed + plan.bench.seeds):
        for data in plan.data:
            for annotators in plan.annotators:
                for model in plan.models:
                    for strategy in plan.strategies:
                        yield Cell(data, annotators, model, strategy, seed, plan.bench)
