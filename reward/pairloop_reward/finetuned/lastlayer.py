"""The last layer as features: the network's own reward, and leading directions of what else the layer holds.

The head of the posterior is fitted on these few numbers: the first rescales what the network learned, the others let it
be corrected, and say where the network knows little. All of it is linear in the last layer, so that the fitted head is
one weight vector of a plain sequence classifier again. (Last-layer Laplace: Kristiadi et al. 2020; Daxberger et al.
2021, with the weights re-fitted instead of kept.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pairloop.errors import Diverged
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray
from pairloop.records import ResponseView
from pairloop_reward.features import prompt_index
from pairloop_reward.likelihood import Float64
from pairloop_reward.textspace import principal_directions, within_prompt


@dataclass(frozen=True, slots=True)
class LastLayer:
    """A linear map from hidden states to features.

    Attributes:
        matrix: (d, 1 + k) first the network's own head, then directions; scaled so that two responses to one prompt are
            at mean squared distance 1 by the first column, and by the others together.
        mean: (d,) of the trainable responses' states. own: whether the first column is there.
    """

    matrix: Float64
    mean: Float64
    own: bool

    @property
    def blocks(self) -> tuple[int, int]:
        """Columns of the network's reward (0 or 1), and of the directions."""
        return int(self.own), self.matrix.shape[1] - int(self.own)

    def features(self, hidden: FloatArray) -> Float64:
        """(R, 1 + k) centred features of (R, d) states."""
        return np.asarray((hidden.astype(np.float64) - self.mean) @ self.matrix)

    def weights(self, head: Float64) -> Float64:
        """(d,) weights of the last layer that a head (1 + k,) on the features amounts to."""
        return np.asarray(self.matrix @ head)


def fit_last_layer(
    hidden: FloatArray, responses: Sequence[ResponseView], trainable: BoolArray, own: FloatArray | None, k: int
) -> LastLayer:
    """The map for (R, d) states of the responses, learned from the trainable ones; ``own``: (d,) the network's head.

    Raises:
        Diverged: a state is not finite.
    """
    if not np.isfinite(hidden).all():
        raise Diverged("the network's last layer is not finite", "Lower the learning rate, or use another model.")
    seen = np.flatnonzero(trainable)
    rows = hidden[seen].astype(np.float64)
    mean = rows.mean(axis=0) if len(rows) else np.zeros(hidden.shape[1])
    prompt, freedom = prompt_index([responses[i] for i in seen.tolist()])
    columns = []
    with numeric_threads():
        if own is not None:
            score = (rows - mean) @ own.astype(np.float64)
            columns.append((own.astype(np.float64) / (_spread(score[:, None], prompt, freedom) or 1.0))[:, None])
        if k and len(rows) > 1:
            directions, values = principal_directions(rows - mean, prompt, k)
            if len(values):
                # not whitened: what varies most in a trained network is what it was trained for
                columns.append(directions / (_spread((rows - mean) @ directions, prompt, freedom) or 1.0))
    matrix = np.concatenate(columns, axis=1) if columns else np.zeros((hidden.shape[1], 0))
    return LastLayer(matrix, mean, own is not None)


def _spread(rows: Float64, prompt: IntArray, freedom: int) -> float:
    """Root mean squared distance of two responses to one prompt."""
    return float(np.sqrt(2.0 * (within_prompt(rows, prompt) ** 2).sum() / freedom)) if len(rows) else 0.0
