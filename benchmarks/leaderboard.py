"""Do the leaderboard's intervals cover? And what does it say about the shared LLM answers?

    python benchmarks/leaderboard.py coverage [--draws 1000] [--settings few ...]
    python benchmarks/leaderboard.py replay llmfao_crowd.jsonl.gz [--bootstrap 500]

``coverage``: models differ in quality, in how good they are on each prompt and in how each annotator likes them (normal
effects), annotators give unequal numbers of votes, and ties come from Davidson's model. The true scores are those that
infinitely many annotators, prompts and votes would give: Bradley–Terry fitted to the expected share won of every pair
of models, integrated over the effects by Gauss–Hermite quadrature. Reported are the shares of draws in which the 95 %
intervals of scores and of ranks hold the truth, and in how many draws *any* pair of models is ordered wrongly at 5 %.

``replay``: all human votes of the file, a tie half a win of each, beside choix and (where installed) evalica.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pairloop.kit.threads import numeric_threads
from pairloop.leaderboard import from_rows, leaderboard
from pairloop.leaderboard.ballots import Ballots, collect
from pairloop.leaderboard.fit import maximise
from pairloop.leaderboard.fitting import fitted
from pairloop.leaderboard.graph import parts
from pairloop.leaderboard.likelihood import Problem
from pairloop.metrics import clustered_mean
from pairloop.records import SourceRow


@dataclass(frozen=True)
class Setting:
    """A crowd; effects are standard deviations in log-odds, ``uneven`` is the parameter of the annotators' shares."""

    models: int
    annotators: int
    prompts: int
    votes: int
    by_prompt: float
    by_annotator: float
    uneven: float = 1.0
    nu: float = 0.6
    quality: float = 0.6


SETTINGS = {
    "plain": Setting(10, 60, 60, 1500, 0.0, 0.0),
    "usual": Setting(12, 40, 30, 2000, 0.5, 0.3),
    "few": Setting(8, 10, 13, 1000, 0.5, 0.3),
    "like llmfao": Setting(30, 124, 13, 4500, 0.5, 0.3, 0.7),
    "one annotator each": Setting(8, 1000, 200, 1000, 0.5, 0.3, 5.0),
    "close": Setting(12, 40, 30, 2000, 0.5, 0.3, quality=0.1),
}


def chances(d: np.ndarray, nu: float) -> np.ndarray:
    """(…, 3) probabilities that the first wins, that the second wins, and of a tie."""
    weights = np.stack([np.exp(d / 2), np.exp(-d / 2), np.full(d.shape, nu)], axis=-1)
    return weights / weights.sum(axis=-1, keepdims=True)


def truth(theta: np.ndarray, setting: Setting) -> np.ndarray:
    """(M,) the scores that infinitely many votes would give, mean zero."""
    sd = (2 * (setting.by_prompt**2 + setting.by_annotator**2)) ** 0.5
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    a, b = np.triu_indices(len(theta), k=1)
    p = chances((theta[a] - theta[b])[:, None] + sd * nodes, setting.nu)
    points = (p[..., 0] + p[..., 2] / 2) @ (weights / weights.sum())
    everybody, none = np.arange(len(theta)), np.zeros(0, dtype=np.int64)
    problem = Problem(a, b, points, np.ones(len(a)), np.zeros((len(a), 0)), len(theta), everybody, none)
    return maximise(problem).scores


def simulated(theta: np.ndarray, setting: Setting, rng: np.random.Generator) -> Ballots:
    """One draw of annotators, prompts and votes."""
    n, m = setting.votes, setting.models
    annotator = rng.choice(setting.annotators, n, p=rng.dirichlet(np.full(setting.annotators, setting.uneven)))
    prompt = rng.integers(0, setting.prompts, n)
    a = rng.integers(0, m, n)
    b = (a + rng.integers(1, m, n)) % m
    on_prompt = setting.by_prompt * rng.normal(size=(setting.prompts, m))
    liked = setting.by_annotator * rng.normal(size=(setting.annotators, m))
    value = theta + on_prompt[prompt] + liked[annotator]
    d = value[np.arange(n), a] - value[np.arange(n), b]
    outcome = (rng.random(n)[:, None] > np.cumsum(chances(d, setting.nu), axis=1)[:, :2]).sum(axis=1)
    points = np.array([1.0, 0.0, 0.5])[outcome]
    names = tuple(f"m{i:02d}" for i in range(m))
    people = tuple(f"w{i}" for i in range(setting.annotators))
    return Ballots(
        names, people, setting.prompts, a, b, points, np.ones(n), np.arange(n), annotator, prompt,
        np.zeros((n, 2, 4)), np.zeros(n, dtype=np.int64), 0, {}, ("",) * n,
    )  # fmt: skip


def covered(setting: Setting, seed: int) -> dict[str, float] | None:
    """Shares of one draw; None where a model has no interval."""
    rng = np.random.default_rng([seed, setting.models, setting.votes])
    theta = setting.quality * rng.normal(size=setting.models)
    true = truth(theta, setting)
    rank = 1 + (true[:, None] < true[None]).sum(axis=1)
    ballots = simulated(theta, setting, rng)
    part = next(parts(ballots.a, ballots.b, ballots.points, ballots.weight, setting.models))
    found = fitted(ballots, part, seed=seed)
    scores = [found.score(i) for i in range(setting.models)] if len(part.models) == setting.models else []
    if not scores or found.ranks is None or any(score.low is None for score in scores):
        return None
    low, high = (np.array([getattr(score, name) for score in scores]) for name in ("low", "high"))
    order, at = found.ranks, found.fit.scores
    wrong = (order.p < 0.05) & (np.sign(at[:, None] - at[None]) != np.sign(true[:, None] - true[None]))
    right = (order.p < 0.05) & ~wrong
    return {
        "scores": float(((low <= true) & (true <= high)).mean()),
        "ranks": float(((order.low <= rank) & (rank <= order.high)).mean()),
        "any pair wrong": float(wrong.any()),
        "pairs told apart": float(right[np.triu_indices(len(at), k=1)].mean()),
        "rank width": float((order.high - order.low).mean()),
        "half width": float((high - low).mean() / 2),
    }


def coverage(names: list[str], draws: int, start: int = 0) -> None:
    for name in names:
        started, setting = time.perf_counter(), SETTINGS[name]
        with numeric_threads():
            rows = [covered(setting, seed) for seed in range(start, start + draws)]
        kept = [row for row in rows if row is not None]
        print(f"{name}: {len(kept)} of {draws} draws have all intervals, {time.perf_counter() - started:.0f} s")
        for key in kept[0]:
            found = clustered_mean(np.array([row[key] for row in kept]), np.arange(len(kept)))
            print(f"  {key:18} {found.value:.4f} [{found.low:.4f}, {found.high:.4f}]", flush=True)


def replay(path: Path, bootstrap: int) -> None:
    from pairloop_plugins.jsonl.options import JsonlOptions
    from pairloop_plugins.jsonl.source import JsonlSource

    rows = [row for row in JsonlSource(JsonlOptions(), path).rows() if isinstance(row, SourceRow)]
    people = collect(from_rows(rows))
    started = time.perf_counter()
    table = leaderboard(people, style=True, draws=bootstrap).tables[0]
    facts = {
        "votes": people.votes, "models": len(people.models), "annotators": table.annotators, "prompts": table.prompts,
        "gradient": table.gradient, "steps": table.steps, "seconds": round(time.perf_counter() - started, 2),
        "effects": {name: [e.value, e.low, e.high] for name, e in table.effects.items()},
        "first": [(row.model, row.strength, row.rank_low, row.rank_high) for row in table.rows[:5]],
        "pairs told apart": sum(pair.p < 0.05 for pair in table.pairs),
        "interval over bootstrap width": _widths(table.rows) if bootstrap else None,
    }  # fmt: skip
    print(json.dumps(facts, indent=1, ensure_ascii=False))
    for name, strength in references(people).items():
        print(f"{name}: largest difference of strengths {max(abs(strength[r.model] - r.strength) for r in table.rows)}")


def _widths(rows: tuple) -> float:
    return float(
        np.median([(r.score.high - r.score.low) / (r.bootstrap[1] - r.bootstrap[0]) for r in rows if r.bootstrap])
    )


def references(people: Ballots) -> dict[str, dict[str, float]]:
    """Strengths, summing to one, by other packages."""
    out: dict[str, dict[str, float]] = {}
    m = len(people.models)
    try:
        import choix

        wins = np.zeros((m, m))
        np.add.at(wins, (people.a, people.b), people.points)
        np.add.at(wins, (people.b, people.a), 1 - people.points)
        strength = np.exp(choix.ilsr_pairwise_dense(wins, tol=1e-13))
        out["choix"] = dict(zip(people.models, (strength / strength.sum()).tolist(), strict=True))
    except ImportError:
        print("choix is not installed")
    try:
        import evalica

        outcome = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
        ends = [[people.models[i] for i in column] for column in (people.a, people.b)]
        found = evalica.bradley_terry(*ends, [outcome[p] for p in people.points], tolerance=1e-14, limit=100_000).scores
        out["evalica"] = (found / found.sum()).to_dict()
    except ImportError:
        print("evalica is not installed")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    cover = commands.add_parser("coverage")
    cover.add_argument("--draws", type=int, default=1000)
    cover.add_argument("--start", type=int, default=0)
    cover.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    again = commands.add_parser("replay")
    again.add_argument("path", type=Path)
    again.add_argument("--bootstrap", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.command == "coverage":
        coverage(arguments.settings, arguments.draws, arguments.start)
    else:
        replay(arguments.path, arguments.bootstrap)


if __name__ == "__main__":
    main()
