"""Measuring a reward model on the random holdout, and the active arm against the control arm."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pairloop import metrics
from pairloop.errors import ModelError
from pairloop.metrics import Estimate
from pairloop.posterior import PreferencePosterior
from pairloop.protocols import BoolArray, RewardModel, TrainingData
from pairloop.votes import MeasuredVotes, occurring

FEWEST = 20  # votes below which an arm is not compared: the interval would say nothing


def measure(posterior: PreferencePosterior, votes: MeasuredVotes, *, seed: int) -> dict[str, dict[str, Any]]:
    """Accuracy, log-loss (raw and calibrated), Brier and ECE with intervals clustered by group; {} without votes."""
    if len(votes) == 0:
        return {}
    p = posterior.probability(votes.pairs)
    raw = posterior.probability(votes.pairs, calibrated=False)
    return {
        "accuracy": as_json(metrics.accuracy(p, votes.outcome, votes.group)),
        "log_loss": as_json(metrics.log_loss(p, votes.outcome, votes.group)),
        "log_loss_raw": as_json(metrics.log_loss(raw, votes.outcome, votes.group)),
        "brier": as_json(metrics.brier(p, votes.outcome, votes.group)),
        "ece": as_json(metrics.ece(p, votes.outcome, votes.group, seed=seed)),
    }


def as_json(estimate: Estimate) -> dict[str, Any]:
    """An estimate for the store."""
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        "clusters": estimate.clusters,
    }


def compare_arms(
    new_model: Callable[[], RewardModel], data: TrainingData, strategic: BoolArray, holdout: MeasuredVotes, *, seed: int
) -> dict[str, Any] | None:
    """The same model on as many active as control votes, both judged on the holdout.

    This interval is about other groups, too, but only about this one look; `pairloop.saving` is its counterpart that
    may be looked at all the time.

    Args:
        strategic: (N,) True for votes on pairs that the strategy chose.

    Returns:
        Log-loss of both arms and their paired difference (active − random; below zero: active selection pays), or
        None while an arm or the holdout has fewer than `FEWEST` votes, or an arm holds no signal or does not converge.
    """
    control = np.flatnonzero(data.control)
    active = np.flatnonzero(strategic)
    n = min(len(control), len(active))
    if n < FEWEST or len(holdout) < FEWEST:
        return None
    rng = np.random.default_rng(seed)
    arms = {
        "random": np.sort(rng.choice(control, n, replace=False)),
        "active": np.sort(rng.choice(active, n, replace=False)),
    }
    looked_at, pairs = occurring(holdout.pairs)
    shown = [data.responses[row] for row in looked_at]
    losses = {}
    for name, rows in arms.items():
        model = new_model()
        try:
            model.fit(data.subset(rows), seed=seed)
        except ModelError:
            return None
        p = model.posterior(shown).probability(pairs)
        losses[name] = metrics.log_losses(p, holdout.outcome)
    difference = metrics.paired_difference(losses["active"], losses["random"], holdout.group)
    return {
        "votes_per_arm": n,
        "active": as_json(metrics.clustered_mean(losses["active"], holdout.group)),
        "random": as_json(metrics.clustered_mean(losses["random"], holdout.group)),
        "difference": as_json(difference),
    }
