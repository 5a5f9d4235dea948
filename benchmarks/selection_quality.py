"""Does choosing pairs pay? Selection strategies against random on simulated preferences, paired by seed.

    python benchmarks/selection_quality.py                                    # every setting, 20 seeds
    python benchmarks/selection_quality.py --settings "flips 25 %" --arms default logdet:nodes=0 epig --seeds 40
    python benchmarks/selection_quality.py --head product --arms default      # whole fits of the product: slow

Each seed makes a pool (prompts with four responses, features, a hidden reward), a test pool from other prompts, and one
vote for every pair, which is what a strategy gets when it asks that pair (`simulated_pools`). Every arm refits a
Bradley–Terry head with a Laplace posterior from scratch after each batch. ``--head quick``: prior strength by evidence,
the crowd's flip rate known; ``--head product``: everything is estimated from the votes, annotators too, as in a
campaign. Batches of active arms hold a random slice, as in a campaign; the temperature is fitted on random votes alone.

Printed against the random arm: test accuracy averaged over the rounds, after round 1, log-loss of the crowd's votes at
the end (negative is better) raw and with temperature, and ECE at the end against the crowd's true probabilities, all
with 95 % t-intervals over seeds. ``labels``: to reach the random arm's final accuracy, as a share of the random arm's
labels, on mean curves, with a bootstrap interval over seeds. A linear truth flatters a linear head: this says how the
strategies behave, not what a campaign on real votes will save.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import stats
from scipy.special import expit
from simulated_pools import DIMENSIONS, PROMPTS, SETTINGS, Pool, Setting, World

from pairloop.acquisition.plugin import pairloop_strategies
from pairloop.config.models import SelectionConfig
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import PreferencePosterior
from pairloop.protocols import BatchStrategy, SelectionContext
from pairloop_reward.calibration import calibrate
from pairloop_reward.head import HeadFit, fit_head
from pairloop_reward.joint import Panel, fit_joint
from pairloop_reward.laplace import cholesky, marginal_precision, whiten
from pairloop_reward.likelihood import Votes
from pairloop_reward.reliability import FlipPrior
from pairloop_reward.search import choose

BATCH, ROUNDS, TEST_PROMPTS, BINS = 40, 10, 300, 15
MEASURES = ("accuracy", "log_loss_raw", "log_loss", "ece_raw", "ece")
STRENGTHS = 2.0 ** np.arange(-6, 5)  # prior precisions of the quick head


class Learner:
    """Votes in, posterior out."""

    def __init__(self, pool: Pool, setting: Setting, how: str) -> None:
        self.pool, self.noise, self.how = pool, setting.noise, how
        self.strength = 4

    def fit(self, asked: np.ndarray, control: np.ndarray, seed: int) -> tuple[HeadFit, float]:
        """The head on the votes of these pairs, and the temperature by those under the mask ``control``."""
        pool = self.pool
        left, right = pool.pairs[asked].T
        votes = Votes(pool.features[left] - pool.features[right], pool.outcome[asked], np.ones(len(asked)))
        group = pool.prompt[left]
        if self.how == "quick":
            fit = self._quick(votes)
        else:
            pooled = choose(votes, group, (DIMENSIONS, 0), (1.0, 0.7), None).fit
            annotator = np.unique(pool.annotator[asked], return_inverse=True)[1]
            joint = fit_joint(votes, Panel(annotator, None, FlipPrior.standard()), pooled)
            fit, votes = joint.fit, joint.votes
        return fit, calibrate(votes, group, control, fit, folds=5, seed=seed, others=~control).temperature

    def _quick(self, votes: Votes) -> HeadFit:
        """Uphill over prior strengths from the last round's."""
        seen: dict[int, HeadFit] = {}

        def at(k: int) -> HeadFit:
            if k not in seen:
                seen[k] = fit_head(votes, np.full(DIMENSIONS, STRENGTHS[k]), self.noise)
            return seen[k]

        for step in (-1, 1):
            while (
                0 <= self.strength + step < len(STRENGTHS)
                and at(self.strength + step).log_evidence > at(self.strength).log_evidence
            ):
                self.strength += step
        return at(self.strength)


def posterior_of(features: np.ndarray, fit: HeadFit | None, temperature: float = 1.0) -> PreferencePosterior:
    if fit is None:
        return PreferencePosterior(np.zeros(len(features)), features, fitted=False)
    factor = cholesky(marginal_precision(fit.precision, 2))
    return PreferencePosterior(
        features @ fit.weights, whiten(features, factor), fit.flip_rate, tie=fit.tie, temperature=temperature
    )


def judge(posterior: PreferencePosterior, test: Pool, noise: float) -> list[float]:
    """`MEASURES` on all pairs of the test pool: accuracy of the true order, the rest against true probabilities."""
    truth = test.reward[test.pairs] @ [1, -1]
    chance = (1.0 - 2.0 * noise) * expit(truth) + noise
    margin = posterior.margin(test.pairs)
    guesses = [posterior.probability(test.pairs, calibrated=scaled).clip(1e-12, 1 - 1e-12) for scaled in (False, True)]
    losses = [-float(np.mean(chance * np.log(p) + (1 - chance) * np.log1p(-p))) for p in guesses]
    return [float(np.mean((margin > 0) == (truth > 0))), *losses, *(calibration_error(p, chance) for p in guesses)]


def calibration_error(p: np.ndarray, chance: np.ndarray) -> float:
    """ECE over bins of equal mass, with the true chance of a hit in place of noisy hits."""
    order = np.argsort(np.maximum(p, 1.0 - p), kind="stable")
    confidence = np.maximum(p, 1.0 - p)[order]
    hit = np.where(p > 0.5, chance, 1.0 - chance)[order]
    gaps = [part.sum() for part in np.array_split(confidence - hit, BINS)]
    return float(np.abs(gaps).sum() / len(p))


def curve(strategy: BatchStrategy | None, setting: Setting, seed: int, how: str, share: float) -> np.ndarray:
    """(ROUNDS, len(MEASURES)) after each batch; without a strategy every pick is random."""
    world = World(setting, seed)
    pool, test = world.pool(PROMPTS), world.pool(TEST_PROMPTS)
    learner = Learner(pool, setting, how)
    asked, control = np.zeros(0, dtype=int), np.zeros(0, dtype=bool)
    posterior, points = posterior_of(pool.features, None), []
    for number in range(ROUNDS):
        rest = np.setdiff1d(np.arange(len(pool.pairs)), asked)
        drawn = round(BATCH * share) if strategy else BATCH
        uniform = np.random.default_rng([seed, number, 5]).choice(rest, drawn, replace=False)
        active = np.zeros(0, dtype=int)
        if strategy:
            rest = np.setdiff1d(rest, uniform)
            context = SelectionContext(
                posterior=posterior,
                candidates=pool.pairs[rest],
                prompt=pool.prompt,
                group=pool.prompt,
                pending=pool.pairs[uniform],
                asked=pool.pairs[asked],
                cost=np.ones(len(rest)),
                per_prompt=1,
                seed=1000 * seed + number,
            )
            active = rest[strategy.select(context, BATCH - drawn).picks]
        asked, control = np.r_[asked, uniform, active], np.r_[control, uniform >= 0, active < 0]
        fit, temperature = learner.fit(asked, control, seed)
        posterior = posterior_of(pool.features, fit, temperature)
        points.append(judge(posterior_of(test.features, fit, temperature), test, setting.noise))
    return np.array(points)


def make_strategy(text: str) -> BatchStrategy | None:
    """``name`` or ``name:option=value,option=value``; ``default`` is the product's."""
    name, _, settings = text.partition(":")
    if name == "random":
        return None
    name = SelectionConfig().strategy if name == "default" else name
    spec = {spec.name: spec for spec in pairloop_strategies()}[name]
    given = dict(item.split("=") for item in settings.split(",") if item)
    return spec.factory(spec.options.model_validate(given) if spec.options else None)


def interval(values: np.ndarray) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.3f} ± {half:.3f}"


def labels_needed(mine: np.ndarray, random: np.ndarray, draws: int = 1000) -> tuple[float, float, float]:
    """Share of the random arm's labels to reach its final accuracy, with a 95 % interval; (seeds, rounds) curves."""
    rows = np.random.default_rng(1).integers(len(mine), size=(draws, len(mine)))
    shares = [_crossing(mine[r].mean(axis=0), random[r].mean(axis=0)) for r in (slice(None), *rows)]
    low, high = np.percentile(shares[1:], [2.5, 97.5], method="nearest")
    return shares[0], float(low), float(high)


def _crossing(mine: np.ndarray, random: np.ndarray) -> float:
    best, target = np.r_[0.5, np.maximum.accumulate(mine)], random.max()
    if best[-1] < target:
        return float("inf")
    place = int(np.argmax(best >= target))
    return float((place - 1 + (target - best[place - 1]) / (best[place] - best[place - 1])) / len(mine))


def _percent(share: float) -> str:
    return ">100" if share == float("inf") else f"{100 * share:.0f}"


def show(name: str, curves: dict[str, np.ndarray]) -> None:
    base = curves["random"]
    end = dict(zip(MEASURES, base[:, -1].mean(axis=0), strict=True))
    print(f"\n{name}: random ends at " + ", ".join(f"{measure} {value:.3f}" for measure, value in end.items()))
    titles = ("Δ accuracy", "Δ round 1", "Δ log-loss raw", "Δ log-loss", "Δ ECE", "labels, %")
    print(f"  {'arm':24}" + "".join(f"{title:>17}" for title in titles))
    for arm, values in curves.items():
        if arm == "random":
            continue
        delta = values - base
        columns = (delta[:, :, 0].mean(1), delta[:, 0, 0], delta[:, -1, 1], delta[:, -1, 2], delta[:, -1, 4])
        share, low, high = (_percent(x) for x in labels_needed(values[:, :, 0], base[:, :, 0]))
        cells = [*(interval(column) for column in columns), f"{share} [{low}, {high}]"]
        print(f"  {arm:24}" + "".join(f"{cell:>17}" for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--arms", nargs="*", default=["default", "entropy", "bald"], help="name:option=value,…")
    parser.add_argument("--head", choices=("quick", "product"), default="quick")
    parser.add_argument("--random-share", type=float, default=SelectionConfig().random_share)
    parser.add_argument("--json", type=Path, help="also write every curve: setting → arm → seeds × rounds × measures")
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    print(f"{len(seeds)} seeds, {ROUNDS} rounds of {BATCH} from {PROMPTS * 6} pairs, {DIMENSIONS} dimensions")
    everything = {}
    with numeric_threads():
        for name in args.settings:
            curves = {
                arm: np.array(
                    [curve(make_strategy(arm), SETTINGS[name], s, args.head, args.random_share) for s in seeds]
                )
                for arm in dict.fromkeys(["random", *args.arms])
            }
            show(name, curves)
            everything[name] = {arm: values.tolist() for arm, values in curves.items()}
    if args.json:
        args.json.write_text(json.dumps({"measures": MEASURES, "settings": everything}) + "\n")


if __name__ == "__main__":
    main()
