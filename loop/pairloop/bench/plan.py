"""The benchmark's TOML file, and the cells that it spans."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pairloop.config.load import read_text, resolve_path, validate
from pairloop.config.models import Config, Name, PluginOptions, SelectionConfig, Share
from pairloop.errors import ConfigError, UsageError
from pairloop.kit.canonical import digest
from pairloop.kit.options import Options
from pairloop.records import AnnotatorKind

_PAIRED: dict[str, frozenset[str] | None] = {
    "campaign": None,
    "data": None,
    "budget": frozenset({"labels"}),
    "holdout": frozenset({"fraction"}),
    "round": frozenset({"size", "max_rounds"}),
}
"""Keys that arms may not change; None for a whole table."""


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
    schedule: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Instead of a round every ``batch`` votes up to ``votes``: how many votes there are after each round."""
    cost_per_vote: float = Field(default=0.0, ge=0)
    """Price of a vote."""
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
    match: tuple[str, ...] = ()
    """Arms whose final accuracy the others are to reach: votes needed, and as a share of that arm's votes."""

    @model_validator(mode="after")
    def _rising(self) -> "BenchSection":
        if list(self.schedule) != sorted(set(self.schedule)):
            raise ValueError("schedule: votes must rise from round to round")
        return self

    def rounds(self, last: int | None) -> tuple[int, ...]:
        """Votes after each round, up to ``last`` if given."""
        steps = self.schedule or (*range(self.batch, self.votes, self.batch), self.votes)
        return steps if last is None else (*(votes for votes in steps if votes < last), last)


class TruthArm(Options):
    """One way to measure."""

    name: Name
    """Names it in tables."""
    truth: Literal["votes", "gold", "label"] = "votes"
    """What measures: recorded decisive votes of held-out pairs, the gold scorer's preference, or a label of the row."""
    label: str = "gold"
    """For "label": the key of a row that says "a" or "b". The source must keep it (``options.keep`` of ``jsonl``)."""
    only: str | None = None
    """Key of a row that must be true for its pair to measure (for example a clean subset); kept by the source too."""
    kinds: tuple[AnnotatorKind, ...] = Field(default=(AnnotatorKind.HUMAN,), min_length=1)
    """For "votes": whose votes measure."""
    measured_pairs: int = Field(default=5000, ge=10)
    """At most so many pairs or votes measure, drawn per seed."""


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
    near_duplicate_threshold: Share = 0.9
    """As in a campaign's ``[data]``."""
    truth: Literal["votes", "gold", "label"] = "votes"
    """What measures, as in ``truths``, where one way is enough."""
    label: str = "gold"
    """As in ``truths``."""
    only: str | None = None
    """As in ``truths``."""
    measured_pairs: int = Field(default=5000, ge=10)
    """As in ``truths``."""
    truths: tuple[TruthArm, ...] = ()
    """Several ways to measure the same runs; each has its own table."""

    @property
    def measures(self) -> tuple[TruthArm, ...]:
        """The ways to measure, at least one."""
        own = TruthArm(
            name=self.truth, truth=self.truth, label=self.label, only=self.only, measured_pairs=self.measured_pairs
        )
        return self.truths or (own,)


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
    strategy: str = SelectionConfig().strategy
    """Strategy of the active arm; left out, the product's default."""
    options: PluginOptions = Field(default_factory=dict)
    """Options of the strategy."""
    random_share: Share = SelectionConfig().random_share
    """Share of each batch drawn uniformly; 1 for a random arm."""
    votes: int | None = Field(default=None, ge=1)
    """Votes of this arm, where it is not to spend as many as the others."""
    config: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Any other keys of ``campaign.toml`` for this arm, such as ``reward.model`` or ``round.replicas``."""

    @model_validator(mode="after")
    def _not_what_is_paired(self) -> "StrategyArm":
        for table, keys in _PAIRED.items():
            for key in self.config.get(table, {}):
                if keys is None or key in keys:
                    raise ValueError(f"config.{table}.{key} is the same for all arms, or set by the benchmark itself")
        return self


class Plan(Options):
    """A whole benchmark."""

    bench: BenchSection = BenchSection()
    data: tuple[DataArm, ...] = Field(min_length=1)
    annotators: tuple[AnnotatorArm, ...] = Field(min_length=1)
    models: tuple[ModelArm, ...] = (ModelArm(name="tfidf"),)
    strategies: tuple[StrategyArm, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> "Plan":
        names = {
            "data": [arm.name for arm in self.data],
            "annotators": [arm.name for arm in self.annotators],
            "models": [arm.name for arm in self.models],
            "strategies": [arm.name for arm in self.strategies],
            **{f"truths of {arm.name}": [truth.name for truth in arm.truths] for arm in self.data},
        }
        for label, given in names.items():
            if len(set(given)) != len(given):
                raise ValueError(f"{label}: two arms have the same name")
        known = [arm.name for arm in self.strategies]
        for key, wanted in [("baseline", self.bench.baseline), *(("match", name) for name in self.bench.match)]:
            if wanted is not None and wanted not in known:
                raise ValueError(f"bench.{key}: there is no strategy arm called {wanted!r}")
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

    @property
    def rounds(self) -> tuple[int, ...]:
        """Votes after each round."""
        return self.bench.rounds(self.strategy.votes)

    @property
    def config(self) -> dict[str, dict[str, Any]]:
        """Tables of the campaign's configuration: the product's defaults, but for what the plan says."""
        bench, rounds = self.bench, self.rounds
        tables: dict[str, dict[str, Any]] = {
            # one id for all arms: the same pair gets the same display order and the same recorded votes
            "campaign": {"name": "bench", "seed": self.seed, "id": f"b{digest([self.data.name, self.seed])[:12]}"},
            "data": {
                "source": self.data.source,
                "path": self.data.path,
                "options": self.data.options,
                "near_duplicate_threshold": self.data.near_duplicate_threshold,
            },
            "backend": {
                "kind": self.annotators.kind,
                "gold": self.annotators.gold,
                "prelabels": "off",
                "options": self.annotators.options,
            },
            "round": {
                "size": bench.batch,
                "max_rounds": 2 * len(rounds) + 10,
                "replicas": self.annotators.replicas,
            },
            "budget": {"labels": rounds[-1], "cost_per_vote": bench.cost_per_vote},
            "holdout": {"fraction": bench.holdout, "share": 0.0},
            "selection": {
                "strategy": self.strategy.strategy,
                "random_share": self.strategy.random_share,
                "options": self.strategy.options,
                "compare_arms": False,
            },
            "reward": {"model": self.model.model, "options": self.model.options},
        }
        for table, keys in self.strategy.config.items():
            tables[table] = {**tables.get(table, {}), **keys}
        return {table: {k: v for k, v in keys.items() if v is not None} for table, keys in tables.items()}

    def fingerprint(self, versions: dict[str, Any]) -> str:
        """What decides the result: the cell's settings, the data's bytes and the versions; 16 hex digits."""
        measures = [truth.model_dump(mode="json", exclude_defaults=True) for truth in self.data.measures]
        return digest([self.config, self.rounds, measures, versions])[:16]


def load_plan(path: Path, data: Mapping[str, Path] | None = None) -> Plan:
    """Read and validate a benchmark file; relative data paths become absolute.

    Args:
        path: the file.
        data: paths by name of the data, instead of the plan's.

    Raises:
        ConfigError: names file and key. UsageError: ``data`` names something else.
    """
    try:
        table = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    return finished_plan(validate(Plan, table, str(path)), path, data)


def finished_plan(plan: Plan, origin: Path, data: Mapping[str, Path] | None = None) -> Plan:
    """The plan with absolute paths and every cell's configuration checked; arguments and errors as `load_plan`."""
    given = dict(data or {})
    arms = []
    for arm in plan.data:
        path = given.pop(arm.name, None)
        found = _absolute(origin, arm.path) if path is None else str(path.absolute())
        arms.append(arm.model_copy(update={"path": found}))
    if given:
        raise UsageError(
            f"the benchmark has no data called {next(iter(given))!r}", f"It has: {', '.join(arm.name for arm in arms)}"
        )
    for cell in cells(plan):
        if cell.seed == plan.bench.first_seed:
            validate(Config, cell.config, str(origin), f"strategies.{cell.strategy.name}.config")
    return plan.model_copy(update={"data": tuple(arms)})


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
