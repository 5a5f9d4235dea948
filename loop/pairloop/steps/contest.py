"""The part of TRAINING that asks whether active selection pays, and the switch that selection reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pairloop import fallback, saving
from pairloop.kit.seeds import generator
from pairloop.pool import Pool
from pairloop.posterior import IntArray
from pairloop.protocols import BoolArray
from pairloop.records import Arm, Split, Vote
from pairloop.steps.base import StepContext
from pairloop.steps.contract import calling
from pairloop.store.models import ModelRow
from pairloop.store.rounds import Round
from pairloop.votes import holdout_votes, measured, training_data, training_votes

_SAMPLE = 100_000  # holdout pairs on which the largest possible difference is found


def by_strategy(ctx: StepContext, votes: Sequence[Vote]) -> BoolArray:
    """(N,) True for votes on pairs that the configured strategy chose."""
    name = ctx.config.selection.strategy
    chosen = {a.key for a in ctx.store.rounds.assignments() if a.strategy == name and a.arm in (Arm.ACTIVE, Arm.FRESH)}
    return np.array([vote.key in chosen for vote in votes], dtype=bool)


def contest(ctx: StepContext, current: Round, pool: Pool, votes: Sequence[Vote]) -> dict[str, Any]:
    """``shadows`` (what the shadow models of the last round say of this round's votes) and ``selection`` (the state).

    Empty where nothing is to be compared: ``selection.compare_arms`` is off, or the strategy is random anyway.
    """
    settings = ctx.config.selection
    if not settings.compare_arms or settings.strategy == "random":
        return {}
    rows = ctx.store.models.all("reward")
    grid = saving.fractions(settings.worthwhile_saving)
    record = _judged(ctx, current, pool, votes, rows[-1], grid) if rows else None
    state = fallback.decide(
        rows[-1].report.get("selection") if rows else None,
        [*_records(rows, settings.strategy), *([record] if record is not None else [])],
        strategy=settings.strategy,
        round_number=current.number,
        grid=grid,
        worthwhile=settings.worthwhile_saving,
        patience=settings.patience,
        may_switch=settings.on_no_gain == "fall_back",
    )
    return {"shadows": record, "selection": state}


def random_takes_over(ctx: StepContext) -> bool:
    """True when this campaign has fallen back to random choice."""
    settings = ctx.config.selection
    if settings.on_no_gain != "fall_back" or not settings.compare_arms:
        return False
    rows = ctx.store.models.all("reward")
    state = rows[-1].report.get("selection") if rows else None
    return bool(state and state["strategy"] == settings.strategy and state["mode"] == fallback.RANDOM)


def news(ctx: StepContext, report: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is to be told when who chooses has changed, or the strategy is found not to pay; None without news."""
    state = report.get("selection")
    if state is None:
        return None
    rows = ctx.store.models.all("reward")
    before = (rows[-1].report.get("selection") if rows else None) or {}
    told = {key: state[key] for key in ("strategy", "mode", "verdict", "reason")}
    if state["mode"] != before.get("mode", fallback.ACTIVE):
        who = "random choice takes over" if state["mode"] == fallback.RANDOM else f"{state['strategy']} chooses again"
        return {**told, "sentence": f"{who}: {state['reason']}"}
    bad = (fallback.WORSE, fallback.NO_GAIN)
    if state["verdict"] in bad and state["verdict"] != before.get("verdict") and state["mode"] == fallback.ACTIVE:
        return {**told, "sentence": _TOLD[state["verdict"]]}
    return None


_TOLD = {
    fallback.WORSE: "active selection is proven worse than random choice",
    fallback.NO_GAIN: "active selection shows no gain, and a worthwhile one is excluded so far",
}


def _records(rows: Sequence[ModelRow], strategy: str) -> list[saving.Record]:
    found = [row.report.get("shadows") for row in rows]
    return [record for record in found if record is not None and record["strategy"] == strategy]


def _judged(
    ctx: StepContext, current: Round, pool: Pool, votes: Sequence[Vote], last: ModelRow, grid: Sequence[float]
) -> saving.Record | None:
    """The shadows of the last training are fitted here: on its votes and by its seed they are what they were then."""
    before = ctx.store.annotations.votes(up_to=last.last_seq)
    known = {(vote.round, vote.pair_id, vote.annotator) for vote in before}
    new = [v for v in holdout_votes(pool, votes) if (v.round, v.pair_id, v.annotator) not in known]
    train = training_votes(pool, before)
    if not new or not train:
        return None
    with calling("reward model", ctx.config.reward.model):
        record = saving.judge(
            ctx.parts.comparison_model,
            training_data(pool, train),
            by_strategy(ctx, train),
            measured(pool, new),
            _sample(ctx, pool),
            grid,
            seed=ctx.seed(last.round, "shadows"),
        )
    if record is None:
        return None
    return {"round": current.number, "strategy": ctx.config.selection.strategy, **record}


def _sample(ctx: StepContext, pool: Pool) -> IntArray:
    rng = generator(ctx.config.campaign.seed, "shadow sample")
    return pool.candidates(Split.HOLDOUT, without=np.zeros((0, 2), dtype=np.int32), cap=_SAMPLE, rng=rng)
