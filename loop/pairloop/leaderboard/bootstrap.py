"""A bootstrap over annotators and prompts, to check the intervals with: slow, and no part of the default table."""

from dataclasses import replace

import numpy as np

from pairloop.errors import Diverged
from pairloop.kit.seeds import generator
from pairloop.leaderboard.fit import Fit, maximise
from pairloop.leaderboard.graph import parts
from pairloop.posterior import FloatArray, IntArray


def pigeonhole(fit: Fit, annotator: IntArray, prompt: IntArray, draws: int, *, seed: int = 0) -> FloatArray:
    """(D, M) scores when annotators and prompts are both drawn with replacement.

    This is the pigeonhole bootstrap (Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1).
    A vote counts as often as its annotator times as often as its prompt was drawn, which makes intervals wider rather
    than narrower than they should be. Draws without a finite maximum are left out, so D ≤ ``draws``.
    """
    random = generator(seed, "leaderboard", "bootstrap")
    people, texts = (np.unique(column, return_inverse=True)[1] for column in (annotator, prompt))
    out = []
    for _ in range(draws):
        times = _times(random, people) * _times(random, texts)
        problem = replace(fit.problem, weight=fit.problem.weight * times)
        part = next(parts(problem.a, problem.b, problem.points, problem.weight, problem.models), None)
        if part is None or len(part.models) < problem.models or not (part.anchored.all() or len(problem.pseudo)):
            continue
        try:
            out.append(maximise(problem, fit.at).scores)
        except Diverged:
            continue
    return np.array(out).reshape(-1, fit.problem.models)


def _times(random: np.random.Generator, cluster: IntArray) -> IntArray:
    clusters = int(cluster.max()) + 1
    return np.asarray(random.multinomial(clusters, np.full(clusters, 1.0 / clusters))[cluster])
