"""When enough is enough: what more votes would bring, as numbers for advice. Nothing here ever stops a campaign.

Four views that fail in different ways: what the posterior expects of the next batch (right if the model is), where the
learning curve points (right if it goes on as it went), how far people agree (no model can do better on single votes),
and whether successive models still differ (Bloodgood & Vijay-Shanker 2009, "A method for stopping active learning based
on stabilizing predictions", with flips weighted by the margin, since a flip between equals costs nothing).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import entr, expit
from scipy.stats import t as student_t

from pairloop import metrics
from pairloop.acquisition.quadrature import nodes
from pairloop.kit.seeds import generator
from pairloop.posterior import FloatArray, IntArray, PreferencePosterior
from pairloop.records import Arm, Vote

POINT = 0.01  # of accuracy
_MOST = 500  # questions of a batch that are looked at
_NODES = 15
_EXPONENTS = np.array([0.25, 0.5, 0.75, 1.0])
_DRAWS = 1000
_FAR = 10.0  # times today's votes: an extrapolation beyond is a guess
_FEWEST_GROUPS, _FEWEST_SIZES, _FEWEST_VOTES, _FEWEST_PAIRS = 8, 3, 100, 20
STABLE, SMALL = 0.99, 0.001  # agreement of successive models; gain in accuracy of a batch
WINDOW = 3  # fits whose stability is averaged


# --------------------------------------------------------------------------------- the next batch


def next_batch(
    posterior: PreferencePosterior, batch: IntArray, targets: IntArray, *, replicas: int = 1
) -> dict[str, Any] | None:
    """What votes on these pairs are expected to change on the targets, if the posterior is right.

    The votes shrink the variance of a target's margin from v to v' (linearised: each vote has its Fisher information),
    and move its mean by N(0, v − v'); expected loss and accuracy follow by quadrature over the new mean.

    Args:
        batch: (n, 2) rows of pairs to ask; targets: (T, 2) rows of random pairs. replicas: votes on each of the batch.

    Returns:
        ``votes``, the expected fall of the ``log_loss`` (nats) and rise of the ``accuracy`` on single decisive votes.
    """
    batch = batch[:_MOST]
    if not len(batch) or not len(targets):
        return None
    asked, wanted = _coordinates(posterior, batch), _coordinates(posterior, targets)
    noise = 1.0 / np.maximum(replicas * posterior.information(batch), 1e-12)
    cross = asked @ wanted.T
    lost = np.einsum("nt,nt->t", cross, cho_solve(cho_factor(asked @ asked.T + np.diag(noise)), cross))
    variance = posterior.variance(targets)
    lost = np.clip(lost, 0.0, variance)
    mean = posterior.margin(targets)
    now = _probability(posterior, mean, variance)
    loss, accuracy = np.zeros(len(targets)), np.zeros(len(targets))
    for x, weight in nodes(_NODES):
        p = _probability(posterior, mean + x * np.sqrt(lost), variance - lost)
        loss += weight * _entropy(p)
        accuracy += weight * np.maximum(p, 1.0 - p)
    return {
        "votes": len(batch) * replicas,
        "log_loss": float(np.mean(_entropy(now) - loss)),
        "accuracy": float(np.mean(accuracy - np.maximum(now, 1.0 - now))),
    }


def _coordinates(posterior: PreferencePosterior, pairs: IntArray) -> FloatArray:
    return np.asarray(posterior.whitened[pairs[:, 0]] - posterior.whitened[pairs[:, 1]], dtype=np.float64)


def _probability(posterior: PreferencePosterior, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """As `PreferencePosterior.probability`, for any mean and variance of the margin."""
    p = expit(mean / np.sqrt(1.0 + np.pi * variance / 8.0) / posterior.temperature)
    return np.asarray((1.0 - 2.0 * posterior.flip_rate) * p + posterior.flip_rate)


def _entropy(p: FloatArray) -> FloatArray:
    return np.asarray(entr(p) + entr(1.0 - p))


# ------------------------------------------------------------------------------------- stability


def stability(old: PreferencePosterior, new: PreferencePosterior, pairs: IntArray) -> dict[str, Any]:
    """How far two successive models agree on who is better, over random pairs.

    Returns:
        ``agreement``: share of the pairs, weighted by the mean of both |margins|, in [0, 1]; ``kappa``: Cohen's, which
        takes chance off and weighs all pairs alike.
    """
    margins = old.margin(pairs), new.margin(pairs)
    one, other = (margin > 0 for margin in margins)
    weight = np.abs(margins[0]) + np.abs(margins[1])
    same = one == other
    chance = float(one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean()))
    total = float(weight.sum())
    return {
        "agreement": float(weight @ same) / total if total > 0 else 1.0,
        "kappa": (float(same.mean()) - chance) / (1.0 - chance) if chance < 1.0 else 1.0,
        "pairs": len(pairs),
    }


# -------------------------------------------------------------------------------- learning curve


@dataclass(frozen=True, slots=True)
class Predicted:
    """Votes that a model had predicted before it learned from them, as (N,) columns.

    Attributes:
        size: training votes of the model. wrong: 1 for a wrong guess, 0 for a right one, 0.5 for none.
        holdout: True on groups that never train. group: number of the prompt's group.
    """

    size: IntArray
    wrong: FloatArray
    holdout: Any
    group: IntArray


def learning_curve(found: Predicted, now: int, *, seed: int) -> dict[str, Any] | None:
    """A power law through the prequential error, ``a + b·n^−c``, and where it points.

    a differs between holdout and control votes (whose groups train), b ≥ 0 and c ∈ {¼, ½, ¾, 1} do not. Intervals are
    those of a bootstrap over groups in which the fit, c included, is made anew.

    Args:
        now: training votes today.

    Returns:
        ``double``: what twice as many training votes would add to the accuracy, with interval; ``more`` and ``gain``:
        the training votes for one point more, and the interval of their gain, None when out of reach (ten times today's
        votes do not bring it). None altogether when there is too little to go by: fewer than 100 votes, 8 groups, or 3
        sizes of which the largest is twice the smallest.
    """
    sizes = np.unique(found.size)
    groups = np.unique(found.group)
    if len(found.size) < _FEWEST_VOTES or len(groups) < _FEWEST_GROUPS or len(sizes) < _FEWEST_SIZES:
        return None
    if sizes[-1] < 2 * sizes[0]:
        return None
    counts, sums = _cells(found, sizes, groups)
    drawn = generator(seed, "curve").multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=_DRAWS)
    times = np.concatenate([np.ones((1, len(groups))), drawn])
    slope, exponent = _power_law(times @ counts, times @ sums, sizes)

    # a bootstrap over few groups is too narrow: as a normal interval is against one by t, and by √(G/(G − 1))
    widened = student_t.ppf(0.975, len(groups) - 1) / 1.96 * np.sqrt(len(groups) / (len(groups) - 1))

    def gain(more: float) -> dict[str, float]:
        values = slope * (float(now) ** -exponent - float(now + more) ** -exponent)
        low, high = values[0] + widened * (np.quantile(values[1:], [0.025, 0.975]) - values[0])
        return {
            "value": float(values[0]),
            "low": float(max(min(low, values[0]), 0.0)),
            "high": float(max(high, values[0])),
        }

    more = _votes_for(POINT, float(slope[0]), float(exponent[0]), now)
    return {
        "exponent": float(exponent[0]),
        "n": len(found.size),
        "clusters": len(groups),
        "double": gain(now),
        "more": more,
        "gain": None if more is None else gain(more),
    }


def _cells(found: Predicted, sizes: IntArray, groups: IntArray) -> tuple[FloatArray, FloatArray]:
    """(G, 2K) numbers of votes and sums of errors by group, side and size: all that a bootstrap over groups needs."""
    cell = np.searchsorted(sizes, found.size) + len(sizes) * np.asarray(found.holdout, dtype=np.int64)
    row = np.searchsorted(groups, found.group)
    shape = (len(groups), 2 * len(sizes))
    flat = row * shape[1] + cell
    length = shape[0] * shape[1]
    return (
        np.bincount(flat, minlength=length).reshape(shape).astype(np.float64),
        np.asarray(np.bincount(flat, weights=found.wrong, minlength=length).reshape(shape), dtype=np.float64),
    )


def _power_law(counts: FloatArray, sums: FloatArray, sizes: IntArray) -> tuple[FloatArray, FloatArray]:
    """(B,) slopes b ≥ 0 and exponents of the least-squares fits to (B, 2K) cells."""
    shape = (len(counts), 2, len(sizes))
    n, y = counts.reshape(shape), sums.reshape(shape)
    side = np.maximum(n.sum(axis=2, keepdims=True), 1e-12)
    found, fall = [], []
    for exponent in _EXPONENTS:
        x = sizes.astype(np.float64) ** -exponent
        centred = x - (n @ x)[..., None] / side
        moment = np.einsum("bsk,bsk->b", centred, y)
        spread = np.maximum(np.einsum("bsk,bsk->b", n, centred**2), 1e-12)
        slope = np.maximum(moment / spread, 0.0)
        found.append(slope)
        fall.append(slope * (2 * moment - slope * spread))  # of the sum of squares
    best = np.argmax(np.stack(fall), axis=0)
    slope = np.asarray(np.take_along_axis(np.stack(found), best[None], axis=0)[0], dtype=np.float64)
    return slope, np.asarray(_EXPONENTS[best], dtype=np.float64)


def _votes_for(gain: float, slope: float, exponent: float, now: int) -> int | None:
    left = float(now) ** -exponent - gain / slope if slope > 0 else 0.0
    if left <= 0:
        return None
    more = left ** (-1.0 / exponent) - now
    return int(np.ceil(more)) if more <= _FAR * now else None


# ---------------------------------------------------------------------------------- human ceiling


def human_ceiling(votes: Sequence[Vote], group_of: Mapping[str, int]) -> metrics.Estimate | None:
    """The most that any model can agree with single decisive votes, from how two people agree on random pairs.

    With q the share that prefers one side of a pair, two agree with probability a = E[q² + (1−q)²], and the best guess
    is right with E[max(q, 1−q)] = (1 + E|2q−1|)/2 ≤ (1 + √(2a − 1))/2 (Jensen). None with fewer than 20 such pairs.

    Args:
        group_of: group number by response id.
    """
    said: dict[str, dict[str, str]] = {}
    group: dict[str, int] = {}
    for vote in votes:
        if vote.arm in (Arm.HOLDOUT, Arm.RANDOM) and vote.choice.is_decisive and not vote.excluded:
            preferred = vote.left if vote.choice.value == "left" else vote.right
            said.setdefault(vote.pair_id, {})[vote.annotator] = preferred
            group[vote.pair_id] = group_of[vote.left]
    rows = [(pair, list(people.values())) for pair, people in said.items() if len(people) >= 2]
    if len(rows) < _FEWEST_PAIRS:
        return None
    same = [sum(a == b for a in sides for b in sides) - len(sides) for _, sides in rows]
    agreed = np.array([s / (len(sides) * (len(sides) - 1)) for s, (_, sides) in zip(same, rows, strict=True)])
    found = metrics.clustered_mean(agreed, np.array([group[pair] for pair, _ in rows]))
    value, low, high = (None if a is None else best_guess(a) for a in (found.value, found.low, found.high))
    return metrics.Estimate(value or 0.0, low, high, found.n, found.clusters)


def best_guess(agreement: float) -> float:
    """(1 + √(2a − 1))/2 for two who agree with probability a: the bound of `human_ceiling`; at a < ½ it is ½."""
    return float(1.0 + np.sqrt(np.clip(2.0 * agreement - 1.0, 0.0, 1.0))) / 2.0


# ----------------------------------------------------------------------------------------- advice


def advise(
    batch: Mapping[str, Any] | None,
    curve: Mapping[str, Any] | None,
    ceiling: Mapping[str, Any] | None,
    agreements: Sequence[float],
    accuracy: Mapping[str, Any] | None,
    *,
    votes_per_training_vote: float,
) -> dict[str, Any]:
    """One block of advice from all evidence; a person decides.

    Args:
        agreements: `stability` of the fits so far, in order. accuracy: of the holdout, with ``low`` and ``high``.
        votes_per_training_vote: votes to pay for, holdout included, for one that trains.

    Returns:
        ``level`` ("go_on", "consider_stopping" or "unknown"), ``reasons`` for stopping, a ``sentence`` in plain words.
    """
    reasons = []
    stable = float(np.mean(agreements[-WINDOW:])) if len(agreements) >= WINDOW else None
    if curve is not None and curve["double"]["high"] < POINT:
        reasons.append(f"twice as many votes would add at most {_points(curve['double']['high'])} to the accuracy")
    if stable is not None and stable >= STABLE and batch is not None and batch["accuracy"] < SMALL:
        reasons.append(f"successive models agree to {100 * stable:.1f} %, and the next batch is expected to add little")
    if ceiling and accuracy and accuracy["high"] is not None and accuracy["high"] >= ceiling["value"]:
        reasons.append(f"people themselves agree so far that no model could exceed {100 * ceiling['value']:.1f} %")
    if reasons:
        return {
            "level": "consider_stopping",
            "reasons": reasons,
            "sentence": f"Consider stopping: {'; '.join(reasons)}.",
        }
    if curve is not None and curve["double"]["low"] > 0:
        return {"level": "go_on", "reasons": [], "sentence": _go_on(curve, votes_per_training_vote)}
    parts = ["It cannot be told yet whether going on pays"]
    if curve is not None:
        parts.append(f"the learning curve points to {_gain(curve['double'])} of accuracy for twice as many votes")
    if batch is not None:
        parts.append(f"the model expects +{_points(batch['accuracy'])} from the next {batch['votes']} votes")
    return {"level": "unknown", "reasons": [], "sentence": "; ".join(parts) + "."}


def _go_on(curve: Mapping[str, Any], factor: float) -> str:
    if curve["more"] is None:
        return f"Going on pays slowly: twice as many votes for {_gain(curve['double'])} of accuracy."
    more = _rounded(curve["more"] * factor)
    return f"Going on should pay: about {more:,} more votes for {_gain(curve['gain'])} of accuracy."


def _rounded(votes: float) -> int:
    """Two digits: nobody knows more."""
    scale = 10 ** max(int(np.floor(np.log10(max(votes, 1.0)))) - 1, 0)
    return int(np.ceil(votes / scale) * scale)


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _gain(found: Mapping[str, Any]) -> str:
    return f"+{100 * found['value']:.1f} points [{100 * found['low']:.1f}, {100 * found['high']:.1f}]"
