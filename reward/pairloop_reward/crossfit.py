"""How well a fit predicts groups that it has not seen, at the price of one more scoring step.

The evidence treats votes as exchangeable. They are not: votes on one prompt share its few responses, and a head
that memorises those explains every further vote on them, so the evidence asks for ever weaker priors where groups
are many and small. Leaving whole groups out asks what a campaign wants to know, and needs no extra label.
"""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_solve

from pairloop.posterior import IntArray
from pairloop_reward.head import HeadFit, score_and_information
from pairloop_reward.laplace import cholesky, whiten
from pairloop_reward.likelihood import Float64, Votes, vote_terms


def group_folds(group: IntArray, folds: int) -> list[IntArray]:
    """Row numbers of up to ``folds`` parts of the votes; a group is never parted, and parts are of similar size."""
    groups, index, sizes = np.unique(group, return_inverse=True, return_counts=True)
    load = np.zeros(min(folds, len(groups)), dtype=np.intp)
    part = np.empty(len(groups), dtype=np.intp)
    for number in np.argsort(-sizes, kind="stable"):
        part[number] = int(np.argmin(load))
        load[part[number]] += sizes[number]
    return [np.flatnonzero(part[index] == k) for k in range(len(load))]


def held_out_log_likelihood(parts: Sequence[Votes], fit: HeadFit) -> float:
    """Σ log p(votes of a part | votes of the other parts) in nats, with margins moderated by their variance.

    The fit without a part is one scoring step from the full fit, where the gradient of the rest is minus that of
    the part (leave-one-out by influence functions: Pregibon 1981; Rad & Maleki 2020).
    """
    return sum(_part(votes, fit) for votes in parts)


def _part(votes: Votes, fit: HeadFit) -> float:
    score, information = score_and_information(votes, fit.parameters, fit.flip_rate)
    factor = cholesky(fit.precision - information)
    theta = fit.parameters - cho_solve((factor, True), score)
    design = with_constant(votes.difference)
    variance = (whiten(design, factor[:-1, :-1]) ** 2).sum(axis=1)
    moderated = votes.shifted(design @ theta[:-1]) / np.sqrt(1.0 + np.pi * variance / 8.0)
    flips = votes.flips(fit.flip_rate)
    return float(votes.weight @ vote_terms(moderated, float(theta[-1]), flips, votes.outcome).log_likelihood)


def with_constant(difference: Float64) -> Float64:
    """(n, d + 1): the features and the constant of the position bias."""
    return np.concatenate([difference, np.ones((len(difference), 1))], axis=1)
