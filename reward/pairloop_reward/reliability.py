"""Flip rates of annotators: a grid posterior for each, under a Beta prior that all of them inform.

Annotator a swaps decisive votes with probability ε_a. With probability π the annotator is a spammer, whose votes have
nothing to do with the texts (ε_a = ½): sides by coin, or by a habit ξ ~ U(0, 1) of naming the left one; else
``2ε_a ~ Beta(2mκ, (1−2m)κ)`` with mean m and concentration κ. Given the chance ``s_i`` of vote i without flips, its
likelihood ``(1−2ε)s_i + ε`` is linear in ε, so that everything about one annotator is a table over a grid of ε. The
prior's (m, κ, π) are averaged over by their evidence ``∏_a ∫ ∏_i p_i(ε) dp(ε)`` (empirical Bayes, with a weak
hyperprior): an annotator with few votes gets what the others say of annotators, one with many gets their own.

ε stays in [0, ½]: an annotator who is wrong more often than chance counts as chance (Crowd-BT lets ε go to 1 and turns
such votes round; a reversed habit is then indistinguishable from a reward with the other sign in small pools).
Sources: Raykar et al. 2010 (JMLR 11:1297: learner and annotators fitted together, one vote an item);
Chen et al. 2013 (Crowd-BT, WSDM:193: flip rate of a pairwise annotator); Khetan, Lipton & Anandkumar 2018
(arXiv:1712.04577: single votes identify annotators through the model's predictions); Raykar & Yu 2012 (JMLR 13:491:
spammers as a class of their own); Hovy et al. 2013 (MACE, NAACL:1120: spammers with a habit of their own).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaln

from pairloop.posterior import IntArray
from pairloop.protocols import BoolArray
from pairloop_reward.likelihood import Float64

_CELLS = 48
_EDGES = np.sin(np.linspace(0.0, np.pi / 2.0, _CELLS + 1)) ** 2  # of 2ε; finest at both ends
NODES = np.append(np.sin((np.arange(_CELLS) + 0.5) * (np.pi / 2.0 / _CELLS)) ** 2, 1.0) / 2.0
"""(G,) flip rates of the grid: inside (0, ½), and ½ itself."""

_MEANS = np.array([0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])  # of 2ε
_CONCENTRATIONS = 2.0 ** np.arange(9)
_SPAMMERS = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.45])  # π
_SPAM_SHAPE = 3.0  # π ~ Beta(1, 1 + this)
_FLIP_SHAPE = 3.0  # 2m ~ Beta(1, 1 + this), as for the pooled flip rate
_TYPICAL_CONCENTRATION, _SPREAD = 16.0, float(np.log(4.0))  # log-normal: weak, matters for a handful of annotators
_HABITUAL = 0.1  # of the spammers, those who prefer a side; a handful of votes shows them whatever this is
_LEVEL = 0.95  # of the intervals
_CHUNK = 65_536  # votes at a time


@dataclass(frozen=True, slots=True)
class FlipPrior:
    """Candidate priors of ε with their log hyperprior.

    Attributes:
        mean, concentration: (K,) m and κ of each, of those who are no spammers. spammers: (K,) π.
        mass: (K, G) probability of each grid cell. log_weight: (K,).
    """

    mean: Float64
    concentration: Float64
    spammers: Float64
    mass: Float64
    log_weight: Float64

    @classmethod
    def standard(cls) -> "FlipPrior":
        """All combinations of the grids of m, κ and π."""
        axes = np.meshgrid(_MEANS, _CONCENTRATIONS, _SPAMMERS, indexing="ij")
        double, kappa, spam = (axis.ravel() for axis in axes)
        distance = np.log(kappa / _TYPICAL_CONCENTRATION) / _SPREAD
        log_weight = _FLIP_SHAPE * np.log1p(-double) + _SPAM_SHAPE * np.log1p(-spam) - 0.5 * distance**2
        cells = np.gradient(_MEANS)[:, None, None] * np.gradient(_SPAMMERS)[None, None, :]
        log_weight += np.log(np.broadcast_to(cells, axes[0].shape).ravel())
        return cls(double / 2.0, kappa, spam, _masses(double, kappa, spam), log_weight)

    @classmethod
    def fixed(cls, mean: float, concentration: float, spammers: float = 0.0) -> "FlipPrior":
        """One prior."""
        m, kappa, spam = (np.array([value]) for value in (mean, concentration, spammers))
        return cls(m, kappa, spam, _masses(2.0 * m, kappa, spam), np.zeros(1))


def _masses(double: Float64, concentration: Float64, spammers: Float64) -> Float64:
    """(K, G) mass of every cell; exact also where the Beta density has poles."""
    a, b = double * concentration, (1.0 - double) * concentration
    beta = np.diff(betainc(a[:, None], b[:, None], _EDGES[None, :]), axis=1)
    masses = np.concatenate([beta * (1.0 - spammers[:, None]), spammers[:, None]], axis=1)
    return np.asarray(np.maximum(masses, 1e-300))


@dataclass(frozen=True, slots=True)
class Flips:
    """Posterior of the flip rates.

    Attributes:
        mean, low, high: (A,) posterior means, and ends of central 95 % intervals.
        spammer: (A,) probability of being a spammer.
        left_out: (N,) posterior mean of ε_a from the annotator's *other* votes.
        new_mean, spammers: mean of ε and π of the prior, averaged over their posterior: a new annotator's.
    """

    mean: Float64
    low: Float64
    high: Float64
    spammer: Float64
    left_out: Float64
    new_mean: float
    spammers: float


def fixed_flips(flip_rate: float, votes: int, count: int) -> Flips:
    """The same known flip rate for every annotator."""
    same = np.full(count, flip_rate)
    return Flips(same, same, same, np.zeros(count), np.full(votes, flip_rate), flip_rate, 0.0)


def flip_posterior(
    chance: Float64, left: BoolArray, weight: Float64, annotator: IntArray, count: int, prior: FlipPrior
) -> Flips:
    """Posterior of ε_a for ``count`` annotators.

    Args:
        chance: (N,) probability of each decisive vote if nobody flipped; (N,) 1 for ties, which say nothing.
        left: (N,) the side that was named. weight: (N,) ≥ 0, 0 for ties. annotator: (N,) in [0, count).
    """
    spam, spam_vote = _spam(left, weight, annotator, count)
    table = np.concatenate([_log_likelihood(chance, weight, annotator, count), spam[:, None]], axis=1)
    scaled = np.exp(table - table.max(axis=1, keepdims=True))
    normaliser = scaled @ prior.mass.T  # (A, K)
    log_posterior = np.log(normaliser).sum(axis=0) + prior.log_weight
    belief = np.exp(log_posterior - log_posterior.max())
    belief /= belief.sum()
    probability = scaled * ((belief / normaliser) @ prior.mass)
    probability /= probability.sum(axis=1, keepdims=True)
    spammers = float(belief @ prior.spammers)
    new_mean = float(belief @ ((1.0 - prior.spammers) * prior.mean + prior.spammers / 2.0))
    left_out = _left_out_means(chance, spam_vote, weight, annotator, probability)
    return Flips(probability @ NODES, *_interval(probability), probability[:, -1], left_out, new_mean, spammers)


def _log_likelihood(chance: Float64, weight: Float64, annotator: IntArray, count: int) -> Float64:
    """(A, G − 1) log-likelihood of each annotator's votes at each ε below ½."""
    columns = [
        np.bincount(annotator, weight * np.log((1.0 - 2.0 * flip) * chance + flip), minlength=count)
        for flip in NODES[:-1]
    ]
    return np.stack(columns, axis=1)


def _spam(left: BoolArray, weight: Float64, annotator: IntArray, count: int) -> tuple[Float64, Float64]:
    """(A,) log-likelihood of the votes if they are spam, and (N,) what each vote adds to it given the others."""
    lefts, rights = (
        np.asarray(np.bincount(annotator, np.where(side, weight, 0.0), minlength=count), dtype=np.float64)
        for side in (left, ~left)
    )
    everything = _log_spam(lefts, rights)
    others = _log_spam(
        np.maximum(lefts[annotator] - np.where(left, weight, 0.0), 0.0),
        np.maximum(rights[annotator] - np.where(left, 0.0, weight), 0.0),
    )
    return everything, everything[annotator] - others


def _log_spam(lefts: Float64, rights: Float64) -> Float64:
    """log of (1 − h) · 2⁻ⁿ + h · ∫ ξ^lefts (1 − ξ)^rights dξ, where h is the share of spammers with a habit."""
    coin = np.log(1.0 - _HABITUAL) - (lefts + rights) * np.log(2.0)
    return np.asarray(np.logaddexp(coin, np.log(_HABITUAL) + betaln(1.0 + lefts, 1.0 + rights)))


def _interval(probability: Float64) -> tuple[Float64, Float64]:
    """(A,) lower and (A,) upper ends of central intervals, interpolated within the cells of the grid."""
    cumulative = np.concatenate([np.zeros((len(probability), 1)), np.cumsum(probability[:, :-1], axis=1)], axis=1)
    tails = ((1.0 - _LEVEL) / 2.0, (1.0 + _LEVEL) / 2.0)
    # beyond the last cell lies the mass at ½, where the interpolation stays
    low, high = (np.array([np.interp(tail, row, _EDGES / 2.0) for row in cumulative]) for tail in tails)
    mean = probability @ NODES  # outside where nearly all the mass lies at ½
    return np.minimum(low, mean), np.maximum(high, mean)


def _left_out_means(
    chance: Float64, spam: Float64, weight: Float64, annotator: IntArray, probability: Float64
) -> Float64:
    """(N,) E[ε_a | the other votes of a].

    With these, the head's score is the exact gradient of the likelihood with every ε_a integrated out, because each
    vote's likelihood is linear in ε (but for spammers with a preferred side); and a vote never argues itself away.
    """
    out = np.empty(len(chance))
    for start in range(0, len(chance), _CHUNK):
        rows = slice(start, start + _CHUNK)
        own = ((1.0 - 2.0 * NODES) * chance[rows, None] + NODES) ** weight[rows, None]
        own[:, -1] = np.exp(spam[rows])
        rest = probability[annotator[rows]] / own
        out[rows] = (rest @ NODES) / rest.sum(axis=1)
    return out
