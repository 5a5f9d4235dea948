"""Elo and Harkness: what older tables show. Neither is ever the default.

Elo depends on the order of the votes and has no interval; Harkness is linear in the share won and does not know by
how much one opponent is harder than another unless their ratings are known beforehand.
"""

from collections.abc import Sequence

import numpy as np

from pairloop.kit.extras import require
from pairloop.posterior import FloatArray, IntArray

ELO_K = 4.0
START = {"elo": 1000.0, "harkness": 1500.0}


def elo(models: Sequence[str], a: IntArray, b: IntArray, points: FloatArray) -> FloatArray:
    """(M,) Elo ratings after all votes in their order: K = 4, base 10, scale 400, everybody starting at 1000.

    Raises:
        MissingExtra: evalica, which computes it, is not installed.
    """
    evalica = require("evalica", "ratings", "Elo")
    outcome = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    names = [str(i) for i in range(len(models))]  # numbers: two names may differ in ways that an index does not keep
    found = evalica.elo(
        [names[i] for i in a], [names[i] for i in b], [outcome[float(p)] for p in points],
        initial=START["elo"], base=10.0, scale=400.0, k=ELO_K,
    ).scores  # fmt: skip
    return np.array([float(found.get(name, START["elo"])) for name in names])


def harkness(
    entering: FloatArray, a: IntArray, b: IntArray, points: FloatArray, weight: FloatArray | None = None
) -> FloatArray:
    """(M,) performances in one tournament: mean rating of the opponents + 10·(score in per cent − 50).

    The system of the US Chess Federation from 1950 to 1960 (Harkness 1967, "Official chess handbook"). At most 500
    points above or below the opponents; who did not play keeps the ``entering`` rating.
    """
    w, m = np.ones(len(a)) if weight is None else weight, len(entering)
    played = np.bincount(a, w, m) + np.bincount(b, w, m)
    opponents = np.bincount(a, w * entering[b], m) + np.bincount(b, w * entering[a], m)
    won = np.bincount(a, w * points, m) + np.bincount(b, w * (1 - points), m)
    safe = np.where(played > 0, played, 1.0)
    return np.where(played > 0, performance(opponents / safe, 100 * won / safe), entering)


def performance(opponents: FloatArray | float, percent: FloatArray | float) -> FloatArray:
    """Harkness's formula."""
    return np.asarray(opponents + np.clip(10.0 * (np.asarray(percent) - 50.0), -500.0, 500.0))
