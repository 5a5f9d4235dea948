"""The checks and small facts that every strategy needs about a selection context."""

import numpy as np

from pairloop.errors import UsageError
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import Selection, SelectionContext


def check(context: SelectionContext, n: int) -> None:
    """Refuse a context that cannot be meant this way.

    Raises:
        UsageError: negative ``n``, wrong shapes, rows outside the pool, or a cost that is not a positive number.
    """
    if n < 0:
        raise UsageError(f"cannot select {n} pairs", "Ask for zero or more.")
    for name, pairs in _pairs(context):
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise UsageError(f"{name} has shape {pairs.shape}", "It must be (N, 2): the rows of two responses.")
        if len(pairs) and not 0 <= pairs.min() <= pairs.max() < len(context.prompt):
            raise UsageError(f"{name} names rows outside the pool of {len(context.prompt)} responses")
    if context.cost.shape != (len(context.candidates),):
        raise UsageError(f"cost has shape {context.cost.shape}", f"It must be ({len(context.candidates)},).")
    if not np.all((context.cost > 0) & np.isfinite(context.cost)):
        raise UsageError("a cost is not a positive number", "Cost is the price of one vote; use 1 where it is unknown.")


def _pairs(context: SelectionContext) -> tuple[tuple[str, IntArray], ...]:
    return ("candidates", context.candidates), ("pending", context.pending), ("asked", context.asked)


def prompt_of(context: SelectionContext) -> IntArray:
    """Prompt index of each candidate → (N,). Both sides of a pair answer one prompt; the smaller row decides."""
    return context.prompt[np.minimum(context.candidates[:, 0], context.candidates[:, 1])]


def capped(prompts: IntArray, cap: int) -> IntArray:
    """Positions that stay when each prompt keeps its first ``cap`` entries; order kept; ``cap`` < 1: no limit."""
    if cap < 1 or not len(prompts):
        return np.arange(len(prompts))
    order = np.argsort(prompts, kind="stable")
    ordered = prompts[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return np.sort(order[place < cap])


def selection(picks: IntArray, scores: FloatArray, propensity: FloatArray | None = None) -> Selection:
    """A `Selection` with the dtypes of the contract; no propensity means a deterministic choice (NaN)."""
    chance = np.full(len(picks), np.nan) if propensity is None else propensity
    return Selection(np.asarray(picks, np.int64), np.asarray(scores, np.float64), np.asarray(chance, np.float64))


def empty() -> Selection:
    """No picks."""
    return selection(np.empty(0, np.int64), np.empty(0))
