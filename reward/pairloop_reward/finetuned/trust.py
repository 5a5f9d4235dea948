"""Whom to believe, before a network is trained: the joint fit of annotators on features that no vote has touched.

A network that was fine-tuned on a vote praises whoever cast it, so reliability is not judged by its last layer but by
the fixed features of the ``tfidf`` model, whose joint fit it is. The network then trains with each vote's flip rate and
offset, and its head and posterior use the same.
"""

from dataclasses import dataclass

import numpy as np

from pairloop.kit.threads import numeric_threads
from pairloop.protocols import TrainingData
from pairloop_reward.annotators import Annotators
from pairloop_reward.cache import DiskCache
from pairloop_reward.finetuned.options import FinetunedOptions
from pairloop_reward.joint import fit_joint, panel_of, summary
from pairloop_reward.likelihood import TIE, Float64, Votes
from pairloop_reward.options import TfidfOptions
from pairloop_reward.search import choose
from pairloop_reward.signal import require_finite, require_signal
from pairloop_reward.store import FeatureStore, fitted_featurizer

_TYPICAL = (1.0, 0.7)


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of the votes.

    Attributes:
        weight, flip, offset: (N,), as in `Votes`. flip_rate: of a new annotator. bias: the common position bias;
        log_tie: log ν. annotators: None where they are pooled. numbers: for the report.
    """

    weight: Float64
    flip: Float64
    offset: Float64
    flip_rate: float
    bias: float
    log_tie: float
    annotators: Annotators | None
    numbers: dict[str, float]


def stand_in_options(options: FinetunedOptions) -> TfidfOptions:
    """The ``tfidf`` model with the same view of votes."""
    return TfidfOptions(
        flip_rate=options.flip_rate, ties=options.ties, annotators=options.annotators,
        prelabel_shown_weight=options.prelabel_shown_weight,
    )  # fmt: skip


def judged(data: TrainingData, options: FinetunedOptions, cache: DiskCache) -> Trust:
    """Fit annotators, position and ties on fixed features.

    Raises:
        NoSignal: no vote, ties only, or one displayed side only. Diverged: a number is not finite.
    """
    same = stand_in_options(options)
    store = FeatureStore(fitted_featurizer(data.responses, data.trainable, same, cache), cache)
    features = store.features(data.responses)
    require_finite(features, data)
    weight = vote_weights(data, options)
    votes = Votes(features[data.left].astype(np.float64) - features[data.right], data.outcome, weight)
    require_signal(votes)
    with numeric_threads():
        chosen = choose(votes, data.group, store.featurizer.blocks, _TYPICAL, same.flip_rate)
        panel = panel_of(data, same)
        if panel is None:
            n, rate = len(votes), chosen.fit.flip_rate
            fit = chosen.fit
            return Trust(
                weight, np.full(n, rate), np.zeros(n), rate, fit.position_bias, float(fit.parameters[-1]), None, {}
            )
        joint = fit_joint(votes, panel, chosen.fit)
    found, fit = joint.votes, joint.fit
    flip = np.zeros(len(votes)) if found.flip is None else found.flip
    offset = np.zeros(len(votes)) if found.offset is None else found.offset
    people = summary(panel, joint)
    return Trust(
        weight, flip, offset, fit.flip_rate, fit.position_bias, float(fit.parameters[-1]), people, joint.numbers()
    )


def vote_weights(data: TrainingData, options: FinetunedOptions) -> Float64:
    """(N,) weights, with prelabels that were shown and ties as the options say."""
    anchored = np.where(data.prelabel_shown, options.prelabel_shown_weight, 1.0)
    counted = 1.0 if options.ties == "learn" else data.outcome != TIE
    return np.asarray(data.weight * anchored * counted, dtype=np.float64)
