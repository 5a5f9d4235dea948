"""Measuring older reward models on all holdout votes there are now.

The holdout grows with every round, so what each model was measured on at its time differs from round to round, and a
curve through those numbers shows luck more than learning. Here every model faces the same votes.
"""

from typing import Any

import numpy as np

from pairloop.errors import PairloopError
from pairloop.evaluation import measure
from pairloop.kit.seeds import derive_seed
from pairloop.kit.threads import numeric_threads
from pairloop.parts import Parts
from pairloop.pool import load_pool
from pairloop.store import Store
from pairloop.store.models import ModelRow
from pairloop.votes import MeasuredVotes, holdout_votes, measured, occurring

MOST = 20  # models that are loaded again: bounds the time of a report on a long campaign


def remeasured(store: Store, parts: Parts, *, seed: int, most: int = MOST) -> dict[int, dict[str, Any]]:
    """Holdout measures by model id, for up to ``most`` accepted models, evenly spaced, the first and last included.

    A model that cannot be loaded any more is left out.
    """
    pool = load_pool(store)
    held = measured(pool, holdout_votes(pool, store.annotations.votes()))
    if len(held) == 0:
        return {}
    rows, local = occurring(held.pairs)
    responses = [pool.responses[row] for row in rows]
    votes = MeasuredVotes(local, held.outcome, held.group)
    found: dict[int, dict[str, Any]] = {}
    with numeric_threads(1):
        for row in _spaced([row for row in store.models.all("reward") if row.artifact is not None], most):
            try:
                model = parts.load_reward_model(store.artifacts.path(str(row.artifact)), cached=False)
            except PairloopError:
                continue
            found[row.id] = measure(model.posterior(responses), votes, seed=derive_seed(seed, "remeasure"))
    return found


def _spaced(rows: list[ModelRow], most: int) -> list[ModelRow]:
    if len(rows) <= most:
        return rows
    return [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))]
