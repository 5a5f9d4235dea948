"""What a fit found out about each annotator, with 95 % intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairloop_reward.likelihood import Float64


@dataclass(frozen=True, slots=True)
class Annotators:
    """The annotators of a fit; all arrays are (A,).

    Attributes:
        names: A names.
        votes: number of votes, ties included.
        flip_rate, flip_low, flip_high: probability that a decisive vote says the opposite, in [0, ½].
        spammer: probability that the votes have nothing to do with the texts (ε = ½).
        position_bias, position_low, position_high: log-odds advantage of the left side, the pool's included.
        length_bias, length_low, length_high: log-odds for one standard deviation of log-length, beyond the pool.
        weight: information of this annotator's votes about the reward, as a share of what the same votes would tell
            from somebody without flips and biases; a spammer's is near 0.
    """

    names: tuple[str, ...]
    votes: Float64
    flip_rate: Float64
    flip_low: Float64
    flip_high: Float64
    spammer: Float64
    position_bias: Float64
    position_low: Float64
    position_high: Float64
    length_bias: Float64
    length_low: Float64
    length_high: Float64
    weight: Float64

    def table(self) -> dict[str, dict[str, float]]:
        """Annotator → name of the number → number, most votes first."""
        order = np.lexsort((np.arange(len(self.names)), -self.votes))
        rows = self.array().tolist()
        return {self.names[row]: dict(zip(_columns(), rows[row], strict=True)) for row in order.tolist()}

    def array(self) -> Float64:
        """(A, columns) all numbers, in the order of the attributes."""
        return np.stack([getattr(self, name) for name in _columns()], axis=1)

    @classmethod
    def from_array(cls, names: Sequence[str], rows: NDArray[Any]) -> "Annotators":
        """The inverse of `array`."""
        return cls(tuple(names), *np.ascontiguousarray(rows.T))


def _columns() -> list[str]:
    return [each.name for each in fields(Annotators)][1:]
