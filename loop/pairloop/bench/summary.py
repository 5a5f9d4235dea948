"""From points to numbers with intervals: curves, area under the curve, votes to target, paired differences.

Seeds are paired and groups are few: thirty seeds over twelve debates are not thirty samples. Every interval therefore
comes from one bootstrap that draws seeds *and* held-out groups with replacement, the same draw for all strategies
(Efron & Tibshirani 1993; two-way clustering after Cameron, Gelbach & Miller 2011).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pairloop.bench.cell import Point
from pairloop.bench.plan import DataArm, Plan
from pairloop.posterior import FloatArray

MEANS = ("accuracy", "log_loss", "log_loss_raw", "brier")
_SUM = {"accuracy": "hits", "log_loss": "log_loss", "log_loss_raw": "log_loss_raw", "brier": "brier"}
SCORED = ("ece", "spearman", "best_of_n")
SPENT = ("seconds", "cost")
LOWER_IS_BETTER = frozenset({"log_loss", "log_loss_raw", "brier", "ece", "seconds", "cost"})
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its 95 % bootstrap interval (None where nothing can be drawn)."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One strategy on one data × annotators × model.

    Attributes:
        votes: (T,) mean votes at each round; curves: metric → T intervals.
        area: normalised area under the accuracy curve (mean accuracy over the votes spent).
        votes_to_target: votes until the mean accuracy curve reaches the target; None if it never does.
        against: metric or "area" → difference to the baseline arm (this − baseline), paired.
        saved: share of the baseline's votes-to-target that this arm saves; None where one never reaches it.
        matches: by name of another arm: what it takes to be as accurate as that arm is at its end.
    """

    name: str
    seeds: int
    votes: tuple[float, ...]
    curves: Mapping[str, tuple[Interval, ...]]
    area: Interval
    votes_to_target: Interval | None
    against: Mapping[str, Interval] = field(default_factory=dict)
    saved: Interval | None = None
    matches: Mapping[str, "Match"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """Votes until the mean accuracy curve reaches another arm's final accuracy, also as a share of that arm's votes.

    The other arm's accuracy is drawn anew with every draw of the bootstrap, so that the interval knows both errors.
    """

    accuracy: float
    votes: Interval
    share: Interval


@dataclass(frozen=True, slots=True)
class Block:
    """All strategies on one data × annotators × model."""

    data: str
    annotators: str
    model: str
    baseline: str
    target: float
    groups: int
    arms: tuple[ArmSummary, ...]


def summarise(plan: Plan, results: Mapping[str, Sequence[Point]]) -> list[Block]:
    """Every block of the plan."""
    return [
        _block(plan, Where(data, truth.name, annotators.name, model.name), results)
        for data in plan.data
        for annotators in plan.annotators
        for model in plan.models
        for truth in data.measures
    ]


@dataclass(frozen=True, slots=True)
class Where:
    """What one block is about."""

    data: DataArm
    truth: str
    annotators: str
    model: str

    @property
    def title(self) -> str:
        """Data, and how it was measured where there are several ways."""
        return self.data.name if len(self.data.measures) == 1 else f"{self.data.name}:{self.truth}"


class _Table:
    """The sums of one arm as arrays: (S seeds, T rounds, G groups) for each column."""

    def __init__(self, runs: Sequence[Sequence[Point]], truth: str, groups: Sequence[str]) -> None:
        rounds = min(len(run) for run in runs)
        self.votes = np.array([[p.votes for p in run[:rounds]] for run in runs], dtype=float)
        shape = (len(runs), rounds, len(groups))
        self.sums = {name: np.zeros(shape) for name in ("n", *dict.fromkeys(_SUM.values()))}
        number = {group: i for i, group in enumerate(groups)}
        for s, run in enumerate(runs):
            for t, point in enumerate(run[:rounds]):
                for group, columns in point.scores[truth].groups.items():
                    for name, array in self.sums.items():
                        array[s, t, number[group]] = columns[name]
        self.plain = {
            name: np.array([[_plain(p, truth, name) for p in run[:rounds]] for run in runs])
            for name in (*SCORED, *SPENT)
        }

    @property
    def last(self) -> float:
        """Mean votes at the end."""
        return float(self.votes[:, -1].mean())

    def curves(self, metric: str, seeds: FloatArray, groups: FloatArray) -> FloatArray:
        """(B, T) the metric under seed weights (B, S) and group weights (B, G): the mean over seeds of their ratios."""
        if metric in self.plain:
            return np.asarray(seeds @ self.plain[metric] / seeds.sum(axis=1, keepdims=True))
        top = self.sums[_SUM[metric]] @ groups.T  # (S, T, B)
        bottom = self.sums["n"] @ groups.T
        # A draw may leave a seed without any of its held-out groups; that seed then says nothing in that draw.
        weights = np.where(bottom > 0, seeds.T[:, None, :], 0.0)
        total = weights.sum(axis=0)
        ratio = weights * top / np.where(bottom > 0, bottom, 1.0)
        with np.errstate(invalid="ignore"):
            return np.asarray((ratio.sum(axis=0) / total).T)


def _plain(point: Point, truth: str, name: str) -> float:
    value = getattr(point if name in SPENT else point.scores[truth], name)
    return np.nan if value is None else float(value)


def _block(plan: Plan, where: Where, results: Mapping[str, Sequence[Point]]) -> Block:
    seeds = range(plan.bench.first_seed, plan.bench.first_seed + plan.bench.seeds)
    prefix = f"{where.data.name}/{where.annotators}/{where.model}"
    runs = {arm.name: [results[f"{prefix}/{arm.name}/{seed}"] for seed in seeds] for arm in plan.strategies}
    points = [point for arm in runs.values() for run in arm for point in run]
    groups = sorted({g for point in points for g in point.scores[where.truth].groups}, key=int)
    tables = {name: _Table(arm, where.truth, groups) for name, arm in runs.items()}
    base = tables[plan.baseline]
    draws = _draws(len(seeds), len(groups), plan.bench.bootstrap)
    target = plan.bench.target_accuracy or float(base.curves("accuracy", *draws)[0, -1])
    goals = {name: (tables[name].curves("accuracy", *draws)[:, -1], tables[name].last) for name in plan.bench.match}
    arms = tuple(_arm(name, table, base, draws, target, goals) for name, table in tables.items())
    return Block(where.title, where.annotators, where.model, plan.baseline, target, len(groups), arms)


def _draws(seeds: int, groups: int, n: int) -> tuple[FloatArray, FloatArray]:
    """Multinomial weights of seeds (1 + n, S) and groups (1 + n, G); the first draw is the data itself."""
    rng = np.random.default_rng(12345)
    drawn = [rng.multinomial(size, np.full(size, 1 / size), n).astype(float) for size in (seeds, groups)]
    return np.vstack([np.ones(seeds), drawn[0]]), np.vstack([np.ones(groups), drawn[1]])


def _arm(
    name: str,
    table: _Table,
    base: _Table,
    draws: tuple[FloatArray, FloatArray],
    target: float,
    goals: Mapping[str, tuple[FloatArray, float]],
) -> ArmSummary:
    names = (*MEANS, *SCORED, *SPENT)
    mine = {m: table.curves(m, *draws) for m in names}
    theirs = {m: base.curves(m, *draws) for m in names}
    votes, base_votes = table.votes.mean(axis=0), base.votes.mean(axis=0)
    area = _area(votes, mine["accuracy"])
    reach = np.array([_votes_to(votes, curve, target) for curve in mine["accuracy"]])
    base_reach = np.array([_votes_to(base_votes, curve, target) for curve in theirs["accuracy"]])
    against: dict[str, Interval] = {}
    if table is not base:
        both = min(len(votes), len(base_votes))  # an arm may stop early; what both have is compared
        last = {m: (mine[m][:, both - 1] - theirs[m][:, both - 1]) for m in names}
        against = {m: _interval(values) for m, values in last.items() if np.isfinite(values[0])}
        ours, other = (_area(v[:both], c["accuracy"][:, :both]) for v, c in ((votes, mine), (base_votes, theirs)))
        against["area"] = _interval(ours - other)
    return ArmSummary(
        name=name,
        seeds=len(table.votes),
        votes=tuple(votes),
        curves={m: tuple(_interval(c) for c in mine[m].T) for m in names if np.isfinite(mine[m][0]).all()},
        area=_interval(area),
        votes_to_target=_interval(reach) if np.isfinite(reach[0]) else None,
        against=against,
        saved=_saved(reach, base_reach),
        matches=_matches(votes, mine["accuracy"], goals),
    )


def _matches(votes: FloatArray, curves: FloatArray, goals: Mapping[str, tuple[FloatArray, float]]) -> dict[str, Match]:
    """For every goal that this arm's curve reaches."""
    found = {}
    for name, (accuracy, theirs) in goals.items():
        reach = np.array([_votes_to(votes, curve, goal) for curve, goal in zip(curves, accuracy, strict=True)])
        if np.isfinite(reach[0]):
            found[name] = Match(float(accuracy[0]), _interval(reach), _interval(reach / theirs))
    return found


def _saved(reach: FloatArray, base: FloatArray) -> Interval | None:
    """Share of the baseline's votes that this arm saves; draws in which neither gets to the target say nothing."""
    if not (np.isfinite(reach[0]) and np.isfinite(base[0])):
        return None
    with np.errstate(invalid="ignore"):
        return _interval(1.0 - reach / base)


def _area(votes: FloatArray, curves: FloatArray) -> FloatArray:
    """Mean height of each curve over the votes, by trapezoids; a single point is its own mean."""
    if curves.shape[1] == 1:
        return np.asarray(curves[:, 0])
    return np.asarray(np.trapezoid(curves, votes, axis=1) / (votes[-1] - votes[0]))


def _votes_to(votes: FloatArray, curve: FloatArray, target: float) -> float:
    """First crossing of the target, linearly between rounds; infinity if the curve never gets there."""
    above = np.flatnonzero(curve >= target - 1e-12)
    if len(above) == 0:
        return float("inf")
    t = int(above[0])
    if t == 0:
        return float(votes[0])
    rise = curve[t] - curve[t - 1]
    share = (target - curve[t - 1]) / rise if rise > 0 else 1.0
    return float(votes[t - 1] + share * (votes[t] - votes[t - 1]))


def _interval(values: FloatArray) -> Interval:
    """First value with the percentile interval of the others; infinite draws count as they are."""
    drawn = values[1:]
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) == 0:
        return Interval(float(values[0]), None, None)
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail], method="nearest")
    return Interval(float(values[0]), _finite(low), _finite(high))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def block_json(block: Block) -> dict[str, Any]:
    """A block as JSON values."""
    return {
        **{name: getattr(block, name) for name in ("data", "annotators", "model", "baseline", "target", "groups")},
        "arms": [_arm_json(arm) for arm in block.arms],
    }


def _arm_json(arm: ArmSummary) -> dict[str, Any]:
    return {
        "name": arm.name,
        "seeds": arm.seeds,
        "votes": list(arm.votes),
        "curves": {m: [_interval_json(i) for i in curve] for m, curve in arm.curves.items()},
        "area": _interval_json(arm.area),
        "votes_to_target": None if arm.votes_to_target is None else _interval_json(arm.votes_to_target),
        "against": {m: _interval_json(i) for m, i in arm.against.items()},
        "saved": None if arm.saved is None else _interval_json(arm.saved),
        "matches": {
            name: {
                "accuracy": match.accuracy,
                "votes": _interval_json(match.votes),
                "share": _interval_json(match.share),
            }
            for name, match in arm.matches.items()
        },
    }


def _interval_json(interval: Interval) -> dict[str, float | None]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
