"""Does it pay to fit annotators together with the reward? Joint against pooled, at equal votes, paired by seed.

    python benchmarks/annotators.py simulate [--seeds 20] [--votes 200 600 2000]
    python benchmarks/annotators.py replay ukpconvarg1_dev.jsonl.gz --group-by-title [--seeds 12] [--votes 150 600]

``simulate``: 40 annotators with unequal shares of the votes, a reward of 20 features, 2ε ~ Beta(1, 9), position biases
N(0, 0.2²); then a share of spammers (coin), and spammers who always name the left side. Accuracy is that of the signs
of the true margins of 4,000 new pairs. ``replay``: single recorded votes in random order on pairs of all groups but
three; accuracy on the clean labels of those three (``gold`` where ``in_strict``), or on their votes where the file has
no clean labels; log-loss on their votes. Intervals are 95 % t-intervals over paired seeds.
"""

import argparse
import gzip
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy import stats

from pairloop.kit.ids import prompt_id, response_id
from pairloop.kit.threads import numeric_threads
from pairloop.protocols import ModelContext, TrainingData
from pairloop.records import ResponseView
from pairloop_reward.joint import Panel, fit_joint, summary
from pairloop_reward.likelihood import LEFT, TIE, Votes, probabilities
from pairloop_reward.model import TfidfRewardModel
from pairloop_reward.options import TfidfOptions
from pairloop_reward.reliability import FlipPrior
from pairloop_reward.search import choose

ANNOTATORS, FEATURES, NEW_PAIRS, HELD_GROUPS = 40, 20, 4000, 3
POOLS = {"honest": (0.0, 0.0), "20 % coin": (0.2, 0.0), "40 % coin": (0.4, 0.0), "20 % always left": (0.2, 0.2)}
CODES = {"a": 0, "b": 1, "tie": 2}
Row = dict[str, float]


def interval(values: np.ndarray) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():+.4f} ± {half:.4f}"


def pairs_of(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(size=(n, FEATURES)) - rng.normal(size=(n, FEATURES))


def simulated(seed: int, n: int, coin: float, stuck: float) -> Row:
    """One seed of one pool."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=FEATURES) * 2.0 / np.sqrt(2 * FEATURES)
    owner = rng.choice(ANNOTATORS, n, p=rng.dirichlet(np.ones(ANNOTATORS)))
    difference = pairs_of(rng, n)
    flip, bias = rng.beta(1, 9, size=ANNOTATORS) / 2, 0.2 * rng.normal(size=ANNOTATORS)
    number = np.arange(ANNOTATORS)
    flip[number < round(coin * ANNOTATORS)] = 0.5
    p = probabilities(difference @ weights + bias[owner], 0.4, 0.0)
    outcome = (rng.random(n)[:, None] > np.cumsum(p, axis=1)[:, :2]).sum(axis=1)
    outcome = np.where((rng.random(n) < flip[owner]) & (outcome != TIE), 1 - outcome, outcome)
    always_left = number < round(stuck * ANNOTATORS)
    votes = Votes(difference, np.where(always_left[owner], LEFT, outcome), np.ones(n))
    pooled = choose(votes, rng.integers(0, 12, n), (FEATURES, 0), (1.0, 0.7), None).fit
    seen, index = np.unique(owner, return_inverse=True)
    panel = Panel(index, difference[:, 0] / difference[:, 0].std(), FlipPrior.standard())
    joint = fit_joint(votes, panel, pooled)
    table, true, fair = summary(panel, joint), flip[seen], ~always_left[seen]
    new = pairs_of(rng, NEW_PAIRS)
    right = [np.mean((new @ fit.weights > 0) == (new @ weights > 0)) for fit in (pooled, joint.fit)]
    return {
        "pooled": float(right[0]),
        "joint": float(right[1]),
        "rmse": float(np.sqrt(np.mean((table.flip_rate - true)[fair] ** 2))),
        "rmse_pooled": float(np.sqrt(np.mean((pooled.flip_rate - true)[fair] ** 2))),
        "covered": float(np.mean(((table.flip_low <= true) & (true <= table.flip_high))[fair])),
        "weight_spam": float(np.mean(table.weight[true == 0.5])) if coin else 0.0,
        "weight_honest": float(np.mean(table.weight[true < 0.5])),
    }


def read(path: Path, by_title: bool) -> tuple[list[ResponseView], list[tuple[int, int, int, list]], tuple[str, ...]]:
    """Responses; (left, right, clean label or -1, votes) of the pairs; annotators."""
    responses: list[ResponseView] = []
    number: dict[str, int] = {}
    names: dict[str, int] = {}
    rows = []
    with gzip.open(path, "rt") as file:
        for pair in map(json.loads, file):
            prompt, ends = prompt_id(pair["prompt"]), []
            group = pair["prompt"].split("\n")[0] if by_title else pair["prompt"]
            for text in (pair["response_a"], pair["response_b"]):
                key = response_id(prompt, text)
                if key not in number:
                    number[key] = len(responses)
                    responses.append(ResponseView(key, prompt, pair["prompt"], text, group))
                ends.append(number[key])
            people = [vote for vote in pair["annotations"] if vote["type"] == "human"]
            votes = [(CODES[v["preference"]], names.setdefault(v["annotator"], len(names))) for v in people]
            if ends[0] != ends[1]:
                rows.append((*ends, CODES[pair["gold"]] if pair.get("in_strict") else -1, votes))
    return responses, rows, tuple(names)


def replayed(data: tuple, n: int, seed: int, cache: Path) -> Row:
    """One seed of replayed votes, both ways."""
    responses, rows, names = data
    rng = np.random.default_rng(seed)
    groups = sorted({response.group for response in responses})
    group = np.array([groups.index(response.group) for response in responses])
    trainable = ~np.isin(group, rng.permutation(len(groups))[:HELD_GROUPS])
    votes = np.array([(i, j, o, a) for i, j, _, own in rows if trainable[i] for o, a in own])
    left, right, outcome, owner = rng.permutation(votes)[:n].T
    n = len(left)
    swap = rng.random(n) < 0.5
    training = TrainingData(
        responses, trainable, np.where(swap, right, left), np.where(swap, left, right),
        np.where(swap, np.array([1, 0, 2])[outcome], outcome), owner, names, np.ones(n), group[left],
        np.ones(n, dtype=bool), np.zeros(n, dtype=bool), np.zeros(n, dtype=int),
    )  # fmt: skip
    held = np.array([(i, j, o) for i, j, _, own in rows if not trainable[i] for o, _ in own if o != TIE])
    clean = np.array([(i, j, g) for i, j, g, _ in rows if not trainable[i] and g in (0, 1)])
    measured = clean if len(clean) else held
    out: Row = {}
    for how in ("pooled", "joint"):
        model = TfidfRewardModel(TfidfOptions(annotators=how), ModelContext(cache))
        start = time.process_time()
        model.fit(training, seed=seed)
        out[f"{how}_seconds"] = time.process_time() - start
        posterior = model.posterior(responses)
        p, margin = posterior.probability(held[:, :2]), posterior.margin(measured[:, :2])
        hit = np.where(margin == 0, 0.5, (margin > 0) == (measured[:, 2] == 0))
        out[how] = float(np.mean(hit))
        out[f"{how}_loss"] = -float(np.mean(np.log(np.where(held[:, 2] == 0, p, 1.0 - p))))
    return out


def show(title: str, rows: list[Row]) -> None:
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    line = [title, f"accuracy gained {interval(column['joint'] - column['pooled'])}"]
    if "joint_loss" in column:
        line.append(f"log-loss {interval(column['joint_loss'] - column['pooled_loss'])}")
    print(" | ".join(line + [f"{name} {values.mean():.3f}" for name, values in column.items()]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("simulate", "replay"))
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--votes", type=int, nargs="+", default=[200, 600, 2000])
    parser.add_argument("--group-by-title", action="store_true", help="the prompt's first line is the group")
    args = parser.parse_args()
    if args.what == "replay" and args.file is None:
        parser.error("replay needs a file")
    with TemporaryDirectory() as cache, numeric_threads():
        data = read(args.file, args.group_by_title) if args.what == "replay" else None
        for n in args.votes:
            if data is not None:
                show(f"{n} votes", [replayed(data, n, seed, Path(cache)) for seed in range(args.seeds)])
                continue
            for name, (coin, stuck) in POOLS.items():
                show(f"{n} votes, {name}", [simulated(seed, n, coin, stuck) for seed in range(args.seeds)])


if __name__ == "__main__":
    main()
