"""Embeddings as features: centred, in the directions in which responses to one prompt differ, whitened, scaled."""

from dataclasses import dataclass

import numpy as np

from pairloop.kit.threads import numeric_threads
from pairloop.posterior import IntArray
from pairloop_reward.likelihood import Float64
from pairloop_reward.textspace import principal_directions

_ROWS = 256  # at a time, filled up with zeros: one shape, so that a row has the same bits in every company
_LARGEST = 20_000  # rows to learn from; more would not move the directions


@dataclass(frozen=True, slots=True)
class DenseBlock:
    """``(rows − mean) @ components``.

    Attributes:
        mean: (D,) centre. components: (D, k) scaled directions, of float32 precision.
    """

    mean: Float64
    components: Float64

    @property
    def size(self) -> int:
        """k."""
        return int(self.components.shape[1])

    def apply(self, rows: Float64) -> Float64:
        """(n, k) coordinates of (n, D) embeddings."""
        out = np.empty((len(rows), self.size))
        with numeric_threads():
            for first in range(0, len(rows), _ROWS):
                chunk = rows[first : first + _ROWS]
                filled = np.zeros((_ROWS, rows.shape[1]))
                filled[: len(chunk)] = chunk - self.mean
                out[first : first + _ROWS] = (filled @ self.components)[: len(chunk)]
        return out


def fit_dense(rows: Float64, prompt: IntArray, dimensions: int) -> DenseBlock:
    """Learn the block from (n, D) embeddings; ``prompt`` (n,) numbers their prompts.

    Like `blocks.fit_text`: two responses to one prompt are at mean squared distance 1, each direction adding the same.
    """
    width = rows.shape[1]
    if not len(rows):
        return DenseBlock(np.zeros(width), np.zeros((width, 0)))
    step = -(-len(rows) // _LARGEST)
    sample, prompts = rows[::step], np.unique(prompt[::step], return_inverse=True)[1]
    mean = sample.mean(axis=0)
    with numeric_threads():
        directions, values = principal_directions(sample - mean, np.asarray(prompts, dtype=np.intp), dimensions)
    if not len(values):
        return DenseBlock(mean, np.zeros((width, 0)))
    freedom = max(len(sample) - int(prompts.max()) - 1, 1)
    scale = np.sqrt(freedom / (2.0 * len(values))) / values
    # rounded as it will be stored, so that a loaded model has the same bits
    return DenseBlock(mean, (directions * scale).astype(np.float32).astype(np.float64))
