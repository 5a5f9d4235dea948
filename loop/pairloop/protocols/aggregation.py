"""Aggregation of votes to one label a pair: what the literature does, to compare the joint fit with."""

from collections.abc import Callable
from dataclasses import dataclass

from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols.models import BoolArray


@dataclass(frozen=True, slots=True)
class Labels:
    """N votes on P pairs by A annotators.

    Attributes:
        pair, annotator: (N,) numbers. choice: (N,) 0 first, 1 second, 2 tie. flipped: (N,) True where the second
            response was displayed on the left.
        first, second: (P,) numbers of the responses of each pair.
    """

    pair: IntArray
    annotator: IntArray
    choice: IntArray
    flipped: BoolArray
    first: IntArray
    second: IntArray

    @property
    def people(self) -> int:
        """A."""
        return int(self.annotator.max()) + 1


@dataclass(frozen=True, slots=True)
class Aggregated:
    """(P,) probability that the first response is preferred, ties as halves; (A,) skill, NaN where there is none.

    Skills have the method's own unit; bigger is better.
    """

    p_first: FloatArray
    skill: FloatArray


Aggregator = Callable[[Labels], Aggregated]
"""Turns votes into labels; deterministic."""
