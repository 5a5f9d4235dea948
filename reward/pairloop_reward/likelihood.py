"""The likelihood of single votes: Bradley–Terry with Davidson ties, flips and a position bias.

With the margin ``η = w·(ψ_left − ψ_right) + b + o`` of a displayed pair (o: habits of the annotator), ``u = log ν`` and
``C = 2 cosh(η/2)``::

    P(tie)  = ν / (C + ν)                                   (Davidson 1970, JASA 65:317)
    P(left) = C / (C + ν) · ((1 − 2ε) σ(η) + ε)             a decisive vote is swapped with probability ε
    P(right)= C / (C + ν) · ((1 − 2ε) σ(−η) + ε)

``b`` is the advantage of the left side (an order effect as in Davidson & Beaver 1977). Swapping the two sides of
every vote and mirroring the outcomes gives the same ``w`` and ``−b``. Everything is float64 and written with
logarithms, so that margins of any size stay finite.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from pairloop.posterior import FloatArray, IntArray

Float64 = NDArray[np.float64]
LEFT, RIGHT, TIE = 0, 1, 2
"""Values of ``outcome``."""


@dataclass(frozen=True, slots=True)
class Votes:
    """What the head learns from.

    Attributes:
        difference: (N, d) features of the left response minus those of the right one.
        outcome: (N,) 0 left, 1 right, 2 tie.
        weight: (N,) ≥ 0.
        flip: (N,) flip rate of each vote in [0, ½]; None where all share one.
        offset: (N,) added to the margin: position and length bias of the annotator; None for none.
    """

    difference: Float64
    outcome: IntArray
    weight: Float64
    flip: Float64 | None = None
    offset: Float64 | None = None

    def __len__(self) -> int:
        return len(self.outcome)

    def subset(self, rows: NDArray[np.bool_] | IntArray) -> "Votes":
        """The votes under a mask or row numbers."""
        flip, offset = (None if each is None else each[rows] for each in (self.flip, self.offset))
        return Votes(self.difference[rows], self.outcome[rows], self.weight[rows], flip, offset)

    def flips(self, shared: float) -> "float | Float64":
        """The flip rates of the votes, or ``shared`` where they have none of their own."""
        return shared if self.flip is None else self.flip

    def shifted(self, margin: Float64) -> Float64:
        """(N,) margins with the offsets added."""
        return margin if self.offset is None else margin + self.offset


@dataclass(frozen=True, slots=True)
class VoteTerms:
    """Per-vote log-likelihood, its score and information in (η, u); (N,) arrays, unweighted.

    Attributes:
        information_margin, information_cross, information_tie: expected information of a vote.
        curvature_margin: −∂²/∂η² at the observed outcome; with flips it may be negative. The other two curvatures
            equal the expected ones.
    """

    log_likelihood: Float64
    score_margin: Float64
    score_tie: Float64
    information_margin: Float64
    information_cross: Float64
    information_tie: Float64
    curvature_margin: Float64


def vote_terms(margin: Float64, log_tie: float, flip_rate: float | Float64, outcome: IntArray) -> VoteTerms:
    """Everything that a Fisher scoring step needs, for (N,) margins and one flip rate or (N,) of them.

    The expected information follows from the three probabilities: with t = P(tie), h = tanh(η/2)/2 and the
    information D of a decisive vote about its own side, ``I_ηη = t(1−t)h² + (1−t)D``, ``I_ηu = −t(1−t)h``,
    ``I_uu = t(1−t)``. At ε = 0 it is the observed information too.
    """
    log_cosh2 = np.logaddexp(margin / 2.0, -margin / 2.0)
    log_norm = np.logaddexp(log_cosh2, log_tie)
    tie = np.exp(log_tie - log_norm)
    half_tanh = np.tanh(margin / 2.0) / 2.0
    log_left, log_right = side_log_probabilities(margin, flip_rate)
    # (1−2ε) σ(η) σ(−η): the slope of P(left | decisive), as a logarithm because it under- and overflows early
    with np.errstate(divide="ignore"):  # a slope of zero at ε = ½
        log_slope = np.log1p(-2.0 * flip_rate) + log_expit(margin) + log_expit(-margin)

    between, side_variance = tie * (1.0 - tie), 0.25 - half_tanh**2
    is_tie, is_left = outcome == TIE, outcome == LEFT
    log_side = np.where(is_left, log_left, log_right)
    side_score = np.where(is_left, np.exp(log_slope - log_left), -np.exp(log_slope - log_right))
    side_curvature = side_score**2 + 2.0 * half_tanh * side_score - tie * side_variance
    return VoteTerms(
        log_likelihood=np.where(is_tie, log_tie - log_norm, log_cosh2 - log_norm + log_side),
        score_margin=np.where(is_tie, -(1.0 - tie) * half_tanh, tie * half_tanh + side_score),
        score_tie=np.where(is_tie, 1.0 - tie, -tie),
        information_margin=between * half_tanh**2 + (1.0 - tie) * np.exp(2.0 * log_slope - log_left - log_right),
        information_cross=-between * half_tanh,
        information_tie=between,
        curvature_margin=between * half_tanh**2 + np.where(is_tie, (1.0 - tie) * side_variance, side_curvature),
    )


def side_log_probabilities(margin: Float64, flip_rate: float | Float64) -> tuple[Float64, Float64]:
    """log P(left | decisive) and log P(right | decisive) at (N,) margins, flips included."""
    if np.ndim(flip_rate) == 0 and flip_rate == 0.0:
        return log_expit(margin), log_expit(-margin)
    with np.errstate(divide="ignore"):  # log 0 = −∞ is what is meant at ε = 0 and ε = ½
        keep, swap = np.log1p(-2.0 * flip_rate), np.log(flip_rate)
    return np.logaddexp(keep + log_expit(margin), swap), np.logaddexp(keep + log_expit(-margin), swap)


def probabilities(margin: FloatArray, tie: float, flip_rate: float) -> Float64:
    """(N, 3) probabilities of left, right and tie."""
    cosh2 = 2.0 * np.cosh(np.clip(margin, -700, 700) / 2.0)
    p_tie = tie / (cosh2 + tie)
    left = (1.0 - 2.0 * flip_rate) * expit(margin) + flip_rate
    return np.stack([(1.0 - p_tie) * left, (1.0 - p_tie) * (1.0 - left), p_tie], axis=1)
