"""One connected component of the votes: fitted, with its variance and ranks."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from pairloop.kit.threads import numeric_threads
from pairloop.leaderboard.ballots import Ballots
from pairloop.leaderboard.covariance import Spread, spread
from pairloop.leaderboard.fit import Fit, maximise
from pairloop.leaderboard.graph import Part
from pairloop.leaderboard.likelihood import Problem, Ties
from pairloop.leaderboard.ranks import LEVEL, Ranks, ranks
from pairloop.leaderboard.style import covariates
from pairloop.metrics import Estimate
from pairloop.posterior import FloatArray, IntArray


@dataclass(frozen=True)
class Fitted:
    """A fit of the votes of one component.

    Attributes:
        members: (m,) numbers of its models in the ballots. annotator, prompt: (N,) of its votes.
        spread, ranks: None where all votes are of one annotator on one prompt.
    """

    members: IntArray
    fit: Fit
    annotator: IntArray
    prompt: IntArray
    spread: Spread | None
    ranks: Ranks | None

    def score(self, number: int) -> Estimate:
        """θ of a member with its interval; none where it would mean nothing."""
        problem, value = self.fit.problem, float(self.fit.scores[number])
        played = (problem.a == number) | (problem.b == number)
        n = round(float(problem.weight[played].sum()))
        degrees = 0 if self.spread is None else int(self.spread.degrees[number])
        if self.spread is None or degrees < 1:
            return Estimate(value, None, None, n, degrees + 1)
        return _interval(value, float(self.spread.covariance[number, number]), degrees, n)

    def effects(self) -> list[Estimate]:
        """γ of each covariate."""
        start = self.fit.problem.models
        out = []
        for k, value in enumerate(self.fit.effects.tolist()):
            n = len(self.fit.problem.a)
            if self.spread is None:
                out.append(Estimate(value, None, None, n, 1))
            else:
                variance = float(self.spread.covariance[start + k, start + k])
                out.append(_interval(value, variance, self.spread.overall, n))
        return out


def _interval(value: float, variance: float, degrees: int, n: int) -> Estimate:
    half = float(student_t.ppf(0.5 + LEVEL / 2, degrees)) * max(variance, 0.0) ** 0.5
    return Estimate(value, value - half, value + half, n, degrees + 1)


def fitted(ballots: Ballots, part: Part, *, ties: Ties = "half", style: bool = False, seed: int = 0) -> Fitted:
    """Fit one component.

    Raises:
        Diverged: covariates explain every vote, or ties are Davidson's and all votes, or none, are ties.
    """
    number = np.full(len(ballots.models), -1, dtype=np.int64)
    number[part.models] = np.arange(len(part.models))
    rows = (number[ballots.a] >= 0) & (ballots.weight > 0)
    found = ballots.only(rows)
    z: FloatArray = covariates(found.style, found.weight)[0] if style else np.zeros((len(found), 0))
    everybody = np.arange(len(part.models))
    anchored = everybody[part.anchored] if part.anchored.any() else everybody
    problem = Problem(
        number[found.a], number[found.b], found.points, found.weight, z, len(everybody), anchored,
        everybody[~part.anchored], ties,
    )  # fmt: skip
    with numeric_threads():
        fit = maximise(problem)
        about = spread(fit, found.annotator, found.prompt)
        order = None
        if about is not None:
            m = problem.models
            order = ranks(fit.scores, about.covariance[:m, :m], about.degrees, about.overall, seed=seed)
    return Fitted(part.models, fit, found.annotator, found.prompt, about, order)
