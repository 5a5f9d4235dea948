"""Whether shown guesses sway annotators: agreement with the model's guess where it was shown, against blind controls.

Among the pairs that a strategy chose, some stay blind at random (``backend.prelabel_control``), so the difference is
what showing the guess does. Its interval is a jackknife over clusters: over groups of prompts or over annotators,
whichever is wider, because people differ in how far they let themselves be led.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from pairloop.metrics import Estimate, clustered_mean
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray
from pairloop.records import Arm, Choice, Prelabel, Vote

_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Anchoring:
    """Shares of decisive votes that agree with the model's guess, where it was shown and where it was blind.

    ``difference``: shown − blind; an interval above zero means that the guess sways people.
    """

    shown: Estimate | None
    blind: Estimate | None
    difference: Estimate | None


def anchoring(votes: Sequence[Vote], guesses: Mapping[str, Prelabel], group_of: Mapping[str, int]) -> Anchoring | None:
    """The effect over all votes with a guess; None where no guess was ever shown.

    Args:
        guesses: by assignment key. group_of: group number by response id.
    """
    if not any(vote.prelabel_shown for vote in votes):
        return None
    kept = [
        vote
        for vote in votes
        if vote.key in guesses and vote.choice.is_decisive and vote.arm in (Arm.ACTIVE, Arm.FRESH) and not vote.excluded
    ]
    agrees = np.array([(guesses[v.key].choice is Choice.LEFT) == (v.choice is Choice.LEFT) for v in kept], dtype=float)
    shown = np.array([vote.prelabel_shown for vote in kept], dtype=bool)
    group = np.array([group_of[vote.left] for vote in kept], dtype=np.int64)
    people = {name: i for i, name in enumerate(sorted({vote.annotator for vote in kept}))}
    annotator = np.array([people[vote.annotator] for vote in kept], dtype=np.int64)
    return Anchoring(
        shown=_share(agrees[shown], group[shown], annotator[shown]),
        blind=_share(agrees[~shown], group[~shown], annotator[~shown]),
        difference=difference(agrees, shown, group, annotator),
    )


def difference(values: FloatArray, treated: BoolArray, *clusterings: IntArray) -> Estimate | None:
    """Mean of the treated minus mean of the others, with the widest of the jackknife intervals over these clusterings.

    Args:
        values: (N,) numbers. treated: (N,) bool. clusterings: (N,) cluster of each row, one or more.

    Returns:
        None where one side is empty; without an interval where leaving out one cluster would empty it.
    """
    if not treated.any() or treated.all():
        return None
    found = [_jackknife(values, treated, cluster) for cluster in clusterings]
    known = [estimate for estimate in found if estimate.low is not None and estimate.high is not None]
    return max(known, key=lambda e: (e.high or 0.0) - (e.low or 0.0), default=found[0])


def _jackknife(values: FloatArray, treated: BoolArray, cluster: IntArray) -> Estimate:
    _, index = np.unique(cluster, return_inverse=True)
    clusters = int(index.max()) + 1
    without = []
    for mask in (treated, ~treated):
        sums = np.bincount(index[mask], weights=values[mask], minlength=clusters)
        counts = np.bincount(index[mask], minlength=clusters)
        left = counts.sum() - counts
        without.append(np.divide(sums.sum() - sums, left, out=np.full(clusters, np.nan), where=left > 0))
    value = float(values[treated].mean() - values[~treated].mean())
    left_out = without[0] - without[1]
    if clusters < 2 or np.isnan(left_out).any():
        return Estimate(value, None, None, len(values), clusters)
    error = float(np.sqrt((clusters - 1) / clusters * np.square(left_out - left_out.mean()).sum()))
    half = float(student_t.ppf(0.5 + _LEVEL / 2, clusters - 1)) * error
    return Estimate(value, max(value - half, -1.0), min(value + half, 1.0), len(values), clusters)


def _share(agrees: FloatArray, group: IntArray, annotator: IntArray) -> Estimate | None:
    if not len(agrees):
        return None
    found = [clustered_mean(agrees, cluster) for cluster in (group, annotator)]
    known = [estimate for estimate in found if estimate.low is not None and estimate.high is not None]
    widest = max(known, key=lambda e: (e.high or 0.0) - (e.low or 0.0), default=found[0])
    if widest.low is None or widest.high is None:
        return widest
    return Estimate(widest.value, max(widest.low, 0.0), min(widest.high, 1.0), widest.n, widest.clusters)
