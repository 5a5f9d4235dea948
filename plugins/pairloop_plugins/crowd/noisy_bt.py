"""Bradley–Terry with skilled and biased annotators, by the gradient that belongs to its likelihood.

Annotator a names the left response with probability ``γ_a σ(s_left − s_right) + (1 − γ_a) σ(q_a)``: with the chance γ
the scores decide, else a habit (Chen et al. 2013, Crowd-BT, in the form of Bugakova et al. 2019, factorBT). It is the
model that crowd-kit calls NoisyBradleyTerry. Up to its release 1.4.2 the published optimiser is given a gradient that
is assigned instead of summed over an annotator's votes, one place off for habits and skills, and a regulariser whose
sign differs between value and gradient; tests of this package show it by finite differences.

Here scores and log-odds have Gaussian priors, ``s ~ N(0, 2²)``, ``logit γ ~ N(1, 1.5²)``, ``q ~ N(0, 1.5²)``, instead
of a regulariser of 10⁻⁵ under which scores of responses that always win run away.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from pairloop.posterior import IntArray

Float64 = NDArray[np.float64]
Ints = IntArray

_SPREADS = (2.0, 1.5, 1.5)  # of scores, habits and log-odds of skill
_TYPICAL_SKILL = 1.0


@dataclass(frozen=True, slots=True)
class NoisyBT:
    """A fit: (R,) scores, (A,) skills γ in (0, 1), (A,) probability of naming the left side by habit."""

    score: Float64
    skill: Float64
    habit: Float64


def fit_noisy_bt(left: Ints, right: Ints, chose_left: NDArray[np.bool_], annotator: Ints) -> NoisyBT:
    """MAP fit to (N,) decisive votes; deterministic."""
    responses, people = int(max(left.max(), right.max())) + 1, int(annotator.max()) + 1
    start = np.concatenate([np.zeros(responses + people), np.full(people, _TYPICAL_SKILL)])
    sign = np.where(chose_left, 1.0, -1.0)
    found = minimize(
        objective, start, args=(left, right, sign, annotator, responses, people), jac=True, method="L-BFGS-B",
        options={"maxiter": 1000},
    )  # fmt: skip
    score, habit, skill = np.split(found.x, [responses, responses + people])
    return NoisyBT(score, expit(skill), expit(habit))


def objective(
    x: Float64, left: Ints, right: Ints, sign: Float64, annotator: Ints, responses: int, people: int
) -> tuple[float, Float64]:
    """Negative log-posterior and its gradient at ``x`` = scores, habits, log-odds of skill."""
    score, habit, skill = np.split(x, [responses, responses + people])
    by_score = expit(sign * (score[left] - score[right]))
    by_habit = expit(sign * habit[annotator])
    gamma = expit(skill[annotator])
    p = np.maximum(gamma * by_score + (1.0 - gamma) * by_habit, 1e-300)
    d_margin = gamma * by_score * (1.0 - by_score) * sign / p
    d_habit = (1.0 - gamma) * by_habit * (1.0 - by_habit) * sign / p
    d_skill = (by_score - by_habit) * gamma * (1.0 - gamma) / p
    gradient = np.concatenate(
        [
            np.bincount(left, d_margin, responses) - np.bincount(right, d_margin, responses),
            np.bincount(annotator, d_habit, people),
            np.bincount(annotator, d_skill, people),
        ]
    )
    centre = np.concatenate([np.zeros(responses + people), np.full(people, _TYPICAL_SKILL)])
    spread = np.repeat(_SPREADS, [responses, people, people])
    prior = (x - centre) / spread**2
    return float(-np.log(p).sum() + 0.5 * ((x - centre) * prior).sum()), -gradient + prior
