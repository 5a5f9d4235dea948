"""The part of TRAINING that looks ahead: what more votes would bring, stored for status and report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pairloop import stopping
from pairloop.evaluation import as_json
from pairloop.kit.seeds import generator
from pairloop.pool import Pool
from pairloop.posterior import IntArray, PreferencePosterior
from pairloop.records import Arm, Choice, Split, Vote
from pairloop.steps.base import StepContext
from pairloop.store.models import ModelRow
from pairloop.store.rounds import Round

_TARGETS, _STOP_SET = 1000, 2000


def outlook(
    ctx: StepContext,
    current: Round,
    pool: Pool,
    votes: Sequence[Vote],
    posterior: PreferencePosterior,
    before: PreferencePosterior | None,
    report: Mapping[str, Any],
    predicted: Sequence[tuple[int, float]],
) -> dict[str, Any]:
    """Evidence about stopping, and the advice that follows from it.

    Args:
        posterior: of the model that was just fitted; before: of the one that it replaces, if any.
        report: of this fit, with ``train_votes`` and ``holdout``. predicted: (seq, p_left) not stored yet.
    """
    rows = ctx.store.models.all("reward")
    batch = _next_batch(ctx, current, pool, posterior)
    stop_set = _pairs(ctx, pool, Split.TRAIN, _STOP_SET, "stop set")
    stable = stopping.stability(before, posterior, stop_set) if before is not None and len(stop_set) else None
    trained = max(int(report["train_votes"]), 1)
    known = _predicted(pool, votes, rows, {**ctx.store.models.predictions(), **dict(predicted)})
    curve = stopping.learning_curve(known, trained, seed=ctx.seed(current.number, "outlook"))
    group_of = {view.id: int(group) for view, group in zip(pool.responses, pool.group, strict=True)}
    ceiling = stopping.human_ceiling(votes, group_of)
    ceiling_json = None if ceiling is None else as_json(ceiling)
    history = [row.report.get("outlook", {}).get("stability") for row in rows if row.accepted]
    given = sum(vote.choice is not Choice.SKIP for vote in votes)
    advice = stopping.advise(
        batch,
        curve,
        ceiling_json,
        [found["agreement"] for found in (*history, stable) if found is not None],
        report.get("holdout", {}).get("accuracy"),
        votes_per_training_vote=given / trained,
    )
    return {"next_batch": batch, "curve": curve, "ceiling": ceiling_json, "stability": stable, "advice": advice}


def _next_batch(ctx: StepContext, current: Round, pool: Pool, posterior: PreferencePosterior) -> dict[str, Any] | None:
    """Of a random batch on random holdout pairs; the strategy aims at more."""
    config = ctx.config
    n = round(config.round.size * (1.0 - config.holdout.share) / config.round.replicas)
    batch = _pairs(ctx, pool, Split.TRAIN, max(n, 1), "next batch", current.number)
    targets = _pairs(ctx, pool, Split.HOLDOUT, _TARGETS, "targets")
    if not len(targets):
        targets = _pairs(ctx, pool, Split.TRAIN, _TARGETS, "targets")
    return stopping.next_batch(posterior, batch, targets, replicas=config.round.replicas)


def _pairs(ctx: StepContext, pool: Pool, side: Split, n: int, *purpose: str | int) -> IntArray:
    rng = generator(ctx.config.campaign.seed, *purpose)
    return pool.candidates(side, without=np.zeros((0, 2), dtype=np.int32), cap=n, rng=rng)


def _predicted(
    pool: Pool, votes: Sequence[Vote], rows: Sequence[ModelRow], p_left: Mapping[int, float]
) -> stopping.Predicted:
    """Votes of the arms that are drawn at random, with the model that had predicted them."""
    accepted = [row for row in rows if row.accepted and "train_votes" in row.report]
    ends = np.array([row.last_seq for row in accepted])
    sizes, wrong, holdout, groups = [], [], [], []
    for vote in votes:
        place = int(np.searchsorted(ends, vote.seq)) - 1
        usable = vote.arm in (Arm.HOLDOUT, Arm.RANDOM) and vote.choice.is_decisive and not vote.excluded
        if usable and place >= 0 and vote.seq in p_left:
            row, p = pool.row_of[vote.left], p_left[vote.seq]
            sizes.append(int(accepted[place].report["train_votes"]))
            wrong.append(0.5 if p == 0.5 else float((p > 0.5) != (vote.choice is Choice.LEFT)))
            holdout.append(vote.arm is Arm.HOLDOUT)
            groups.append(int(pool.group[row]))
    return stopping.Predicted(
        np.array(sizes, dtype=np.int64),
        np.array(wrong),
        np.array(holdout, dtype=bool),
        np.array(groups, dtype=np.int64),
    )
