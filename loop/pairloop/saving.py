"""How many votes active selection saves: shadow models of both arms, judged on votes that come after them.

After a round, the reward model is fitted on n votes of the random arm and, for each fraction f of a grid, on f·n votes
that the strategy chose. These shadow models judge the holdout votes of the *next* round, so nothing is ever judged by a
model that has seen it, and each question gives one number in [−1, 1]: the Brier loss of the active shadow minus that of
the random one (a question with several votes counts once, with their mean). The confidence sequence of these numbers
(`pairloop.anytime`) says, at any time, with how many votes active selection is proven better or worse.

What is covered is the mean over the rounds so far of the expected difference on a random holdout question, for the
shadow models that were really fitted. The questions and the votes may differ, the holdout groups are those of the
campaign, and so are the votes that the shadows learned from: another campaign could be luckier.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pairloop.anytime import LEVEL, confidence_sequence
from pairloop.errors import ModelError
from pairloop.kit.seeds import generator
from pairloop.posterior import FloatArray, IntArray, PreferencePosterior
from pairloop.protocols import BoolArray, RewardModel, TrainingData
from pairloop.records import ResponseView
from pairloop.votes import MeasuredVotes, occurring

FRACTIONS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 1.0, 3 / 2, 2.0)
FEWEST = 20  # votes of each arm below which there is nothing to compare
MOST = 500  # votes of the random shadow: bounds the time of long campaigns
_SMALLEST = 10  # votes of the smallest shadow
_DIGITS = 6  # of a stored number
Record = dict[str, Any]


def fractions(worthwhile: float) -> tuple[float, ...]:
    """The grid, with the fraction that a worthwhile saving leaves."""
    return tuple(sorted({round(f, _DIGITS) for f in (*FRACTIONS, 1.0 - worthwhile)}))


def judge(
    new_model: Callable[[], RewardModel],
    data: TrainingData,
    strategic: BoolArray,
    votes: MeasuredVotes,
    sample: IntArray,
    grid: Sequence[float],
    *,
    seed: int,
) -> Record | None:
    """Fit the shadow models and let them judge votes that are new to them.

    Args:
        data: the votes that were there before ``votes``. strategic: (N,) True for those that the strategy chose.
        votes: decisive holdout votes that came later, in order of arrival.
        sample: (M, 2) holdout pairs, on which the largest possible difference is found. Numbers beyond it are cut; with
            a sample of a larger holdout that is one question in M at most.

    Returns:
        ``votes`` (n), ``pairs`` (questions judged) and, for each fraction measured, ``bounds`` and ``differences``;
        None when there is too little of anything.
    """
    control, active = np.flatnonzero(data.control), np.flatnonzero(strategic)
    n = min(len(control), len(active), MOST)
    if n < FEWEST or not len(votes):
        return None
    looked_at, pairs, sample = occurring(votes.pairs, sample)
    votes = replace(votes, pairs=pairs)
    shown = [data.responses[row] for row in looked_at]
    model = _shadow(new_model, data, shown, _drawn(control, n, seed, "random"), seed)
    if model is None:
        return None
    measured: dict[float, tuple[float, list[float]]] = {}
    for fraction in grid:
        size = round(fraction * n)
        if not _SMALLEST <= size <= len(active):
            continue
        other = _shadow(new_model, data, shown, _drawn(active, size, seed, "active"), seed)
        if other is not None:
            bound = _largest(other, model, sample)
            found = np.clip(_by_question(_differences(other, model, votes), votes), -bound, bound)
            measured[fraction] = (bound, [round(float(x), _DIGITS) for x in found])
    if not measured:
        return None
    return {
        "votes": n,
        "pairs": len(next(iter(measured.values()))[1]),
        "fractions": list(measured),
        "bounds": [bound for bound, _ in measured.values()],
        "differences": [found for _, found in measured.values()],
    }


def _drawn(rows: IntArray, n: int, seed: int, arm: str) -> IntArray:
    """``n`` of the rows at random; a smaller number gives a part of a larger one."""
    return np.sort(rows[generator(seed, "shadow", arm).permutation(len(rows))[:n]])


def _shadow(
    new_model: Callable[[], RewardModel],
    data: TrainingData,
    shown: Sequence[ResponseView],
    rows: IntArray,
    seed: int,
) -> PreferencePosterior | None:
    """The posterior over the responses ``shown`` of a model fitted on these votes."""
    model = new_model()
    try:
        model.fit(data.subset(rows), seed=seed)
        return model.posterior(shown)
    except ModelError:
        return None  # these few votes hold no signal


def _differences(active: PreferencePosterior, random: PreferencePosterior, votes: MeasuredVotes) -> FloatArray:
    """(N,) Brier loss of the active model minus that of the random one."""
    left = (votes.outcome == 0).astype(np.float64)
    losses = [np.square(model.probability(votes.pairs) - left) for model in (active, random)]
    return np.asarray(losses[0] - losses[1])


def _largest(active: PreferencePosterior, random: PreferencePosterior, pairs: IntArray) -> float:
    """The largest possible |difference| on any of these pairs, whatever is voted; 1 without pairs."""
    if not len(pairs):
        return 1.0
    p, q = active.probability(pairs), random.probability(pairs)
    reach = np.max(np.abs(p - q) * np.maximum(p + q, 2.0 - p - q))
    return float(np.ceil(reach * 10**_DIGITS) / 10**_DIGITS)


def _by_question(differences: FloatArray, votes: MeasuredVotes) -> FloatArray:
    """Mean over the votes of each pair, in order of the pairs' first votes: votes on one pair hang together."""
    _, first, index = np.unique(np.sort(votes.pairs, axis=1), axis=0, return_index=True, return_inverse=True)
    index = index.ravel()
    means = np.bincount(index, weights=differences) / np.bincount(index)
    return np.asarray(means[np.argsort(first)])


# --------------------------------------------------------------------------------------------- reading


def sequence_of(records: Sequence[Record], fraction: float) -> tuple[FloatArray, FloatArray]:
    """(n,) differences at a fraction over all records, and (n,) bounds."""
    values: list[float] = []
    bounds: list[float] = []
    for record in records:
        if fraction in record["fractions"]:
            place = record["fractions"].index(fraction)
            values += record["differences"][place]
            bounds += [record["bounds"][place]] * len(record["differences"][place])
    return np.array(values), np.array(bounds)


def running(records: Sequence[Record], fraction: float, *, level: float = LEVEL) -> dict[str, Any] | None:
    """Mean difference at a fraction with its interval, after all questions so far."""
    values, bounds = sequence_of(records, fraction)
    if not len(values):
        return None
    found = confidence_sequence(values, bounds, level=level, last=True)
    return {
        "value": float(found.mean[-1]), "low": float(found.low[-1]), "high": float(found.high[-1]), "n": len(values)
    }  # fmt: skip


def saving(records: Sequence[Record], grid: Sequence[float], *, level: float = LEVEL) -> dict[str, Any]:
    """How many votes active selection needs for the loss of as many random votes, simultaneously over the grid.

    Each fraction gets (1 − level)/len(grid), so all intervals hold at once at all times (union bound). More votes of
    the same kind are taken to be no worse, so the fraction needed lies above all that are proven worse than random and
    at or below all that are proven better.

    Returns:
        ``above`` and ``up_to``: the fraction needed, None where nothing is proven (or the two contradict each other,
        when more votes did harm); ``fractions``: what each rests on.
    """
    share = 1.0 - (1.0 - level) / len(grid)
    found = {f: running(records, f, level=share) for f in grid}
    worse = [f for f, e in found.items() if e is not None and e["low"] > 0]
    better = [f for f, e in found.items() if e is not None and e["high"] < 0]
    above, up_to = max(worse, default=None), min(better, default=None)
    if above is not None and up_to is not None and above >= up_to:
        above = up_to = None
    rows = [{"fraction": f, **e} for f, e in found.items() if e is not None]
    return {"above": above, "up_to": up_to, "level": level, "fractions": rows}


def sentence(found: Mapping[str, Any]) -> str:
    """What `saving` found, in words."""
    above, up_to = found["above"], found["up_to"]
    if above is None and up_to is None:
        return "nothing is proven yet about how many votes active selection saves"
    parts = []
    if up_to is not None:
        parts.append(_needs(up_to, "at least", "at most"))
    if above is not None:
        parts.append(_needs(above, "less than", "more than"))
    return "for the same loss as random votes, active selection needed " + " and ".join(parts)


def _needs(fraction: float, fewer: str, more: str) -> str:
    """``fewer``/``more``: how the saving or the extra need compares with what the fraction says."""
    if fraction == 1.0:
        return "no more" if fewer == "at least" else "more of them"
    if fraction < 1.0:
        return f"{fewer} {100 * (1 - fraction):.0f} % fewer"
    return f"{more} {100 * (fraction - 1):.0f} % more"
