"""One cell: a campaign in a temporary folder, measured after every round."""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pairloop import metrics
from pairloop.bench.plan import Cell
from pairloop.bench.truth import Truth, truth_of
from pairloop.campaign import Campaign
from pairloop.config.template import template
from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import digest
from pairloop.kit.threads import numeric_threads
from pairloop.pool import Pool, load_pool
from pairloop.posterior import FloatArray, PreferencePosterior
from pairloop.registry import Registry
from pairloop.states import RoundState
from pairloop.steps.base import Advanced, Finished

BEST_OF = 4


@dataclass(frozen=True, slots=True)
class Point:
    """One round of one cell.

    Attributes:
        votes: votes spent so far; cost: money spent so far; seconds: processor seconds of the campaign so far.
        groups: by held-out group: n, hits, sums of log-loss (calibrated and raw) and of squared errors.
        ece, spearman, best_of_n: over the whole measuring set; None where they do not apply.
    """

    votes: int
    cost: float
    seconds: float
    groups: dict[str, dict[str, float]]
    ece: float
    spearman: float | None
    best_of_n: float | None
    reward: dict[str, float]


def run_cell(cell: Cell, cache: Path, registry: Registry | None = None) -> list[Point]:
    """Run the campaign of a cell to the end of its votes.

    Raises:
        PairloopError: as a campaign.
    """
    with TemporaryDirectory(prefix="pairloop-bench-") as folder:
        home = Path(folder)
        write_atomic(home / "campaign.toml", campaign_toml(cell))
        shared = cache / "features"
        shared.mkdir(parents=True, exist_ok=True)
        (home / "cache").symlink_to(shared.absolute())
        with Campaign(home, registry=registry) as campaign:
            return _points(campaign, cell)


def _points(campaign: Campaign, cell: Cell) -> list[Point]:
    points: list[Point] = []
    truth: Truth | None = None
    pool: Pool | None = None
    spent = 0.0
    while True:
        start = time.process_time()
        outcome = campaign.step()
        spent += time.process_time() - start
        if isinstance(outcome, Finished):
            return points
        if not isinstance(outcome, Advanced) or outcome.state is not RoundState.CLOSED:
            continue
        if truth is None or pool is None:
            pool = load_pool(campaign.store)
            truth = truth_of(campaign.store, pool, cell.data, campaign.parts.gold, cell.seed)
        points.append(_measure(campaign, pool, truth, spent))


def _measure(campaign: Campaign, pool: Pool, truth: Truth, seconds: float) -> Point:
    votes = campaign.store.annotations.votes()
    row = campaign.store.models.current("reward")
    with numeric_threads(1):
        if row is None or row.artifact is None:
            model = campaign.parts.new_reward_model()
            posterior = model.prior(pool.responses, pool.trainable, seed=0)
        else:
            model = campaign.parts.load_reward_model(campaign.store.artifacts.path(row.artifact))
            posterior = model.posterior(pool.responses)
    p = posterior.probability(truth.pairs)
    return Point(
        votes=len(votes),
        cost=sum(vote.cost for vote in votes),
        seconds=seconds,
        groups=_by_group(posterior, p, truth),
        ece=metrics.ece(p, truth.outcome, truth.group, draws=1).value,
        spearman=_spearman(posterior, truth),
        best_of_n=_best_of_n(pool, posterior, truth),
        reward={"flip_rate": posterior.flip_rate, "temperature": posterior.temperature, "tie": posterior.tie},
    )


def _by_group(posterior: PreferencePosterior, p: FloatArray, truth: Truth) -> dict[str, dict[str, float]]:
    """Sums by group, from which every mean and every cluster bootstrap follows."""
    raw = posterior.probability(truth.pairs, calibrated=False)
    left = truth.outcome == 0
    columns = {
        "n": np.ones(len(truth)),
        "hits": np.where(p == 0.5, 0.5, (p > 0.5) == left).astype(float),
        "log_loss": metrics.log_losses(p, truth.outcome),
        "log_loss_raw": metrics.log_losses(raw, truth.outcome),
        "brier": (p - left) ** 2,
    }
    return {
        str(group): {name: float(values[truth.group == group].sum()) for name, values in columns.items()}
        for group in np.unique(truth.group)
    }


def _spearman(posterior: PreferencePosterior, truth: Truth) -> float | None:
    """Rank correlation of mean and gold reward over the measured responses."""
    rows = np.flatnonzero(~np.isnan(truth.gold))
    if len(rows) < 3:
        return None
    groups = np.zeros(len(rows), dtype=np.int32)
    return metrics.spearman(posterior.mean[rows], truth.gold[rows], groups, draws=1).value


def _best_of_n(pool: Pool, posterior: PreferencePosterior, truth: Truth) -> float | None:
    """Mean gold score of the response that the model ranks first among (up to) the first four of a prompt."""
    rows = np.flatnonzero(~np.isnan(truth.gold))
    if len(rows) == 0:
        return None
    best = []
    for prompt in np.unique(pool.prompt[rows]):
        mine = rows[pool.prompt[rows] == prompt][:BEST_OF]
        best.append(truth.gold[mine[np.argmax(posterior.mean[mine])]])
    return float(np.mean(best))


def campaign_toml(cell: Cell) -> str:
    """The configuration of the cell's campaign: the product's defaults, but for what the cell says."""
    bench, rounds = cell.bench, -(-cell.bench.votes // cell.bench.batch)
    sections: dict[str, dict[str, Any]] = {
        "campaign": {"name": "bench", "seed": cell.seed, "id": f"b{digest(cell.label)[:12]}"},
        "data": _present(source=cell.data.source, path=cell.data.path, options=cell.data.options),
        "backend": _present(
            kind=cell.annotators.kind, gold=cell.annotators.gold, prelabels="off", options=cell.annotators.options
        ),
        "round": {"size": bench.batch, "max_rounds": rounds, "replicas": cell.annotators.replicas},
        "budget": {"labels": bench.votes},
        "holdout": {"fraction": bench.holdout, "share": 0.0},
        "selection": {
            "strategy": cell.strategy.strategy,
            "random_share": cell.strategy.random_share,
            "options": cell.strategy.options,
            "compare_arms": False,
        },
        "reward": {"model": cell.model.model, "options": cell.model.options},
    }
    return template(sections)


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
