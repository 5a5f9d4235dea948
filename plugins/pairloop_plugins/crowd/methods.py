"""Votes on pairs aggregated to one label a pair: majority, and four methods of the literature by crowd-kit.

Dawid & Skene 1979; Whitehill et al. 2009 (GLAD); Hovy et al. 2013 (MACE); Chen et al. 2013 (Crowd-BT). The methods
see (first, second) of the pair; only ``noisy-bt`` knows what was displayed on the left.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from pairloop.kit.extras import require
from pairloop.kit.threads import numeric_threads
from pairloop.protocols import Aggregated, Aggregator, Labels
from pairloop_plugins.crowd.noisy_bt import Float64, Ints, fit_noisy_bt

FIRST, SECOND, TIE = range(3)
_LABELS = ("first", "second", "tie")


def majority(labels: Labels) -> Aggregated:
    """Share of the votes for the first response; knows no skills."""
    value = np.array([1.0, 0.0, 0.5])[labels.choice]
    n = np.bincount(labels.pair, minlength=len(labels.first))
    share = np.bincount(labels.pair, value, len(labels.first)) / np.maximum(n, 1)
    return Aggregated(np.where(n > 0, share, 0.5), np.full(labels.people, np.nan))


def dawid_skene(labels: Labels) -> Aggregated:
    """Confusion matrices by EM; skill is the mean chance to say what is right."""
    model = _crowdkit().DawidSkene()
    p = _probabilities(model.fit_predict_proba(_frame(labels)), labels)
    right = np.full(labels.people, np.nan)
    for worker, table in model.errors_.groupby(level="worker"):
        said = table.droplevel("worker")
        right[int(worker)] = np.mean([float(said.loc[label, label]) if label in said.index else 0.0 for label in said])
    return Aggregated(p, right)


def glad(labels: Labels) -> Aggregated:
    """Ability of people and difficulty of pairs; skill is the ability α."""
    model = _crowdkit().GLAD(silent=True)
    p = _probabilities(model.fit_predict_proba(_frame(labels)), labels)
    return Aggregated(p, model.alphas_.reindex(range(labels.people)).to_numpy(dtype=np.float64))


def mace(labels: Labels, restarts: int = 10) -> Aggregated:
    """Spammers with a habit of their own; skill is the chance not to spam. The best of ``restarts`` fits."""
    model = _crowdkit().MACE(n_restarts=restarts, random_state=0, verbose=0)
    p = _probabilities(model.fit_predict_proba(_frame(labels)), labels)
    workers = list(dict.fromkeys(labels.annotator.tolist()))
    skill = np.full(labels.people, np.nan)
    skill[workers] = np.asarray(model.spamming_)[:, 1]
    return Aggregated(p, skill)


def noisy_bt(labels: Labels) -> Aggregated:
    """Crowd-BT with the right gradient (`pairloop_plugins.crowd.noisy_bt`); ties are left out. Needs no crowd-kit."""
    left, right, chose_left, annotator = _displayed(labels)
    if not len(left):
        return majority(labels)
    with numeric_threads():
        fit = fit_noisy_bt(left, right, chose_left, annotator)
    skill = np.full(labels.people, np.nan)
    skill[: len(fit.skill)] = fit.skill
    score = np.zeros(max(int(labels.first.max()), int(labels.second.max())) + 1)
    score[: len(fit.score)] = fit.score
    return Aggregated(np.asarray(expit(score[labels.first] - score[labels.second])), skill)


def noisy_bt_crowdkit(labels: Labels) -> Aggregated:
    """Crowd-BT as crowd-kit publishes it, wrong gradient included; ties are left out."""
    import pandas as pd

    left, right, chose_left, annotator = _displayed(labels)
    frame = pd.DataFrame(
        {"worker": annotator, "left": left, "right": right, "label": np.where(chose_left, left, right)}
    )
    model = _crowdkit().NoisyBradleyTerry()
    model.fit(frame)
    size = max(int(labels.first.max()), int(labels.second.max())) + 1
    score = logit(np.clip(model.scores_.reindex(range(size)).fillna(0.5).to_numpy(dtype=np.float64), 1e-12, 1 - 1e-12))
    skill = model.skills_.reindex(range(labels.people)).to_numpy(dtype=np.float64)
    return Aggregated(np.asarray(expit(score[labels.first] - score[labels.second])), skill)


METHODS: Mapping[str, Aggregator] = {
    "majority": majority,
    "dawid-skene": dawid_skene,
    "glad": glad,
    "mace": mace,
    "noisy-bt": noisy_bt,
    "noisy-bt-crowdkit": noisy_bt_crowdkit,
}


def _displayed(labels: Labels) -> tuple[Ints, Ints, NDArray[np.bool_], Ints]:
    """Decisive votes as (left, right, left was chosen, annotator)."""
    rows = np.flatnonzero(labels.choice != TIE)
    first, second, flipped = labels.first[labels.pair[rows]], labels.second[labels.pair[rows]], labels.flipped[rows]
    chose_left = (labels.choice[rows] == FIRST) != flipped
    return np.where(flipped, second, first), np.where(flipped, first, second), chose_left, labels.annotator[rows]


def _frame(labels: Labels) -> Any:
    import pandas as pd

    said: Sequence[str] = [_LABELS[choice] for choice in labels.choice.tolist()]
    return pd.DataFrame({"task": labels.pair, "worker": labels.annotator, "label": said})


def _probabilities(table: Any, labels: Labels) -> Float64:
    wide = table.reindex(index=range(len(labels.first)), columns=list(_LABELS)).fillna(0.0).to_numpy(dtype=np.float64)
    known = wide.sum(axis=1) > 0
    return np.where(known, wide[:, FIRST] + 0.5 * wide[:, TIE], 0.5)


def _crowdkit() -> Any:
    return require("crowdkit.aggregation", extra="crowd", purpose="aggregation by crowd-kit")
