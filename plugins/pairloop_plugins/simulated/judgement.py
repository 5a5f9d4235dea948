"""What an annotator says about a pair: pure functions of the pair, the annotator and named uniform draws.

The order is that of B-Pref (Lee et al. 2021, ``get_label`` of its reward model): skip → equal → rational choice →
mistake. Skip and equal look at the whole gold score, the choice at the discounted one, and a tie is never turned round
by a mistake. Shown prelabels are copied before the annotator looks, spammers never look.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from pairloop.records import Choice
from pairloop_plugins.simulated.annotators import Annotator
from pairloop_plugins.simulated.options import AnnotatorOptions, Behaviour
from pairloop_plugins.simulated.perception import Seen
from pairloop_plugins.simulated.reference import Reference, quantile

Draw = Callable[[str], float]
"""A uniform number in [0, 1) for each name; the same name gives the same number."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Absolute thresholds in gold scores (None: never), and the unit of margins."""

    skip: float | None
    equal: float | None
    unit: float


def thresholds(kind: AnnotatorOptions, reference: Reference, scale: float | None) -> Thresholds:
    """Thresholds of a kind of annotator; ``scale`` None takes the reference's unit."""
    return Thresholds(
        kind.skip_below if kind.skip_below is not None else quantile(reference.bests, kind.skip),
        kind.equal_within if kind.equal_within is not None else quantile(reference.gaps, kind.equal),
        reference.unit() if scale is None else scale,
    )


def decide(annotator: Annotator, limits: Thresholds, seen: Seen, perceived: float, draw: Draw) -> Choice:
    """The answer of a teacher or a spammer.

    Args:
        perceived: gold score of the left minus that of the right response, as a myopic reader takes them.
    """
    kind = annotator.kind
    if kind.behaviour is not Behaviour.TEACHER:
        return _spam(kind.behaviour, seen, draw)
    if limits.skip is not None and seen.best <= limits.skip:
        return Choice(kind.skip_as)
    if limits.equal is not None and seen.gap <= limits.equal:
        return Choice.TIE
    margin = perceived / limits.unit + kind.position_bias + kind.length_bias * length_ratio(seen)
    choice = Choice.LEFT if draw("choice") < p_left(margin, annotator.ability) else Choice.RIGHT
    wrong = min(kind.mistake + kind.fatigue * draw("place"), 1.0)
    return choice.mirrored() if draw("mistake") < wrong else choice


def p_left(margin: float, ability: float) -> float:
    """σ(β·margin); with infinite β 0, ½ or 1."""
    if margin == 0 or ability == 0:
        return 0.5
    exponent = ability * margin
    if exponent >= 0:
        return 1.0 / (1.0 + math.exp(-exponent))
    return math.exp(exponent) / (1.0 + math.exp(exponent))


def length_ratio(seen: Seen) -> float:
    """ln((1 + words on the left) / (1 + words on the right))."""
    return math.log((1 + seen.words_left) / (1 + seen.words_right))


def delay(kind: AnnotatorOptions, draw: Draw) -> int:
    """Ticks until the answer: exponential with mean ``latency``, rounded down.

    It uses the draw that places the task in the annotator's session, so that the tired answers are the late ones.
    """
    return math.floor(-kind.latency * math.log1p(-draw("place")))


def _spam(behaviour: Behaviour, seen: Seen, draw: Draw) -> Choice:
    coin = Choice.LEFT if draw("choice") < 0.5 else Choice.RIGHT
    longer = coin
    if seen.words_left != seen.words_right:
        longer = Choice.LEFT if seen.words_left > seen.words_right else Choice.RIGHT
    return {
        Behaviour.LEFT: Choice.LEFT,
        Behaviour.RIGHT: Choice.RIGHT,
        Behaviour.LONGER: longer,
        Behaviour.SHORTER: longer.mirrored(),
    }.get(behaviour, coin)
