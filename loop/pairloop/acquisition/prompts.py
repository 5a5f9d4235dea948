"""Coordinates of prompts, for methods that look at prompts rather than at pairs.

A prompt's coordinate is the mean of its responses' whitened coordinates: where its answers lie on average, in units of
what the posterior does not know yet. The posterior carries no features of the prompt alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pairloop.acquisition.geometry import Float64Array
from pairloop.acquisition.keys import KeyArray, pair_keys
from pairloop.acquisition.request import prompt_of
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import SelectionContext

_BLOCK_BYTES = 1 << 25


@dataclass(frozen=True, slots=True)
class Prompts:
    """The P prompts that have a candidate or a pair that was asked, in rising order of their index, finite ones only.

    Attributes:
        index: (P,) prompt index; ``coordinates``: (P, D) in the precision of the posterior.
        asked: (P,) pairs in flight or asked before; ``keys``: (P,) seeded random numbers that break ties.
    """

    index: IntArray
    coordinates: FloatArray
    asked: IntArray
    keys: KeyArray


def prompts_of(context: SelectionContext) -> Prompts:
    """The prompts of a context with their coordinates; those with a response that is not finite are left out."""
    past = np.concatenate([context.pending, context.asked])
    asked = context.prompt[past.min(axis=1)] if len(past) else np.empty(0, dtype=context.prompt.dtype)
    known = np.unique(np.r_[prompt_of(context), asked])
    rows = np.flatnonzero(np.isin(context.prompt, known))
    order = rows[np.argsort(context.prompt[rows], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(context.prompt[order]) != 0])
    sizes = np.diff(np.r_[starts, len(order)])
    coordinates = np.add.reduceat(context.posterior.whitened[order], starts, axis=0)
    coordinates /= sizes[:, None].astype(coordinates.dtype)
    finite = np.isfinite(coordinates).all(axis=1)
    index = known[finite]
    count = np.bincount(np.searchsorted(known, asked), minlength=len(known))[finite]
    return Prompts(index, coordinates[finite], count, pair_keys(np.stack([index, index], axis=1), context.seed))


def distances(points: FloatArray, others: FloatArray) -> Iterator[tuple[slice, Float64Array]]:
    """Euclidean distances of (P, D) to (M, D), some rows at a time: (slice, (rows, M)) float64, never P × M."""
    size = np.einsum("md,md->m", others, others, dtype=np.float64)
    step = max(1, _BLOCK_BYTES // (8 * max(1, len(others))))
    for start in range(0, len(points), step):
        part = slice(start, min(start + step, len(points)))
        block = points[part].astype(np.float64)
        lengths = np.einsum("pd,pd->p", block, block)[:, None] + size
        square = lengths - 2.0 * (block @ others.T.astype(np.float64))
        square[square < 1e-13 * lengths] = 0.0  # rounding must not pass for a distance
        yield part, np.sqrt(square)
