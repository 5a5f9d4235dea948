"""Aggregate, then fit, or fit all votes together? At equal votes, paired by seed. Needs the extra ``crowd``.

    python benchmarks/aggregation.py simulate [--seeds 12] [--votes 600 1500]
    python benchmarks/aggregation.py replay ukpconvarg1_dev.jsonl.gz --group-by-title \\
        [--competence ukpconvarg1_workers.csv]

``joint``: the product's fit on three votes a pair. ``joint, one vote``: on as many votes, one a pair. The others: the
same three votes a pair are turned into one label a pair by each method, and the pooled fit learns from the labels.
Accuracy as in ``annotators.py``. ``skill``: Spearman's correlation of what a method says of annotators with 10 votes or
more with the truth (simulated: 1 − 2ε; replayed: the published MACE competence from all votes). Intervals are 95 %
t-intervals over paired seeds.
"""

import argparse
import csv
import sys
import warnings
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from annotators import HELD_GROUPS, LEFT, TIE, Panel, Votes, fit_joint, interval, pairs_of, read, summary
from scipy.stats import spearmanr

from pairloop.errors import MissingExtra
from pairloop.kit.threads import numeric_threads
from pairloop.protocols import Labels, ModelContext, TrainingData
from pairloop_plugins.crowd.methods import METHODS, mace
from pairloop_reward.model import TfidfRewardModel
from pairloop_reward.options import TfidfOptions
from pairloop_reward.reliability import FlipPrior
from pairloop_reward.search import choose

EACH, FEATURES, PEOPLE, NEW_PAIRS, FEWEST = 3, 20, 40, 4000, 10
POOLS = {"20 % coin": 0.2, "40 % coin": 0.4, "honest": 0.0}
JOINT, SINGLE = "joint", "joint, one vote"
_METHODS = {**METHODS, "mace": partial(mace, restarts=2)}  # its ten restarts take most of the time and change little
Row = dict[str, float]


def labels_of(
    pair: np.ndarray, owner: np.ndarray, preferred: np.ndarray, flipped: np.ndarray, ends: np.ndarray
) -> Labels:
    """Three votes a pair as the methods want them; ``ends`` (P, 2) numbers of the responses."""
    return Labels(pair, owner, preferred, flipped, ends[:, 0], ends[:, 1])


def skill_correlation(skill: np.ndarray, truth: np.ndarray, owner: np.ndarray) -> float:
    skill = np.append(skill, np.full(max(len(truth) - len(skill), 0), np.nan))  # who has no vote
    often = np.bincount(owner, minlength=len(truth)) >= FEWEST
    kept = often & ~np.isnan(skill[: len(truth)]) & ~np.isnan(truth)
    return float(spearmanr(skill[: len(truth)][kept], truth[kept]).statistic) if kept.sum() > 4 else float("nan")


# ------------------------------------------------------------------------------------------------ simulated


def simulated(seed: int, n: int, coin: float) -> tuple[Row, Row]:
    """(accuracy, correlation of skills) by method."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=FEATURES) * 2.0 / np.sqrt(2 * FEATURES)
    true = rng.beta(1, 9, PEOPLE) / 2.0
    true[: round(coin * PEOPLE)] = 0.5
    share = rng.dirichlet(np.ones(PEOPLE))
    new = pairs_of(rng, NEW_PAIRS)
    pairs = n // EACH
    pair = np.repeat(np.arange(pairs), EACH)
    owner = np.concatenate([rng.choice(PEOPLE, EACH, replace=False, p=(share + 0.002) / (share + 0.002).sum())
                            for _ in range(pairs)])  # fmt: skip
    difference = pairs_of(rng, pairs)
    first = vote(rng, difference[pair] @ weights, true[owner])
    flipped = rng.random(len(pair)) < 0.5
    shown = np.where(flipped[:, None], -difference[pair], difference[pair])
    single = pairs_of(rng, n)
    one = vote(rng, single @ weights, true[owner])
    found: Row = {
        JOINT: accuracy(shown, np.where(flipped, 1 - first, first), owner, new, weights, together=True)[0],
        SINGLE: accuracy(single, one, owner, new, weights, together=True)[0],
    }
    skills: Row = {}
    _, flip = accuracy(shown, np.where(flipped, 1 - first, first), owner, new, weights, together=True)
    skills[JOINT] = skill_correlation(-flip, 1 - 2 * true, owner)
    labels = labels_of(pair, owner, first, flipped, np.arange(2 * pairs).reshape(-1, 2))
    for name, method in _METHODS.items():
        if name.startswith("noisy"):
            continue  # every response has one pair here: scores of responses have nothing to share
        got = method(labels)
        outcome = np.where(got.p_first == 0.5, TIE, np.where(got.p_first > 0.5, LEFT, 1))
        found[name] = accuracy(difference, outcome, np.zeros(pairs, dtype=int), new, weights, together=False)[0]
        skills[name] = skill_correlation(got.skill, 1 - 2 * true, owner)
    return found, skills


def vote(rng: np.random.Generator, margin: np.ndarray, flip: np.ndarray) -> np.ndarray:
    """0 for the first, 1 for the second."""
    outcome = (rng.random(len(margin)) > 1 / (1 + np.exp(-margin))).astype(int)
    return np.where(rng.random(len(margin)) < flip, 1 - outcome, outcome)


def accuracy(
    difference: np.ndarray,
    outcome: np.ndarray,
    owner: np.ndarray,
    new: np.ndarray,
    weights: np.ndarray,
    *,
    together: bool,
) -> tuple[float, np.ndarray]:
    """(accuracy on new pairs, flip rates of all annotators)."""
    votes = Votes(difference, outcome, np.ones(len(outcome)))
    groups = np.arange(len(outcome)) % 12
    fit = choose(votes, groups, (FEATURES, 0), (1.0, 0.7), None).fit
    flip = np.full(PEOPLE, np.nan)
    if together:
        seen, index = np.unique(owner, return_inverse=True)
        panel = Panel(index, difference[:, 0] / difference[:, 0].std(), FlipPrior.standard())
        joint = fit_joint(votes, panel, fit)
        fit, flip[seen] = joint.fit, summary(panel, joint).flip_rate
    return float(np.mean((new @ fit.weights > 0) == (new @ weights > 0))), flip


# ------------------------------------------------------------------------------------------------- replayed


def replayed(data: tuple, n: int, seed: int, cache: Path, competence: dict[str, float]) -> tuple[Row, Row]:
    """One seed of replayed votes."""
    responses, rows, names = data
    rng = np.random.default_rng(seed)
    groups = sorted({response.group for response in responses})
    group = np.array([groups.index(response.group) for response in responses])
    trainable = ~np.isin(group, rng.permutation(len(groups))[:HELD_GROUPS])
    usable = [row for row in rows if trainable[row[0]] and len(row[3]) >= EACH]
    order = rng.permutation(len(usable))
    several = [(i, usable[i][3][k]) for i in order[: n // EACH] for k in rng.permutation(len(usable[i][3]))[:EACH]]
    alone = [(i, usable[i][3][int(rng.integers(len(usable[i][3])))]) for i in order[:n]]
    held = [(i, j, o) for i, j, _, own in rows if not trainable[i] for o, _ in own if o != TIE]
    clean = [(i, j, g) for i, j, g, _ in rows if not trainable[i] and g in (0, 1)]
    measured = np.array(clean or held)

    def judged(model: TfidfRewardModel) -> float:
        margin = model.posterior(responses).margin(measured[:, :2])
        return float(np.mean(np.where(margin == 0, 0.5, (margin > 0) == (measured[:, 2] == 0))))

    def trained(pairs: np.ndarray, outcome: np.ndarray, owner: np.ndarray, how: str) -> TfidfRewardModel:
        m = len(outcome)
        swap = np.random.default_rng([seed, 1]).random(m) < 0.5
        training = TrainingData(
            responses, trainable, np.where(swap, pairs[:, 1], pairs[:, 0]), np.where(swap, pairs[:, 0], pairs[:, 1]),
            np.where(swap, np.array([1, 0, 2])[outcome], outcome), owner, names, np.ones(m), group[pairs[:, 0]],
            np.ones(m, dtype=bool), np.zeros(m, dtype=bool), np.zeros(m, dtype=int),
        )  # fmt: skip
        model = TfidfRewardModel(TfidfOptions(annotators=how), ModelContext(cache))
        model.fit(training, seed=seed)
        return model

    number = {int(i): k for k, i in enumerate(dict.fromkeys(i for i, _ in several))}
    pair = np.array([number[int(i)] for i, _ in several])
    ends = np.array([usable[i][:2] for i in number])
    outcome, owner = (np.array([vote[k] for _, vote in several]) for k in (0, 1))
    found, skills = {}, {}
    together = trained(ends[pair], outcome, owner, "joint")
    found[JOINT] = judged(together)
    lone = np.array([usable[i][:2] for i, _ in alone])
    found[SINGLE] = judged(trained(lone, *(np.array([vote[k] for _, vote in alone]) for k in (0, 1)), "joint"))
    truth = np.array([competence.get(name, np.nan) for name in names])
    flip = np.array([together.annotators().get(name, {}).get("flip_rate", np.nan) for name in names])
    skills[JOINT] = skill_correlation(-flip, truth, owner)
    labels = labels_of(pair, owner, outcome, np.random.default_rng([seed, 2]).random(len(pair)) < 0.5, ends)
    for name, method in _METHODS.items():
        got = method(labels)
        label = np.where(got.p_first == 0.5, TIE, np.where(got.p_first > 0.5, LEFT, 1))
        found[name] = judged(trained(ends, label, np.zeros(len(label), dtype=int), "pooled"))
        skill = np.full(len(names), np.nan)
        skill[: len(got.skill)] = got.skill[: len(names)]
        skills[name] = skill_correlation(skill, truth, owner)
    return found, skills


def show(title: str, results: list[tuple[Row, Row]]) -> None:
    accuracies = {name: np.array([row[name] for row, _ in results]) for name in results[0][0]}
    print(f"{title} ({len(results)} seeds)")
    for name, values in accuracies.items():
        against = "" if name == JOINT else f" | against joint {interval(values - accuracies[JOINT])}"
        skill = [row.get(name, np.nan) for _, row in results]
        known = f" | skill {np.nanmean(skill):.2f}" if not np.isnan(skill).all() else ""
        print(f"  {name:<18} {values.mean():.4f}{against}{known}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("simulate", "replay"))
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--votes", type=int, nargs="+", default=[600, 1500])
    parser.add_argument("--methods", nargs="+", choices=tuple(_METHODS), default=list(_METHODS))
    parser.add_argument("--group-by-title", action="store_true", help="the prompt's first line is the group")
    parser.add_argument("--competence", type=Path, help="CSV with the columns annotator and mace_competence")
    args = parser.parse_args()
    for name in set(_METHODS) - set(args.methods):
        del _METHODS[name]
    warnings.filterwarnings("ignore")  # crowd-kit's own
    competence = {}
    if args.competence is not None:
        with args.competence.open(newline="") as file:
            competence = {row["annotator"]: float(row["mace_competence"]) for row in csv.DictReader(file)}
    with TemporaryDirectory() as cache, numeric_threads():
        data = read(args.file, args.group_by_title) if args.what == "replay" else None
        for n in args.votes:
            if data is not None:
                results = [replayed(data, n, seed, Path(cache), competence) for seed in range(args.seeds)]
                show(f"{n} votes", results)
                continue
            for name, coin in POOLS.items():
                show(f"{n} votes, {name}", [simulated(seed, n, coin) for seed in range(args.seeds)])


if __name__ == "__main__":
    try:
        main()
    except MissingExtra as error:
        sys.exit(f"{error} {error.hint}")
