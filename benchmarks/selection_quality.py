"""Does choosing pairs pay? Random, entropy, BALD and log-det on simulated preferences, paired by seed.

    python benchmarks/selection_quality.py                       # every setting, 20 seeds, about five minutes
    python benchmarks/selection_quality.py --settings flips --seeds 40

Each seed makes a pool (prompts with four responses, features, a hidden reward), a test pool from other prompts, and one
vote for every pair, which is what a strategy gets when it asks that pair. Every arm refits a Bradley–Terry head
(Laplace posterior, prior strength by evidence, the true flip rate known) after each batch, from the same start.
Printed for each arm: test accuracy averaged over the rounds, minus that of the random arm, with a 95 % t-interval over
seeds; the same for log-loss (negative is better); and labels to reach the random arm's final accuracy, as a share of
the random arm's labels (mean curves, so without an interval). A linear truth flatters a linear head: this says how
the strategies behave, not what a campaign on real votes will save.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import expit, log_expit

from pairloop.acquisition import LogdetOptions, LogdetStrategy, RandomStrategy, bald, entropy, from_acquisition
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import PreferencePosterior
from pairloop.protocols import BatchStrategy, SelectionContext

DIMENSIONS, PROMPTS, RESPONSES, BATCH, ROUNDS = 32, 500, 4, 40, 10


@dataclass(frozen=True)
class Setting:
    flips: float = 0.0
    tails: float = 0.0  # share of responses whose features, but not rewards, lie three to ten times as far out
    copies: float = 0.0  # share of prompts that nearly repeat one of five common prompts
    bend: float = 0.0  # weight of a part of the reward that no linear head can learn
    scale: float = 2.0  # standard deviation of a typical margin


SETTINGS = {
    "clean": Setting(),
    "flips": Setting(flips=0.2),
    "close calls": Setting(scale=0.7),
    "outliers": Setting(flips=0.1, tails=0.1),
    "near-duplicates": Setting(flips=0.1, copies=0.7),
    "misspecified": Setting(flips=0.1, bend=1.0),
}
ARMS: dict[str, Callable[[], BatchStrategy]] = {
    "random": RandomStrategy,
    "entropy": lambda: from_acquisition(entropy),
    "bald": lambda: from_acquisition(bald),
    "logdet": LogdetStrategy,
    "  cold bound": lambda: LogdetStrategy(LogdetOptions(cold_leverage=0.5)),
    "  bound always": lambda: LogdetStrategy(LogdetOptions(cold_leverage=0.5, leverage=0.5)),
    "  mean margin": lambda: LogdetStrategy(LogdetOptions(nodes=0)),
}


@dataclass(frozen=True)
class Pool:
    features: np.ndarray  # (R, D)
    reward: np.ndarray  # (R,)
    pairs: np.ndarray  # (N, 2)
    prompt: np.ndarray  # (R,)
    votes: np.ndarray  # (N,) 1 where the left response won


class World:
    """The hidden truth of one seed, from which pools are drawn."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting, self.generator = setting, np.random.default_rng([seed, 77])
        self.spectrum = 1.0 / np.sqrt(1.0 + np.arange(DIMENSIONS))
        self.common = self.generator.standard_normal((5, RESPONSES, DIMENSIONS))
        self.weights = self.generator.standard_normal(DIMENSIONS)
        self.bends = self.generator.standard_normal((DIMENSIONS, 8))

    def pool(self, prompts: int) -> Pool:
        setting, generator = self.setting, self.generator
        x = generator.standard_normal((prompts, RESPONSES, DIMENSIONS))
        repeated = generator.random(prompts) < setting.copies
        x[repeated] = self.common[generator.integers(5, size=repeated.sum())] + 0.1 * x[repeated]
        x = x.reshape(-1, DIMENSIONS) * self.spectrum
        raw = x @ self.weights / np.linalg.norm(self.spectrum * self.weights)
        raw = raw + setting.bend * np.tanh(2 * x @ self.bends).sum(axis=1) / 2
        reward = setting.scale * raw / np.sqrt(2)
        far = generator.random(len(x)) < setting.tails
        x[far] *= generator.uniform(3, 10, (far.sum(), 1))
        first, second = np.triu_indices(RESPONSES, 1)
        pairs = (RESPONSES * np.arange(prompts)[:, None, None] + np.stack([first, second], axis=1)).reshape(-1, 2)
        won = generator.random(len(pairs)) < expit(reward[pairs[:, 0]] - reward[pairs[:, 1]])
        votes = won ^ (generator.random(len(pairs)) < setting.flips)
        return Pool(x, reward, pairs, np.repeat(np.arange(prompts), RESPONSES), votes.astype(float))


def fit(x: np.ndarray, y: np.ndarray, flips: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and precision of the Laplace posterior whose prior strength has the largest evidence."""
    best = (-np.inf, np.zeros(x.shape[1]), np.eye(x.shape[1]))
    for strength in 10.0 ** np.arange(-1.0, 2.6, 0.5):
        w = np.zeros(x.shape[1])
        for _ in range(12):
            p = expit(x @ w)
            seen = (1 - 2 * flips) * p + flips
            slope = (1 - 2 * flips) * p * (1 - p)
            gradient = x.T @ ((y - seen) * slope / (seen * (1 - seen))) - strength * w
            precision = (x * (slope**2 / (seen * (1 - seen)))[:, None]).T @ x + strength * np.eye(len(w))
            step = np.linalg.solve(precision, gradient)
            w = w + step * min(1.0, 3.0 / max(np.linalg.norm(step), 1e-12))
        seen = (1 - 2 * flips) * expit(x @ w) + flips
        likelihood = np.sum(np.log(np.where(y > 0, seen, 1 - seen)))
        evidence = likelihood - 0.5 * strength * w @ w + 0.5 * len(w) * np.log(strength)
        evidence -= 0.5 * np.linalg.slogdet(precision)[1]
        if evidence > best[0]:
            best = evidence, w, precision
    return best[1], best[2]


def posterior_of(pool: Pool, asked: list[int], flips: float) -> tuple[PreferencePosterior, np.ndarray]:
    if not asked:
        return PreferencePosterior(np.zeros(len(pool.features)), pool.features, flips, fitted=False), np.zeros(
            DIMENSIONS
        )
    x = pool.features[pool.pairs[asked, 0]] - pool.features[pool.pairs[asked, 1]]
    w, precision = fit(x, pool.votes[asked], flips)
    whitened = np.linalg.solve(np.linalg.cholesky(precision), pool.features.T).T
    return PreferencePosterior(pool.features @ w, whitened, flips), w


def judge(w: np.ndarray, test: Pool) -> tuple[float, float]:
    """Accuracy against the true order, and log-loss against the true probabilities, of pairs of the test pool."""
    margin = (test.features @ w)[test.pairs] @ [1, -1]
    truth = test.reward[test.pairs] @ [1, -1]
    chance = expit(truth)
    loss = -np.mean(chance * log_expit(margin) + (1 - chance) * log_expit(-margin))
    return float(np.mean((margin > 0) == (truth > 0))), float(loss)


def curve(strategy: BatchStrategy, setting: Setting, seed: int) -> np.ndarray:
    """(ROUNDS, 2) accuracy and log-loss after each batch."""
    world = World(setting, seed)
    pool, test = world.pool(PROMPTS), world.pool(300)
    asked: list[int] = []
    points = []
    posterior, _ = posterior_of(pool, asked, setting.flips)
    for number in range(ROUNDS):
        rest = np.setdiff1d(np.arange(len(pool.pairs)), asked)
        context = SelectionContext(
            posterior,
            pool.pairs[rest],
            pool.prompt,
            pool.prompt,
            pool.pairs[:0],
            np.ones(len(rest)),
            1,
            seed * 1000 + number,
        )
        asked += rest[strategy.select(context, BATCH).picks].tolist()
        posterior, w = posterior_of(pool, asked, setting.flips)
        points.append(judge(w, test))
    return np.array(points)


def interval(values: np.ndarray) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.4f} ± {half:.4f}"


def labels_needed(mine: np.ndarray, random: np.ndarray) -> str:
    """Where the mean accuracy curve first reaches the random arm's last point, as a share of its labels."""
    best = np.maximum.accumulate(mine)
    target = random[-1]
    if best[-1] < target:
        return "> 100 %"
    place = int(np.argmax(best >= target))
    step = (target - best[place - 1]) / (best[place] - best[place - 1]) if place else 1.0
    return f"{100 * (place + step) / len(mine):.0f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    print(f"{len(seeds)} seeds, {ROUNDS} rounds of {BATCH} from {PROMPTS * 6} pairs, {DIMENSIONS} dimensions")
    with numeric_threads():
        for name in args.settings:
            curves = {arm: np.array([curve(make(), SETTINGS[name], s) for s in seeds]) for arm, make in ARMS.items()}
            base = curves["random"]
            final = base[:, -1].mean(axis=0)
            print(f"\n{name}: random ends at accuracy {final[0]:.3f}, log-loss {final[1]:.3f}")
            print(f"  {'arm':17}{'Δ accuracy':>18}{'Δ after round 1':>20}{'Δ log-loss':>20}{'labels needed':>15}")
            for arm, values in curves.items():
                delta = values - base
                needed = labels_needed(values[:, :, 0].mean(axis=0), base[:, :, 0].mean(axis=0))
                cells = [interval(d) for d in (delta[:, :, 0].mean(1), delta[:, 0, 0], delta[:, :, 1].mean(1))]
                print(f"  {arm:17}{cells[0]:>18}{cells[1]:>20}{cells[2]:>20}{needed:>15}", flush=True)


if __name__ == "__main__":
    main()
