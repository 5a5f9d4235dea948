"""What a judge is worth beside people, and what a bad one costs.

Simulated: a linear reward over 20 features (the first stands for length), 40 groups of prompts, 8 people of uneven
care. A judge answers 600 pairs in both orders, the people's among them.
Each row is a kind of judge; accuracy is against the true margins of 4,000 new pairs, for people alone, with every vote
of the judge at full weight, and with the weight that `pairloop.judging.trust` gives. A judge has one vote a pair, a tie
where the orders differ. Differences to people alone are paired by seed, with 95 % t-intervals.

    python benchmarks/judge.py               # the worth of judges, as in docs/judge.md
    python benchmarks/judge.py --halves      # the same with half a vote for each order
    python benchmarks/judge.py --orders      # one vote or two for the two orders
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import Pool

import numpy as np
from scipy import stats
from scipy.special import expit

from pairloop.judging.trust import joined, trusted
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import PreferencePosterior
from pairloop.protocols import FitReport, TrainingData
from pairloop.records import ResponseView
from pairloop_reward.head import fit_head
from pairloop_reward.joint import Panel, fit_joint
from pairloop_reward.laplace import cholesky, marginal_precision, whiten
from pairloop_reward.likelihood import Votes
from pairloop_reward.reliability import FlipPrior

FEATURES, GROUPS, PEOPLE, JUDGED, NEW_PAIRS, NAME = 20, 40, 8, 600, 4000, "judge:simulated"
SCALE, FLIPS = 2.5, FlipPrior.standard()


@dataclass(frozen=True)
class Kind:
    """A judge: how strongly it sees the true margin, its own taste for the first feature, flips and position bias."""

    name: str
    sees: float = 1.0
    length: float = 0.0
    flips: float = 0.0
    position: float = 0.0
    ties: float = 0.0


KINDS = (
    Kind("10 % flips", flips=0.1),
    Kind("30 % flips", flips=0.3),
    Kind("10 % flips, prefers the left side", flips=0.1, position=1.5),
    Kind("coin", sees=0.0),
    Kind("likes long answers a little", length=1.0),
    Kind("likes long answers", length=2.0),
    Kind("sees nothing but length", sees=0.0, length=2.0),
    Kind("says the opposite", sees=-1.0),
)


class Linear:
    """The reward head of the product over given features."""

    def __init__(self, features: np.ndarray) -> None:
        self._features = features

    def fit(self, data: TrainingData, *, seed: int) -> FitReport:
        votes = Votes(self._features[data.left] - self._features[data.right], data.outcome, data.weight)
        _, annotator = np.unique(data.annotator, return_inverse=True)
        pooled = fit_head(votes, np.full(FEATURES, 2 * FEATURES / SCALE**2), 0.1)
        panel = Panel(annotator, None, FLIPS)
        self.joint = fit_joint(votes, panel, pooled) if panel.tells_annotators_apart else None
        self.fitted = pooled if self.joint is None else self.joint.fit
        return FitReport(len(data))

    def posterior(self, responses: object) -> PreferencePosterior:
        factor = cholesky(marginal_precision(self.fitted.precision, 2))
        flip, mean = self.fitted.flip_rate, self._features @ self.fitted.weights
        return PreferencePosterior(mean, whiten(self._features, factor), flip, self.fitted.tie)

    def accuracy(self, new: np.ndarray, weights: np.ndarray) -> float:
        return float(np.mean((new @ self.fitted.weights > 0) == (new @ weights > 0)))


@dataclass(frozen=True)
class World:
    """One seed: features of 2 × JUDGED responses, pair i = rows (2i, 2i+1), group and true margin of each."""

    features: np.ndarray
    weights: np.ndarray
    group: np.ndarray
    margin: np.ndarray
    difference: np.ndarray
    people: TrainingData
    rng: np.random.Generator


def data_of(group: np.ndarray, pairs: np.ndarray, swap: np.ndarray, outcome: np.ndarray, owner: np.ndarray,
            names: tuple[str, ...], weight: np.ndarray) -> TrainingData:  # fmt: skip
    """Votes on pairs, displayed swapped where told; outcomes are about the display."""
    empty = ResponseView("r", "p", "", "", "g")
    n, one = len(pairs), 2 * pairs
    return TrainingData(
        [empty], np.ones(1, dtype=bool), np.where(swap, one + 1, one), np.where(swap, one, one + 1), outcome, owner,
        names, weight, group[pairs], np.ones(n, dtype=bool), np.zeros(n, dtype=bool), np.zeros(n, dtype=int),
    )  # fmt: skip


def world(seed: int, votes: int) -> World:
    rng = np.random.default_rng([seed, votes])
    weights = rng.normal(size=FEATURES) * SCALE / np.sqrt(2 * FEATURES)
    weights[0] = 0.3
    group = rng.integers(0, GROUPS, JUDGED)
    centre = 0.5 * rng.normal(size=(GROUPS, FEATURES))
    features = rng.normal(size=(2 * JUDGED, FEATURES)) + np.repeat(centre[group], 2, axis=0)
    difference = features[0::2] - features[1::2]
    margin = difference @ weights
    asked = rng.permutation(JUDGED)[:votes]
    owner = rng.choice(PEOPLE, votes, p=rng.dirichlet(np.full(PEOPLE, 2.0)))
    flip = rng.beta(1, 9, PEOPLE)[owner] / 2
    first = rng.random(votes) < (1 - 2 * flip) * expit(margin[asked]) + flip
    swap = rng.random(votes) < 0.5
    names = tuple(f"person {i}" for i in range(PEOPLE))
    people = data_of(group, asked, swap, (first == swap).astype(int), owner, names, np.ones(votes))
    return World(features, weights, group, margin, difference, people, rng)


def answers(kind: Kind, made: World) -> np.ndarray:
    """(2, JUDGED) outcomes in display terms: the pair as it is, then swapped. Flips are the pair's, not the order's."""
    own = kind.sees * made.margin + kind.length * made.difference[:, 0]
    flipped = np.where(made.rng.random(JUDGED) < kind.flips, -1.0, 1.0)
    taste = own * flipped + 0.3 * made.rng.logistic(size=JUDGED)
    shown = np.stack([taste, -taste]) + kind.position
    if kind.sees == 0.0 and kind.length == 0.0:
        shown = made.rng.logistic(size=(2, JUDGED)) + kind.position
    return np.where(np.abs(shown) < kind.ties, 2, (shown < 0).astype(int))


def split(made: World, shown: np.ndarray) -> TrainingData:
    """Half a vote for each order."""
    pairs, swap = np.tile(np.arange(JUDGED), 2), np.repeat([False, True], JUDGED)
    owner = np.zeros(2 * JUDGED, dtype=int)
    data = data_of(made.group, pairs, swap, shown.ravel(), owner, (NAME,), np.full(2 * JUDGED, 0.5))
    tied = data.outcome == 2
    left, right = data.subset(tied), data.subset(tied)
    halves = [data.subset(~tied), with_outcome(left, 0), with_outcome(right, 1)]
    return joined(joined(halves[0], halves[1], 1.0), halves[2], 1.0)


def with_outcome(data: TrainingData, outcome: int) -> TrainingData:
    return replace(data, outcome=np.full(len(data), outcome), weight=data.weight / 2)


def one_vote(inconsistent: str) -> Callable[[World, np.ndarray], TrainingData]:
    """One vote a pair; pairs on which the orders disagree are ties or left out."""

    def made_of(made: World, shown: np.ndarray) -> TrainingData:
        same = (shown[0] == 1 - shown[1]) & (shown[0] != 2)
        outcome = np.where(same, shown[0], 2)
        keep = same if inconsistent == "abstain" else np.ones(JUDGED, dtype=bool)
        pairs = np.flatnonzero(keep)
        swap = made.rng.random(len(pairs)) < 0.5
        told = np.where(swap & (outcome[keep] != 2), 1 - outcome[keep], outcome[keep])
        owner = np.zeros(len(pairs), dtype=int)
        return data_of(made.group, pairs, swap, told, owner, (NAME,), np.ones(len(pairs)))

    return made_of


def row(task: tuple[Kind, int, int, float, bool]) -> dict[str, float]:
    kind, votes, seed, max_weight, halves = task
    with numeric_threads():
        made = world(seed, votes)
        new = made.rng.normal(size=(NEW_PAIRS, FEATURES)) - made.rng.normal(size=(NEW_PAIRS, FEATURES))
        judge = (split if halves else one_vote("tie"))(made, answers(kind, made))
        trust = trusted(lambda: Linear(made.features), made.people, judge, max_weight=max_weight, seed=seed)
        out = {"weight": trust.power}
        for name, power in (("alone", 0.0), ("all", 1.0), ("trusted", trust.power)):
            model = Linear(made.features)
            model.fit(joined(made.people, judge, power), seed=seed)
            out[name] = model.accuracy(new, made.weights)
    return out


def order_row(task: tuple[Kind, int, int, float, bool]) -> dict[str, float]:
    kind, votes, seed, *_ = task
    with numeric_threads():
        made = world(seed, votes)
        new = made.rng.normal(size=(NEW_PAIRS, FEATURES)) - made.rng.normal(size=(NEW_PAIRS, FEATURES))
        shown = answers(kind, made)
        ways = {"split": split, "tie": one_vote("tie"), "abstain": one_vote("abstain")}
        out = {}
        for name, way in ways.items():
            model = Linear(made.features)
            model.fit(joined(made.people, way(made, shown), 1.0), seed=seed)
            out[name] = model.accuracy(new, made.weights)
        straight = split(made, shown).subset(np.arange(JUDGED)) if kind.ties == 0 else None
        if straight is not None:
            model = Linear(made.features)
            model.fit(joined(made.people, straight, 2.0), seed=seed)
            out["one order"] = model.accuracy(new, made.weights)
    return out


def interval(values: np.ndarray) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():+.3f} ± {half:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", action="store_true", help="compare one vote with two half votes")
    parser.add_argument("--halves", action="store_true", help="two half votes a pair instead of one vote")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--votes", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--max-weight", type=float, default=10.0)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    ties = (
        Kind("10 % flips, ties", flips=0.1, ties=0.7),
        Kind("10 % flips, ties, prefers the left side", flips=0.1, position=1.5, ties=0.7),
    )
    kinds = KINDS[:3] + ties if args.orders else KINDS
    with Pool(args.jobs) as pool:
        for votes in args.votes:
            for kind in kinds:
                tasks = [(kind, votes, seed, args.max_weight, args.halves) for seed in range(args.seeds)]
                rows = pool.map(order_row if args.orders else row, tasks)
                column = {name: np.array([found[name] for found in rows]) for name in rows[0]}
                base = column["split"] if args.orders else column["alone"]
                named = [name for name in column if name not in ("weight", "alone", "split")]
                cells = [f"{name} {interval(column[name] - base)}" for name in named]
                if not args.orders:
                    cells.append(f"weight {column['weight'].mean():.2f}")
                print(f"| {votes} | {kind.name} | {base.mean():.3f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
