"""What hangs on single annotators: how far each moves the scores, and whether the first rank stands without them."""

from dataclasses import dataclass, replace

import numpy as np

from pairloop.errors import Diverged
from pairloop.leaderboard.covariance import LeftOut
from pairloop.leaderboard.fit import Fit, maximise
from pairloop.leaderboard.graph import parts
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray

_REFITTED = 5  # annotators of most influence, beside those who seem to change the first rank


@dataclass(frozen=True, slots=True)
class Influence:
    """What leaving one annotator out changes.

    Attributes:
        votes: how many they gave. model, change: whose score moves most, and by how much (log-odds; without − with).
        first: who ranks first without them, where that is somebody else.
        refitted: True where the numbers come from fitting again, False for the one-step approximation.
    """

    annotator: int
    votes: float
    model: int
    change: float
    first: int | None
    refitted: bool


def influences(fit: Fit, annotator: IntArray, left: LeftOut) -> tuple[Influence, ...]:
    """Everybody, most influence first; ``annotator``: (N,) numbers in 0 … A−1 without gaps."""
    first = _first(fit.scores)
    steps = left.steps[:, : fit.problem.models]
    votes = np.bincount(annotator, fit.problem.weight)
    order = np.argsort(-np.abs(steps).max(axis=1), kind="stable").tolist()
    out = []
    for place, person in enumerate(order):
        step, refitted = steps[person], False
        if place < _REFITTED or _first(fit.scores + step) != first:
            again = without(fit, annotator != person)
            step, refitted = (step, False) if again is None else (again - fit.scores, True)
        then, most = _first(fit.scores + step), int(np.abs(step).argmax())
        changed = then if then != first else None
        out.append(Influence(person, float(votes[person]), most, float(step[most]), changed, refitted))
    return tuple(sorted(out, key=lambda each: (each.first is None, -abs(each.change))))


def without(fit: Fit, rows: BoolArray) -> FloatArray | None:
    """(M,) scores by these rows only, on the same mean; None where they leave models uncompared.

    Who has won or lost everything in these rows is placed as in a table of its own (`Problem.pseudo`).
    """
    problem = fit.problem
    kept = {name: getattr(problem, name)[rows] for name in ("a", "b", "points", "weight", "covariates")}
    part = next(parts(kept["a"], kept["b"], kept["points"], kept["weight"], problem.models), None)
    if part is None or len(part.models) < problem.models:
        return None
    anchored = np.flatnonzero(part.anchored) if part.anchored.any() else np.arange(problem.models)
    again = replace(problem, **kept, anchored=anchored, pseudo=np.flatnonzero(~part.anchored))
    try:
        scores = maximise(again, fit.at).scores
    except Diverged:
        return None
    return np.asarray(scores - scores[problem.anchored].mean())


def _first(scores: FloatArray) -> int:
    return int(np.argmax(scores))
