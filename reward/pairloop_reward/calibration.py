"""Temperature of the probabilities, by group-wise cross-fitting; votes of the random arm have the last word.

Votes that the head was fitted on look too easy, so the head is refitted without each fold of groups, and the votes of
that fold are predicted. Votes on actively chosen pairs are no fair sample, but there are many of them: they say where
the temperature is about, and the control votes, a small fair sample, move it from there. With control votes alone the
temperature of a campaign of 400 votes rests on 60 of them; in ``benchmarks/selection_quality.py`` its scatter made the
calibration error after active selection up to .02 worse than after random choice.
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
_DRIFT = 0.3  # by how much log T of the pool may differ from log T of the pairs that selection liked
_RANGE = 3.0  # |log T| searched


@dataclass(frozen=True, slots=True)
class Calibration:
    """The temperature, with what it rests on.

    Attributes:
        temperature: T > 0. votes: control votes behind it, 0 where it was left at 1.
        log_loss_before, log_loss_after: mean out-of-fold log-loss of control votes at T = 1 and at T, nats; NaN
            without votes.
        note: why it was left at 1, or empty.
    """

    temperature: float
    votes: int = 0
    log_loss_before: float = float("nan")
    log_loss_after: float = float("nan")
    note: str = ""


def calibrate(
    votes: Votes,
    group: IntArray,
    usable: BoolArray,
    fit: HeadFit,
    *,
    folds: int,
    seed: int,
    others: BoolArray | None = None,
) -> Calibration:
    """Fit the temperature on decisive votes, by folds of ``group`` (N,).

    Args:
        usable: (N,) the control votes, a fair sample of the pool. others: (N,) votes on pairs that were chosen for
            something; they only say where the search for T begins.
    """
    decisive = (votes.outcome != TIE) & (votes.weight > 0)
    fair = usable & decisive
    groups = np.unique(group[fair])
    if fair.sum() < FEWEST_VOTES or len(groups) < 2:
        return Calibration(
            1.0,
            note=f"not calibrated: {fair.sum()} decisive votes of the random arm in {len(groups)} groups, "
            f"at least {FEWEST_VOTES} votes in 2 groups are needed",
        )
    rows = np.flatnonzero(decisive & (usable if others is None else usable | others))
    margin = np.empty(len(rows))
    for part in _fold_groups(np.unique(group[rows]), folds, seed):
        held = np.isin(group, part)
        inside = held[rows]
        margin[inside] = moderated_margins(votes.subset(~held), votes.difference[rows[inside]], fit)
    return temperature_of(votes.subset(rows), margin, fair[rows], fit.flip_rate)


def temperature_of(votes: Votes, margin: Float64, control: BoolArray, flip_rate: float) -> Calibration:
    """The temperature of (N,) moderated margins of decisive votes that had no part in them.

    Args:
        control: (N,) a fair sample of the pool, some at least; the other votes only say where the search begins.
    """
    signed = np.where(votes.outcome == LEFT, margin, -margin)
    weight = votes.weight
    start, spread = 0.0, _SPREAD
    if not control.all():
        start, spread = _log_temperature(signed[~control], weight[~control], flip_rate, 0.0, _SPREAD), _DRIFT
    log_t = _log_temperature(signed[control], weight[control], flip_rate, start, spread)
    total = float(weight[control].sum())
    before, after = (_loss(signed[control], weight[control], flip_rate, at) / total for at in (0.0, log_t))
    return Calibration(float(np.exp(log_t)), int(control.sum()), before, after)


def _fold_groups(groups: IntArray, folds: int, seed: int) -> Sequence[IntArray]:
    shuffled = generator(seed, "calibration").permutation(groups)
    return [shuffled[k::folds] for k in range(min(folds, len(shuffled)))]


def moderated_margins(votes: Votes, difference: Float64, fit: HeadFit) -> Float64:
    """Margins over √(1 + πσ²/8) for (n, d) differences, from a head refitted on these votes at the same priors.

    The position bias is left out on purpose: `PreferencePosterior.probability` knows no display order, and T is the
    temperature of that probability.
    """
    refit = fit_head(votes, fit.prior, fit.flip_rate, start=fit.parameters)
    factor = cholesky(marginal_precision(refit.precision, 2))
    variance = (whiten(difference, factor) ** 2).sum(axis=1)
    return np.asarray((difference @ refit.weights) / np.sqrt(1.0 + np.pi * variance / 8.0))


def _log_temperature(signed: Float64, weight: Float64, flip_rate: float, centre: float, spread: float) -> float:
    """log T of margins signed by the outcome (n,), under a log-normal prior: a few lucky votes decide little."""
    found = minimize_scalar(
        lambda log_t: _loss(signed, weight, flip_rate, log_t) + 0.5 * ((log_t - centre) / spread) ** 2,
        bounds=(-_RANGE, _RANGE), method="bounded", options={"xatol": 1e-6},
    )  # fmt: skip
    return float(found.x)


def _loss(signed: Float64, weight: Float64, flip_rate: float, log_t: float) -> float:
    return -float(weight @ side_log_probabilities(signed * np.exp(-log_t), flip_rate)[0])
