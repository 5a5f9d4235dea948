"""Temperature of the probabilities, by group-wise cross-fitting on votes of the random arm.

Votes on actively chosen pairs are no fair sample, and votes that the head was fitted on look too easy. So the head
is refitted without each fold of groups, and only the control votes of that fold are predicted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from pairloop.kit.seeds import generator
from pairloop.posterior import IntArray
from pairloop.protocols import BoolArray
from pairloop_reward.head import HeadFit, fit_head
from pairloop_reward.laplace import cholesky, marginal_precision, whiten
from pairloop_reward.likelihood import LEFT, TIE, Float64, Votes, side_log_probabilities

FEWEST_VOTES = 20
_SPREAD = 0.5  # of log T before any vote: a factor of 1.6 either way
_RANGE = 3.0  # |log T| searched


@dataclass(frozen=True, slots=True)
class Calibration:
    """The temperature, with what it rests on.

    Attributes:
        temperature: T > 0. votes: control votes behind it, 0 where it was left at 1.
        log_loss_before, log_loss_after: mean out-of-fold log-loss at T = 1 and at T, nats; NaN without votes.
        note: why it was left at 1, or empty.
    """

    temperature: float
    votes: int = 0
    log_loss_before: float = float("nan")
    log_loss_after: float = float("nan")
    note: str = ""


def calibrate(votes: Votes, group: IntArray, usable: BoolArray, fit: HeadFit, *, folds: int, seed: int) -> Calibration:
    """Fit the temperature on the decisive votes under ``usable`` (N,), by folds of ``group`` (N,)."""
    rows = np.flatnonzero(usable & (votes.outcome != TIE) & (votes.weight > 0))
    groups = np.unique(group[rows])
    if len(rows) < FEWEST_VOTES or len(groups) < 2:
        return Calibration(
            1.0,
            note=f"not calibrated: {len(rows)} decisive votes of the random arm in {len(groups)} groups, "
            f"at least {FEWEST_VOTES} votes in 2 groups are needed",
        )
    margin = np.empty(len(rows))
    for part in _fold_groups(groups, folds, seed):
        held = np.isin(group, part)
        inside = held[rows]
        margin[inside] = _moderated(votes.subset(~held), votes.difference[rows[inside]], fit)
    return _fit_temperature(margin, votes.outcome[rows] == LEFT, votes.weight[rows], fit.flip_rate)


def _fold_groups(groups: IntArray, folds: int, seed: int) -> Sequence[IntArray]:
    shuffled = generator(seed, "calibration").permutation(groups)
    return [shuffled[k::folds] for k in range(min(folds, len(shuffled)))]


def _moderated(votes: Votes, difference: Float64, fit: HeadFit) -> Float64:
    """Margins over √(1 + πσ²/8) for (n, d) differences, from a head refitted on these votes at the same priors.

    The position bias is left out on purpose: `PreferencePosterior.probability` knows no display order, and T is the
    temperature of that probability.
    """
    refit = fit_head(votes, fit.prior, fit.flip_rate, start=fit.parameters)
    factor = cholesky(marginal_precision(refit.precision, 2))
    variance = (whiten(difference, factor) ** 2).sum(axis=1)
    return np.asarray((difference @ refit.weights) / np.sqrt(1.0 + np.pi * variance / 8.0))


def _fit_temperature(margin: Float64, left_won: BoolArray, weight: Float64, flip_rate: float) -> Calibration:
    signed = np.where(left_won, margin, -margin)

    def loss(log_t: float) -> float:
        return -float(weight @ side_log_probabilities(signed * np.exp(-log_t), flip_rate)[0])

    # the log-normal prior around 1 keeps a handful of lucky votes from T = 50
    found = minimize_scalar(
        lambda log_t: loss(log_t) + 0.5 * (log_t / _SPREAD) ** 2, bounds=(-_RANGE, _RANGE), method="bounded",
        options={"xatol": 1e-6},
    )  # fmt: skip
    log_t, total = float(found.x), float(weight.sum())
    return Calibration(float(np.exp(log_t)), len(margin), loss(0.0) / total, loss(log_t) / total)
