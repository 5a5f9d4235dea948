"""MAP fit of the Bradley–Terry head by damped Fisher scoring, and its Laplace evidence.

Parameters θ = (w, b, u): reward weights, position bias, log ν. Priors: w ~ N(0, diag(1/λ)), b ~ N(0, 1),
u ~ N(log ½, 2²), wide enough that a few dozen votes outweigh them. The evidence follows
MacKay 1992 ("The evidence framework applied to classification networks").
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve
from scipy.linalg import cholesky as scipy_cholesky

from pairloop.errors import Diverged
from pairloop_reward.laplace import cholesky, log_determinant
from pairloop_reward.likelihood import Float64, Votes, VoteTerms, vote_terms

BIAS_PRECISION = 1.0
TIE_MEAN, TIE_PRECISION = float(np.log(0.5)), 0.25
_MAX_STEPS = 100
_SCORING_STEPS = 6  # afterwards scoring is slow only where flips make the two curvatures differ
_MAX_HALVINGS = 30


@dataclass(frozen=True, slots=True)
class HeadFit:
    """A fitted head.

    Attributes:
        parameters: (d + 2,) MAP estimate of (w, b, u).
        precision: (d + 2, d + 2) prior precision plus expected information at the MAP estimate.
        factor: its lower Cholesky factor.
        prior: (d,) prior precision of the weights.
        flip_rate: ε, fixed during the fit; that of a new annotator where votes have their own.
        log_likelihood, log_evidence: natural logarithms; the evidence is Laplace's approximation.
        steps: scoring steps taken.
    """

    parameters: Float64
    precision: Float64
    factor: Float64
    prior: Float64
    flip_rate: float
    log_likelihood: float
    log_evidence: float
    steps: int

    @property
    def weights(self) -> Float64:
        """(d,) reward weights."""
        return self.parameters[:-2]

    @property
    def position_bias(self) -> float:
        """Log-odds advantage of the left side."""
        return float(self.parameters[-2])

    @property
    def position_deviation(self) -> float:
        """Posterior standard deviation of the position bias, the last parameter but one: ‖L⁻¹ e‖ of its unit vector."""
        own, cross, last = self.factor[-2, -2], self.factor[-1, -2], self.factor[-1, -1]
        return float(np.hypot(1.0 / own, cross / (own * last)))

    @property
    def tie(self) -> float:
        """Davidson's ν."""
        return float(np.exp(self.parameters[-1]))


@dataclass(frozen=True, slots=True)
class Objective:
    """The log posterior of θ.

    Attributes:
        votes: what was observed.
        prior: (d,) prior precision of the weights.
        flip_rate: ε, fixed; of the votes that have none of their own.
    """

    votes: Votes
    prior: Float64
    flip_rate: float

    @property
    def prior_mean(self) -> Float64:
        """(d + 2,) prior mean of θ."""
        return np.concatenate([np.zeros(len(self.prior)), [0.0, TIE_MEAN]])

    @property
    def prior_precision(self) -> Float64:
        """(d + 2,) prior precision of θ."""
        return np.concatenate([self.prior, [BIAS_PRECISION, TIE_PRECISION]])

    def value(self, theta: Float64) -> tuple[float, float]:
        """Log-likelihood, and log-likelihood plus the exponent of the prior."""
        likelihood = float(self.votes.weight @ terms_at(self.votes, theta, self.flip_rate).log_likelihood)
        return likelihood, likelihood - 0.5 * float(self.prior_precision @ (theta - self.prior_mean) ** 2)

    def gradient_and_precision(self, theta: Float64, *, observed: bool = False) -> tuple[Float64, Float64]:
        """Gradient (d + 2,) and expected, or observed, negative Hessian (d + 2, d + 2) of the log posterior."""
        score, information = score_and_information(self.votes, theta, self.flip_rate, observed=observed)
        information[np.diag_indices_from(information)] += self.prior_precision
        return score - self.prior_precision * (theta - self.prior_mean), information


def terms_at(votes: Votes, theta: Float64, flip_rate: float) -> VoteTerms:
    """Per-vote terms at θ."""
    margin = votes.shifted(votes.difference @ theta[:-2] + theta[-2])
    return vote_terms(margin, float(theta[-1]), votes.flips(flip_rate), votes.outcome)


def score_and_information(
    votes: Votes, theta: Float64, flip_rate: float, *, observed: bool = False
) -> tuple[Float64, Float64]:
    """Gradient (d + 2,) of the log-likelihood at θ and its expected, or observed, information (d + 2, d + 2)."""
    X, weight, terms = votes.difference, votes.weight, terms_at(votes, theta, flip_rate)
    about_margin = terms.curvature_margin if observed else terms.information_margin
    score, i_margin, i_cross = (weight * term for term in (terms.score_margin, about_margin, terms.information_cross))
    d = X.shape[1]
    information = np.empty((d + 2, d + 2))
    information[:d, :d] = (X * i_margin[:, None]).T @ X
    information[:d, d] = information[d, :d] = X.T @ i_margin
    information[:d, d + 1] = information[d + 1, :d] = X.T @ i_cross
    information[d, d] = i_margin.sum()
    information[d, d + 1] = information[d + 1, d] = i_cross.sum()
    information[d + 1, d + 1] = weight @ terms.information_tie
    return np.concatenate([X.T @ score, [score.sum(), weight @ terms.score_tie]]), information


def fit_head(
    votes: Votes, prior: Float64, flip_rate: float, *, start: Float64 | None = None, tolerance: float = 1e-9
) -> HeadFit:
    """MAP estimate by Fisher scoring with step halving; from the prior mean, or from ``start`` (d + 2,).

    Scoring always climbs, but only linearly fast where flips are many. After a few steps Newton's direction is
    taken wherever the observed curvature is positive definite.

    ``tolerance`` bounds half the squared Newton decrement, in nats: what another step could still gain.

    Raises:
        Diverged: a number is not finite, the precision is not positive definite, or no step helps.
    """
    objective = Objective(votes, prior, flip_rate)
    flips = bool(np.any(votes.flips(flip_rate)))
    theta = objective.prior_mean if start is None else start
    for step in range(_MAX_STEPS):
        gradient, H = objective.gradient_and_precision(theta)
        factor = cholesky(H)
        direction = cho_solve((factor, True), gradient)
        slope = float(gradient @ direction)
        if 0.5 * slope <= tolerance:
            likelihood, value = objective.value(theta)
            evidence = value + 0.5 * (float(np.log(objective.prior_precision).sum()) - log_determinant(factor))
            return HeadFit(theta, H, factor, prior, flip_rate, likelihood, evidence, step)
        if flips and step >= _SCORING_STEPS:
            direction = _newton_direction(objective, theta, direction)
        theta = _line_search(objective, theta, direction, float(gradient @ direction))
    raise Diverged(
        f"the reward head did not converge in {_MAX_STEPS} steps",
        "Check the features and weights of the votes for extreme values.",
    )


def _newton_direction(objective: Objective, theta: Float64, otherwise: Float64) -> Float64:
    """Newton's direction, or ``otherwise`` where the observed curvature is not positive definite."""
    gradient, curvature = objective.gradient_and_precision(theta, observed=True)
    try:
        factor = scipy_cholesky(curvature, lower=True)
    except LinAlgError:
        return otherwise
    return np.asarray(cho_solve((factor, True), gradient))


def _line_search(objective: Objective, theta: Float64, direction: Float64, slope: float) -> Float64:
    """Halve the step until the log posterior rises enough (Armijo), or until it cannot rise in float64.

    Raises:
        Diverged: no step along an ascent direction rises.
    """
    value, scale = objective.value(theta)[1], 1.0
    for _ in range(_MAX_HALVINGS):
        candidate = theta + scale * direction
        # the last term forgives rounding: near the optimum the gain is smaller than the last digits of the sum
        if objective.value(candidate)[1] >= value + 1e-4 * scale * slope - 1e-12 * abs(value):
            return np.asarray(candidate)
        scale /= 2.0
    raise Diverged(
        "the fit of the reward head stopped making progress",
        "A feature or a weight is probably not finite, or enormous.",
    )
