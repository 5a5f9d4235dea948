"""One cell: a campaign in a temporary folder, measured after every round."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pairloop import metrics
from pairloop.bench.plan import Cell
from pairloop.bench.prepared import Labels, prepare, start_from
from pairloop.bench.truth import Held, Truth, truth_of
from pairloop.campaign import Campaign
from pairloop.config.template import template
from pairloop.errors import UsageError
from pairloop.kit.atomic import write_atomic
from pairloop.kit.threads import numeric_threads
from pairloop.pool import Pool, load_pool
from pairloop.posterior import FloatArray, PreferencePosterior
from pairloop.registry import Registry
from pairloop.states import RoundState
from pairloop.steps.base import Advanced, Finished

BEST_OF = 4


@dataclass(frozen=True, slots=True)
class Scores:
    """One round of one cell on one measuring set.

    Attributes:
        groups: by held-out group: n, hits, sums of log-loss (calibrated and raw) and of squared errors.
        ece, spearman, best_of_n: over the whole measuring set; None where they do not apply.
    """

    groups: dict[str, dict[str, float]]
    ece: float
    spearman: float | None = None
    best_of_n: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One round of one cell.

    Attributes:
        votes: votes spent so far; cost: money spent so far; seconds: processor seconds of the campaign so far.
        scores: by name of the truth. reward: flip rate, temperature and tie parameter of the model.
    """

    votes: int
    cost: float
    seconds: float
    scores: dict[str, Scores]
    reward: dict[str, float]


def run_cell(cell: Cell, cache: Path, registry: Registry | None = None, stamp: str = "-") -> list[Point]:
    """Run the campaign of a cell to the end of its votes.

    Raises:
        PairloopError: as a campaign.
    """
    registry = registry or Registry()
    prepared = prepare(cell, cache, stamp, registry)
    with TemporaryDirectory(prefix="pairloop-bench-") as folder:
        home = Path(folder)
        write_atomic(home / "campaign.toml", template(cell.config))
        labels = start_from(prepared, home)
        shared = cache / "features"
        shared.mkdir(parents=True, exist_ok=True)
        (home / "cache").symlink_to(shared.absolute())
        with Campaign(home, registry=registry) as campaign:
            return _points(campaign, cell, labels)


def _points(campaign: Campaign, cell: Cell, labels: Labels) -> list[Point]:
    pool = load_pool(campaign.store)
    held = Held(campaign.store, pool, campaign.parts.gold, labels, cell.seed)
    truths = {truth.name: truth_of(held, cell.data, truth) for truth in cell.data.measures}
    points: list[Point] = []
    spent = 0.0
    for votes in cell.rounds:
        start = time.process_time()
        going = _round(campaign, votes)
        spent += time.process_time() - start
        if not going:
            break
        points.append(_measure(campaign, pool, truths, spent))
    return points


def _round(campaign: Campaign, votes: int) -> bool:
    """One round up to so many votes in all; False where nothing is left to ask."""
    if votes <= (given := len(campaign.store.annotations.votes())):
        return True
    try:
        campaign.ask(votes - given)
    except UsageError:  # the pool or the budget is used up
        return False
    while True:
        outcome = campaign.step()
        if isinstance(outcome, Finished):
            return False
        if isinstance(outcome, Advanced) and outcome.state.is_terminal:
            return outcome.state is RoundState.CLOSED


def _measure(campaign: Campaign, pool: Pool, truths: Mapping[str, Truth], seconds: float) -> Point:
    votes = campaign.store.annotations.votes()
    row = campaign.store.models.current("reward")
    with numeric_threads(1):
        if row is None or row.artifact is None:
            model = campaign.parts.new_reward_model()
            posterior = model.prior(pool.responses, pool.trainable, seed=0)
        else:
            model = campaign.parts.load_reward_model(campaign.store.artifacts.path(row.artifact))
            posterior = model.posterior(pool.responses)
    return Point(
        votes=len(votes),
        cost=sum(vote.cost for vote in votes),
        seconds=seconds,
        scores={name: _scores(pool, posterior, truth) for name, truth in truths.items()},
        reward={"flip_rate": posterior.flip_rate, "temperature": posterior.temperature, "tie": posterior.tie},
    )


def _scores(pool: Pool, posterior: PreferencePosterior, truth: Truth) -> Scores:
    p = posterior.probability(truth.pairs)
    return Scores(
        groups=_by_group(posterior, p, truth),
        ece=metrics.ece(p, truth.outcome, truth.group, draws=1).value,
        spearman=_spearman(posterior, truth),
        best_of_n=_best_of_n(pool, posterior, truth),
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
