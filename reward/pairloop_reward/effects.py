"""Position and length biases of single annotators: Gaussian random effects around what all share.

``o_i = b_a + c_a·s_i`` is added to the margin of a vote of annotator a, where ``s_i`` is the standardised difference of
log-lengths as displayed, b_a ~ N(0, σ_b²) and c_a ~ N(0, σ_c²). The common position bias is a parameter of the head.
A length preference that all share is *no* bias here: it is part of the reward, by the surface features. Only what
one annotator has beyond the others is taken out. σ_b and σ_c are averaged over by their Laplace evidence, zero
included.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pairloop.posterior import IntArray
from pairloop_reward.likelihood import Float64, vote_terms

SCALES = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
_EXPECTED_SCALES = (
    0.25,
    0.125,
)  # exponential hyperpriors on σ_b and σ_c: annotators are alike until votes say otherwise
_EDGES = np.array([0.0, 0.0625, 0.18, 0.35, 0.7, 1.4, np.inf])  # between the scales
_SCALE_MASS = -np.diff(np.exp(-_EDGES / np.array(_EXPECTED_SCALES)[:, None]), axis=1)
_STEPS = 12
_MAX_STEP = 2.0  # of an effect, per scoring step: a log-odds of 2 is already a strong habit
_ENOUGH = 1e-4
_PINNED = 1e12


def moderation(variance: Float64) -> Float64:
    """The factor by which a margin of this variance shrinks when a probability is averaged over it (MacKay 1992)."""
    return np.asarray(1.0 / np.sqrt(1.0 + np.pi * variance / 8.0))


@dataclass(frozen=True, slots=True)
class Observed:
    """The votes as the effects see them, with the reward's margin known up to its own uncertainty.

    Attributes:
        margin, variance: (N,) margin without effects, and its variance.
        length: (N,) s_i. flip, outcome, weight, annotator: (N,), as in `Votes`.
        honest: (A,) how much each annotator counts for σ_b and σ_c, in [0, 1].
        log_tie: log ν. count: number of annotators A.
    """

    margin: Float64
    variance: Float64
    length: Float64
    flip: Float64
    outcome: IntArray
    weight: Float64
    annotator: IntArray
    honest: Float64
    log_tie: float
    count: int

    @property
    def shrink(self) -> Float64:
        """(N,) factors of moderation 1/√(1 + πσ²/8) in (0, 1] (MacKay 1992)."""
        return moderation(self.variance)


@dataclass(frozen=True, slots=True)
class Effects:
    """Effects at their mode.

    Attributes:
        values: (A, 2) b_a and c_a. covariance: (A, 2, 2) of their Laplace posterior.
        scales: σ_b, σ_c, where averaged their root mean square; where one is 0 the effect is 0.
        log_evidence: of the scales, up to a constant.
    """

    values: Float64
    covariance: Float64
    scales: tuple[float, float]
    log_evidence: float

    @property
    def deviation(self) -> Float64:
        """(A, 2) posterior standard deviations."""
        return np.asarray(np.sqrt(np.maximum(np.diagonal(self.covariance, axis1=1, axis2=2), 0.0)))

    def offset(self, length: Float64, annotator: IntArray) -> Float64:
        """(N,) what the effects add to the margins."""
        return np.asarray(self.values[annotator, 0] + self.values[annotator, 1] * length)


def left_out_effects(observed: Observed, effects: Effects) -> tuple[Float64, Float64]:
    """(N,) effects on the margins and their variances, each from the annotator's other votes only (one step)."""
    rows, length = observed.annotator, observed.length
    C = effects.covariance[rows]
    variance = C[:, 0, 0] + 2.0 * C[:, 0, 1] * length + C[:, 1, 1] * length**2
    offset, shrink = effects.offset(length, rows), observed.shrink
    terms = vote_terms((observed.margin + offset) * shrink, observed.log_tie, observed.flip, observed.outcome)
    told = np.minimum(observed.weight * shrink**2 * terms.information_margin * variance, 1.0 - 1e-9)
    variance = variance / (1.0 - told)
    return offset - variance * observed.weight * shrink * terms.score_margin, variance


def no_effects(count: int) -> Effects:
    """All effects 0."""
    return Effects(np.zeros((count, 2)), np.zeros((count, 2, 2)), (0.0, 0.0), 0.0)


def average_effects(observed: Observed, start: Effects, *, length: bool) -> Effects:
    """Effects averaged over σ_b and σ_c, each by its evidence while the other stays where it is.

    Averaged and not maximised: at the best σ, which is often 0, intervals would claim to know that nobody has a habit.
    """
    position = _average([fit_effects(observed, (scale, start.scales[1]), start.values) for scale in SCALES], 0)
    if not length:
        return position
    both = [fit_effects(observed, (position.scales[0], scale), position.values) for scale in SCALES]
    return _average(both, 1)


def _average(fits: Sequence[Effects], axis: int) -> Effects:
    log_weight = np.array([fit.log_evidence for fit in fits]) + np.log(_SCALE_MASS[axis])
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    values = np.stack([fit.values for fit in fits])
    mean = np.tensordot(weight, values, 1)
    apart = values - mean
    spread = np.stack([fit.covariance for fit in fits]) + apart[..., :, None] * apart[..., None, :]
    scales = list(fits[0].scales)
    scales[axis] = float(np.sqrt(weight @ np.square(SCALES)))
    return Effects(mean, np.tensordot(weight, spread, 1), (scales[0], scales[1]), float(log_weight.max()))


def fit_effects(observed: Observed, scales: tuple[float, float], start: Float64) -> Effects:
    """Modes for fixed scales by scoring steps, all annotators at once; a scale of 0 switches its effect off."""
    active, precision = np.array(scales) > 0.0, _precision(scales)
    values = np.where(active, start, 0.0)
    for _ in range(_STEPS if active.any() else 0):
        score, information, _ = _derivatives(observed, values)
        hessian = information + np.diag(precision)
        step = np.linalg.solve(hessian, (score - precision * values)[..., None])[..., 0]
        values = values + np.clip(step, -_MAX_STEP, _MAX_STEP)
        if np.abs(step).max(initial=0.0) < _ENOUGH:
            break
    values = np.where(active, values, 0.0)
    _, information, likelihood = _derivatives(observed, values)
    hessian = information + np.diag(precision)
    evidence = likelihood - 0.5 * (precision * values**2).sum(axis=1)
    evidence += 0.5 * (np.log(precision).sum() - np.linalg.slogdet(hessian)[1])
    covariance = np.asarray(np.linalg.inv(hessian) * np.outer(active, active))
    return Effects(np.asarray(values, dtype=np.float64), covariance, scales, float(observed.honest @ evidence))


def _precision(scales: tuple[float, float]) -> Float64:
    """(2,) 1/σ². An enormous one instead of a case of its own: it pins an effect to 0 and drops out of the evidence."""
    return np.array([scale**-2.0 if scale else _PINNED for scale in scales])


def effect_covariance(
    information: Float64, length: Float64, annotator: IntArray, count: int, scales: tuple[float, float]
) -> Float64:
    """(A, 2, 2) posterior covariance of the effects at a given reward, for (N,) information about the margins."""
    return np.asarray(np.linalg.inv(_sums(information, length, annotator, count) + np.diag(_precision(scales))))


def _sums(information: Float64, length: Float64, annotator: IntArray, count: int) -> Float64:
    """(A, 2, 2) information about (b_a, c_a)."""
    by_power = [np.bincount(annotator, information * length**power, minlength=count) for power in (0, 1, 1, 2)]
    return np.asarray(np.stack(by_power, axis=1).reshape(-1, 2, 2), dtype=np.float64)


def _derivatives(observed: Observed, values: Float64) -> tuple[Float64, Float64, Float64]:
    """Score (A, 2), expected information (A, 2, 2) and log-likelihood (A,) at these effects."""
    rows, length, shrink = observed.annotator, observed.length, observed.shrink
    margin = (observed.margin + values[rows, 0] + values[rows, 1] * length) * shrink
    terms = vote_terms(margin, observed.log_tie, observed.flip, observed.outcome)
    score = observed.weight * shrink * terms.score_margin
    information = observed.weight * shrink**2 * terms.information_margin

    first = [np.bincount(rows, each, minlength=observed.count) for each in (score, score * length)]
    second = _sums(information, length, rows, observed.count)
    likelihood = np.bincount(rows, observed.weight * terms.log_likelihood, minlength=observed.count)
    return np.stack(first, axis=1), second, np.asarray(likelihood, dtype=np.float64)
