"""Reward head and annotators fitted together: coordinate ascent around the head's Newton fit.

Round by round: every vote is predicted by the head *without that vote* (one scoring step, as in `crossfit`), so that a
head which memorised a vote does not praise its annotator; these predictions say which habits annotators have
(`effects`) and how often they flip (`reliability`); then the head is refitted with each vote's own flip rate and
offset. An annotator of a single vote keeps the pool's flip rate.

Length biases of single annotators are estimated for the report and not taken out of the votes: in simulations that
gained nothing even where they were real, and annotators who see few prompts make the prompts' own taste for length
look like theirs.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit

from pairloop.posterior import IntArray
from pairloop.protocols import TrainingData
from pairloop_reward.annotators import Annotators
from pairloop_reward.crossfit import with_constant
from pairloop_reward.effects import (
    Effects,
    Observed,
    average_effects,
    effect_covariance,
    fit_effects,
    left_out_effects,
    moderation,
    no_effects,
)
from pairloop_reward.head import HeadFit, fit_head, terms_at
from pairloop_reward.laplace import cholesky, whiten
from pairloop_reward.likelihood import LEFT, TIE, Float64, Votes, vote_terms
from pairloop_reward.options import LinearOptions
from pairloop_reward.reliability import FlipPrior, Flips, fixed_flips, flip_posterior

_ROUNDS = 10
_ENOUGH_FLIP, _ENOUGH_OFFSET = 2e-3, 1e-2  # a round that changes no vote by more is the last
_TOLERANCE = 1e-4  # nats, of the head's fit within the rounds
_Z = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True, slots=True)
class Panel:
    """Who cast the votes, and what is assumed about them.

    Attributes:
        annotator: (N,) numbers from 0 to A − 1.
        length: (N,) standardised difference of log-lengths, left minus right; None leaves length biases out.
        prior: of the flip rates; None keeps the pooled head's rate for everybody.
        scales: σ_b and σ_c; None averages over them by evidence.
        names: A names, for the table.
    """

    annotator: IntArray
    length: Float64 | None = None
    prior: FlipPrior | None = None
    scales: tuple[float, float] | None = None
    names: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """A."""
        return int(self.annotator.max()) + 1

    @property
    def tells_annotators_apart(self) -> bool:
        """Two annotators at least, one of whom voted twice; else there is a pool and nothing more."""
        votes = np.bincount(self.annotator)
        return int((votes > 0).sum()) > 1 and int(votes.max()) > 1


@dataclass(frozen=True, slots=True)
class Joint:
    """What the joint fit found.

    Attributes:
        votes: the votes with the flip rate and offset of each. fit: the head at them.
        flips, effects: posterior of the annotators. rounds: rounds of coordinate ascent.
    """

    votes: Votes
    fit: HeadFit
    flips: Flips
    effects: Effects
    rounds: int

    def numbers(self) -> dict[str, float]:
        """What a report says of the annotators as a whole."""
        return {
            "annotators": float(len(self.flips.mean)),
            "flip_rate_new_annotator": self.flips.new_mean,
            "spammer_share": self.flips.spammers,
            "position_bias_spread": self.effects.scales[0],
            "length_bias_spread": self.effects.scales[1],
            "reliability_rounds": float(self.rounds),
        }


def fit_joint(votes: Votes, panel: Panel, pooled: HeadFit) -> Joint:
    """Fit head and annotators together, from a head that pools all annotators; its prior of the weights is kept."""
    current = replace(votes, flip=np.full(len(votes), pooled.flip_rate), offset=np.zeros(len(votes)))
    fit, effects, rounds = pooled, no_effects(panel.count), 0
    while True:
        rounds += 1
        observed = _observed(current, fit, panel)
        flips = _flips(observed, panel, effects, pooled.flip_rate)
        # a spammer looks like somebody with the opposite of every taste that all share: no evidence of such habits
        observed = replace(observed, flip=flips.left_out, honest=1.0 - flips.spammer)
        effects = _effects(observed, panel, effects)
        before, current = (
            current,
            replace(current, flip=flips.left_out, offset=effects.offset(observed.length, panel.annotator)),
        )
        if rounds == _ROUNDS or (rounds > 1 and _settled(before, current)):
            break
        fit = fit_head(current, pooled.prior, pooled.flip_rate, start=fit.parameters, tolerance=_TOLERANCE)
    shares = np.bincount(panel.annotator, votes.weight, minlength=panel.count) / votes.weight.sum()
    fit = fit_head(current, pooled.prior, float(shares @ flips.mean), start=fit.parameters)
    shown = _shown(current, fit, panel, flips, effects)
    return Joint(current, _with_uncertain_effects(fit, current, panel, effects), flips, shown, rounds)


def _settled(before: Votes, after: Votes) -> bool:
    if before.flip is None or after.flip is None or before.offset is None or after.offset is None:
        return False
    moved = np.abs(after.offset - before.offset).max(), np.abs(after.flip - before.flip).max()
    return bool(moved[0] < _ENOUGH_OFFSET and moved[1] < _ENOUGH_FLIP)


def panel_of(data: TrainingData, options: LinearOptions) -> Panel | None:
    """The annotators of the votes, or None where one flip rate for all is wanted or all that can be known."""
    seen, annotator = np.unique(data.annotator, return_inverse=True)
    names = tuple(data.annotators[number] for number in seen.tolist())
    # without surface features the reward has no length, and what all share would end up as everybody's own habit
    length = _log_length_difference(data, options) if options.surface else None
    prior = FlipPrior.standard() if options.flip_rate is None else None
    panel = Panel(np.asarray(annotator, dtype=np.intp), length, prior, names=names)
    return panel if options.annotators == "joint" and panel.tells_annotators_apart else None


def _log_length_difference(data: TrainingData, options: LinearOptions) -> Float64:
    """(N,) log-length of the left response over the right one, in root mean squares."""
    length = np.log1p([min(len(response.text), options.max_characters) for response in data.responses])
    difference = length[data.left] - length[data.right]
    scale = float(np.sqrt(np.mean(difference**2)))
    return np.asarray(difference / (scale or 1.0))


def left_out_margins(votes: Votes, fit: HeadFit) -> tuple[Float64, Float64]:
    """(N,) margins without offsets, and their variances, each from a head that has not seen the vote.

    Leave-one-out by one scoring step (Pregibon 1981; Rad & Maleki 2020), at the price of one triangular solve.
    """
    design, terms = with_constant(votes.difference), terms_at(votes, fit.parameters, fit.flip_rate)
    variance = (whiten(design, fit.factor[:-1, :-1]) ** 2).sum(axis=1)
    variance = variance / (1.0 - np.minimum(votes.weight * terms.information_margin * variance, 1.0 - 1e-9))
    return design @ fit.parameters[:-1] - variance * votes.weight * terms.score_margin, variance


def _observed(votes: Votes, fit: HeadFit, panel: Panel) -> Observed:
    margin, variance = left_out_margins(votes, fit)
    return Observed(
        margin=margin,
        variance=variance,
        length=np.zeros(len(votes)) if panel.length is None else panel.length,
        flip=np.zeros(len(votes)) if votes.flip is None else votes.flip,
        outcome=votes.outcome,
        weight=votes.weight,
        annotator=panel.annotator,
        honest=np.ones(panel.count),
        log_tie=float(fit.parameters[-1]),
        count=panel.count,
    )


def _effects(observed: Observed, panel: Panel, start: Effects) -> Effects:
    """Position biases; those of length are for the report alone (see the module's first lines)."""
    if panel.scales is not None:
        return fit_effects(observed, panel.scales, start.values)
    return average_effects(observed, start, length=False)


def _shown(votes: Votes, fit: HeadFit, panel: Panel, flips: Flips, effects: Effects) -> Effects:
    """The effects with length biases, as reported."""
    if panel.length is None or panel.scales is not None:
        return effects
    observed = replace(_observed(votes, fit, panel), honest=1.0 - flips.spammer)
    return average_effects(observed, effects, length=True)


def _flips(observed: Observed, panel: Panel, effects: Effects, pooled: float) -> Flips:
    if panel.prior is None:
        return fixed_flips(pooled, len(observed.margin), panel.count)
    plain = observed.margin * observed.shrink
    offset, uncertainty = left_out_effects(observed, effects)
    margin = (observed.margin + offset) * moderation(observed.variance + uncertainty)
    decisive = observed.outcome != TIE
    chance = np.where(decisive, expit(np.where(observed.outcome == LEFT, margin, -margin)), 1.0)
    # a vote that a habit decided says little about flips: who always clicks left "never flips" either
    open_minded = np.minimum(expit(margin) * expit(-margin) / np.maximum(expit(plain) * expit(-plain), 1e-300), 1.0)
    weight = np.where(decisive, observed.weight * open_minded, 0.0)
    return flip_posterior(chance, observed.outcome == LEFT, weight, panel.annotator, panel.count, panel.prior)


def _with_uncertain_effects(fit: HeadFit, votes: Votes, panel: Panel, effects: Effects) -> HeadFit:
    """The head with the annotators' effects integrated out of its precision (Schur complement).

    The uncertainty of the flip rates is not: the information of a vote is the expected one at its ε.
    """
    if not any(effects.scales):
        return fit
    terms = terms_at(votes, fit.parameters, fit.flip_rate)
    about_margin, about_tie = (votes.weight * each for each in (terms.information_margin, terms.information_cross))
    length = np.zeros(len(votes)) if panel.length is None else panel.length
    cross = np.stack(
        [_cross_information(votes, panel, about_margin * by, about_tie * by) for by in (np.ones(len(votes)), length)],
        axis=2,
    )  # (A, d + 2, 2)
    loaded = cross @ effect_covariance(about_margin, length, panel.annotator, panel.count, effects.scales)
    width = cross.shape[1]
    lost = loaded.transpose(1, 0, 2).reshape(width, -1) @ cross.transpose(1, 0, 2).reshape(width, -1).T
    precision = fit.precision - (lost + lost.T) / 2.0
    return replace(fit, precision=precision, factor=cholesky(precision))


def _cross_information(votes: Votes, panel: Panel, about_margin: Float64, about_tie: Float64) -> Float64:
    """(A, d + 2) information that ties each annotator's effect to (w, b, u)."""
    by_annotator = csr_matrix((about_margin, (panel.annotator, np.arange(len(votes)))), shape=(panel.count, len(votes)))
    others = [np.bincount(panel.annotator, each, minlength=panel.count) for each in (about_margin, about_tie)]
    return np.concatenate([by_annotator @ votes.difference, np.stack(others, axis=1)], axis=1)


def summary(panel: Panel, joint: Joint) -> Annotators:
    """The table of annotators."""
    votes, flips, effects, bias = joint.votes, joint.flips, joint.effects, joint.fit.position_bias
    # where the pool's bias is off, the annotator's own makes up for it, but for its shrinkage
    pool = np.linalg.inv(joint.fit.precision)[-2, -2] * (effects.covariance[:, 0, 0] / _square(effects.scales[0])) ** 2
    spread = _Z * np.sqrt(effects.deviation**2 + np.stack([pool, np.zeros(panel.count)], axis=1))
    position, length = bias + effects.values[:, 0], effects.values[:, 1]
    return Annotators(
        names=panel.names,
        votes=np.bincount(panel.annotator, minlength=panel.count).astype(np.float64),
        flip_rate=flips.mean,
        flip_low=flips.low,
        flip_high=flips.high,
        spammer=flips.spammer,
        position_bias=position,
        position_low=position - spread[:, 0],
        position_high=position + spread[:, 0],
        length_bias=length,
        length_low=length - spread[:, 1],
        length_high=length + spread[:, 1],
        weight=_weights(votes, panel, joint),
    )


def _square(scale: float) -> float:
    return scale**2 if scale else np.inf


def _weights(votes: Votes, panel: Panel, joint: Joint) -> Float64:
    """(A,) information of the votes as a share of that of a perfect annotator's, who was asked the same."""
    theta = joint.fit.parameters
    plain, log_tie = votes.difference @ theta[:-2], float(theta[-1])
    actual = vote_terms(votes.shifted(plain + theta[-2]), log_tie, joint.flips.mean[panel.annotator], votes.outcome)
    perfect = vote_terms(plain, log_tie, 0.0, votes.outcome)
    counted = np.where(votes.weight > 0.0, 1.0, 0.0)
    sums = [
        np.bincount(panel.annotator, counted * terms.information_margin, minlength=panel.count)
        for terms in (actual, perfect)
    ]
    return np.minimum(sums[0] / np.maximum(sums[1], 1e-300), 1.0)
