"""All facts of a report: plain numbers and texts from a store that is only read."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pairloop import __version__
from pairloop.anchoring import Anchoring
from pairloop.annotators import quality
from pairloop.budget import spending
from pairloop.config import Config
from pairloop.judging.facts import judge_facts, judge_sentence
from pairloop.kit.canonical import digest
from pairloop.kit.clock import now
from pairloop.kit.versions import installed_versions
from pairloop.metrics import Estimate
from pairloop.records import Assignment
from pairloop.report import agreement, examples, leaderboard, learning, people, policy, rounds, selection
from pairloop.report.agreement import Agreement
from pairloop.report.examples import ExampleGroup
from pairloop.report.leaderboard import Models
from pairloop.report.learning import ArmPoint, Calibration, Point
from pairloop.report.people import Habits, People
from pairloop.report.policy import Duel, Tuning
from pairloop.report.rounds import Arrivals, RoundFacts, Spent, Supply
from pairloop.report.selection import Contest
from pairloop.report.table import VoteTable, read_table
from pairloop.status import position_of, read_anchoring
from pairloop.store import Store
from pairloop.store.models import ModelRow

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "transformers", "matplotlib", "Jinja2", "sqlite-utils")
_HIDDEN = "(not shown)"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made the campaign what it is. ``config`` has the options of plugins left out: they may hold secrets."""

    campaign_id: str
    seed: int
    created_at: str | None
    config_digest: str
    config: dict[str, Any]
    versions: dict[str, str]
    imports: tuple[dict[str, Any], ...]
    models: tuple[tuple[str, int, str], ...]
    log_rows: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the page shows; ``written_at`` is the only value that differs between two runs."""

    name: str
    written_at: str
    votes: int
    round_size: int
    cost_per_vote: float
    choices: dict[str, int]
    rounds: tuple[RoundFacts, ...]
    arrivals: Arrivals
    spent: tuple[Spent, ...]
    supply: Supply
    points: tuple[Point, ...]
    same_votes: bool
    arms: tuple[ArmPoint, ...]
    arms_verdict: str
    contest: Contest | None
    outlook: dict[str, Any] | None
    fitted_position: Estimate | None
    calibration: Calibration
    agreement: Agreement
    people: People
    habits: Habits
    anchoring: Anchoring | None
    models: Models | None
    tunings: tuple[Tuning, ...]
    duels: tuple[Duel, ...]
    examples: tuple[ExampleGroup, ...]
    judge: str | None
    provenance: Provenance

    @property
    def model(self) -> Point | None:
        """The current reward model: the last fit that was not rejected."""
        return next((point for point in reversed(self.points) if point.rejected is None), None)

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def gather(store: Store, config: Config, remeasured: Mapping[int, Mapping[str, Any]] | None = None) -> Facts:
    """Compute all facts of a campaign at any stage; nothing is written. ``remeasured``: see `write_report`."""
    table = read_table(store)
    responses, assignments = store.pool.responses(), store.rounds.assignments()
    models = store.models.all("reward")
    comparisons = learning.arms(models)
    return Facts(
        name=config.campaign.name,
        written_at=now(),
        votes=len(table),
        round_size=config.round.size,
        cost_per_vote=config.budget.cost_per_vote,
        choices=people.choice_shares(table),
        rounds=rounds.round_facts(store.rounds.all(), assignments, table),
        arrivals=rounds.arrivals(store.events.tail(rounds.ALL)),
        spent=rounds.spent_facts(spending(store, store.annotations.standing(), config.budget), config),
        supply=_supply(store, table, assignments),
        points=learning.learning_curve(models, table, remeasured or {}),
        same_votes=bool(remeasured),
        arms=comparisons,
        arms_verdict=learning.arms_verdict(comparisons),
        contest=selection.contest(models),
        outlook=_last(models).get("outlook"),
        fitted_position=position_of(_last(models)),
        calibration=learning.calibration(table),
        agreement=agreement.agreement(table),
        people=people.people(table, quality(store)),
        habits=people.habits(table),
        anchoring=read_anchoring(store),
        models=leaderboard.models(store, assignments, seed=config.campaign.seed),
        tunings=policy.tunings(store.models.all("policy")),
        duels=policy.duels(table, responses),
        examples=examples.example_groups(table, responses, assignments),
        judge=_judge(store, config, models),
        provenance=_provenance(store, config),
    )


def _judge(store: Store, config: Config, models: Sequence[ModelRow]) -> str | None:
    """The judge beside people in one sentence; None without one."""
    current = next((row.report for row in reversed(models) if row.artifact is not None), {})
    found = judge_facts(store, config, current)
    return None if found is None else judge_sentence(found)


def _supply(store: Store, table: VoteTable, assignments: Sequence[Assignment]) -> Supply:
    pool = table.pool
    held_prompts = {view.prompt_id for row, view in enumerate(pool.responses) if pool.holdout[row]}
    held = {pair.id: pair.prompt_id in held_prompts for pair, _ in store.pool.pairs()}
    reasons = [reason for _, _, reason in store.pool.prompts()]
    return rounds.supply(pool, reasons, assignments, [held[a.pair_id] for a in assignments])


def _last(models: Sequence[ModelRow]) -> Mapping[str, Any]:
    """The report of the current reward model."""
    return next((row.report for row in reversed(models) if row.accepted), {})


def _provenance(store: Store, config: Config) -> Provenance:
    models = [row for role in ("reward", "reference", "policy") for row in store.models.all(role)]
    dumped = config.model_dump(mode="json")
    return Provenance(
        campaign_id=str(store.get_meta("id") or ""),
        seed=config.campaign.seed,
        created_at=store.get_meta("created_at"),
        config_digest=digest(dumped),
        config={section: _without_options(values) for section, values in dumped.items()},
        versions={"pairloop": __version__, "Python": platform.python_version(), **installed_versions(_PACKAGES)},
        imports=tuple(store.imports()),
        models=tuple((row.role, row.round, row.artifact or "rejected") for row in models),
        log_rows=store.annotations.last_seq(),
    )


def _without_options(section: dict[str, Any]) -> dict[str, Any]:
    return {
        key: dict.fromkeys(sorted(value), _HIDDEN) if key == "options" and value else value
        for key, value in section.items()
    }
