"""Maximum likelihood by Newton's method, to a gradient below 1e-10."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from pairloop.errors import Diverged
from pairloop.leaderboard.likelihood import Problem
from pairloop.posterior import FloatArray

TOLERANCE = 1e-10
"""Every component of the gradient, in votes, is smaller than this at the end."""
_STEPS, _HALVINGS = 100, 40
_ROUNDING = 1e-14  # of the gradient, relative to the votes behind it: what double precision leaves


@dataclass(frozen=True)
class Fit:
    """A maximum.

    Attributes:
        at: (P,) parameters; the scores of the anchored models have mean zero.
        gradient: the largest component of the gradient there. steps: Newton steps.
    """

    problem: Problem
    at: FloatArray
    gradient: float
    steps: int

    @property
    def scores(self) -> FloatArray:
        """(M,) θ, in log-odds."""
        return self.at[: self.problem.models]

    @property
    def effects(self) -> FloatArray:
        """(K,) γ, log-odds a standard unit of each covariate."""
        return self.at[self.problem.models : self.problem.models + self.problem.covariates.shape[1]]


def maximise(problem: Problem, start: FloatArray | None = None) -> Fit:
    """The maximum of the penalised log-likelihood.

    Raises:
        Diverged: there is none, or it is too far away for double precision.
    """
    at: FloatArray = np.zeros(problem.size) if start is None else np.array(start, dtype=np.float64)
    enough = max(TOLERANCE, _ROUNDING * float(problem.weight.sum()))
    for step in range(_STEPS):
        gradient = problem.gradient(at)
        largest = float(np.abs(gradient).max())
        if largest < enough:
            at[: problem.models] -= at[problem.anchored].mean()
            return Fit(problem, at, largest, step)
        at = _improved(problem, at, _newton(problem, at, gradient))
    raise Diverged("the likelihood of the votes between models has no finite maximum, or covariates explain every vote")


def _newton(problem: Problem, at: FloatArray, gradient: FloatArray) -> FloatArray:
    try:
        return np.asarray(cho_solve(cho_factor(problem.hessian(at)), gradient))
    except (LinAlgError, ValueError) as error:
        raise Diverged("the votes do not determine the scores of these models") from error


def _improved(problem: Problem, at: FloatArray, direction: FloatArray) -> FloatArray:
    """The whole Newton step, or a fraction of it where that overshoots."""
    before = problem.value(at)
    slack = 1e-12 * (1.0 + abs(before))  # near the maximum differences of values are rounding
    scale = 1.0
    for _ in range(_HALVINGS):
        candidate = at + scale * direction
        if problem.value(candidate) >= before - slack:
            return candidate
        scale /= 2
    return at + scale * direction
