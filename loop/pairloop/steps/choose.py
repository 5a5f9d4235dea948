"""Filling the arms of one batch: asked-again skips, holdout, control, fresh, active."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pairloop.kit.seeds import generator, unit_interval
from pairloop.pool import Pool, read_only
from pairloop.posterior import IntArray, PreferencePosterior
from pairloop.protocols import BatchStrategy, SelectionContext
from pairloop.records import Arm, Split
from pairloop.states import AssignmentState
from pairloop.steps.base import StepContext
from pairloop.steps.contest import random_takes_over
from pairloop.steps.contract import calling, checked_selection


@dataclass(frozen=True, slots=True)
class Pick:
    """One chosen pair and why."""

    rows: tuple[int, int]
    arm: Arm
    strategy: str
    score: float | None
    propensity: float | None


class Chooser:
    """Chooses the pairs of one round."""

    def __init__(self, ctx: StepContext, number: int, pool: Pool, posterior: PreferencePosterior) -> None:
        self._ctx = ctx
        self._number = number
        self._pool = pool
        self._posterior = posterior
        past = _history(ctx, pool)
        self._asked, self._pending, self._answered, self._again = past
        self._recorded = _recorded_pairs(ctx, pool)

    def choose(self, n: int) -> list[Pick]:
        """About ``n`` picks, in an order that tells annotators nothing about the arms."""
        config = self._ctx.config
        picks = self._again[: n // 2]
        holdout = self._uniform(Split.HOLDOUT, Arm.HOLDOUT, self._share(n, config.holdout.share, Arm.HOLDOUT))
        control = self._uniform(Split.TRAIN, Arm.RANDOM, self._share(n, config.selection.random_share, Arm.RANDOM))
        taken = [pick.rows for pick in (*holdout, *control)]
        rest = max(n - len(picks) - len(holdout) - len(control), 0)
        fallen = random_takes_over(self._ctx)
        strategy = self._strategy()
        chooser = "random" if fallen else strategy
        fresh = self._by_strategy(Arm.FRESH, round(rest * config.policy.fresh_share), taken, chooser)
        taken += [pick.rows for pick in fresh]
        rest -= len(fresh)
        trial = self._share(rest, config.selection.trial_share, Arm.ACTIVE) if fallen else rest
        instead = self._uniform(Split.TRAIN, Arm.RANDOM, rest - trial, taken, purpose="fall-back")
        taken += [pick.rows for pick in instead]
        active = self._by_strategy(Arm.ACTIVE, trial, taken, strategy)
        picks = [*picks, *holdout, *control, *fresh, *instead, *active]
        picks += self._again[n // 2 :][: max(n - len(picks), 0)]  # nothing new is left: ask all that was skipped
        order = generator(config.campaign.seed, self._number, "order").permutation(len(picks))
        return [picks[i] for i in order]

    def _strategy(self) -> str:
        """The configured strategy, or that of the cold start while few votes train."""
        settings = self._ctx.config.selection
        row = self._ctx.store.models.current("reward")
        votes = 0 if row is None else int(row.report["train_votes"])
        cold = settings.cold_start is not None and votes < settings.cold_start_votes
        return str(settings.cold_start) if cold else settings.strategy

    def _share(self, n: int, share: float, arm: Arm) -> int:
        """An arm's part of ``n`` picks; one too small to be rounded up gets a pick in as many rounds as it is due."""
        due = n * share
        if round(due) > 0:
            return round(due)
        return int(unit_interval(self._ctx.config.campaign.seed, self._number, "share", arm.value) < due)

    def _candidates(self, side: Split, taken: Sequence[tuple[int, int]], purpose: str) -> IntArray:
        without = np.concatenate([self._asked, np.array(taken, dtype=np.int32).reshape(-1, 2)])
        rng = generator(self._ctx.config.campaign.seed, self._number, "candidates", purpose)
        only = self._recorded
        if purpose == Arm.FRESH:
            fresh = self._pool.listed[self._pool.fresh]
            only = fresh if only is None else fresh[np.isin(self._pool.code(fresh), self._pool.code(only))]
        cap = self._ctx.config.selection.candidates
        return read_only(self._pool.candidates(side, without=without, cap=cap, rng=rng, only=only))

    def _uniform(
        self, side: Split, arm: Arm, n: int, taken: Sequence[tuple[int, int]] = (), purpose: str | None = None
    ) -> list[Pick]:
        """``n`` pairs drawn uniformly from one side, whatever the model thinks of them."""
        if n <= 0:
            return []
        purpose = purpose or arm.value
        found = self._candidates(side, taken, purpose)
        rng = generator(self._ctx.config.campaign.seed, self._number, "uniform", purpose)
        rows = rng.choice(len(found), min(n, len(found)), replace=False)
        propensity = len(rows) / len(found) if len(found) else None
        return [Pick((int(found[r, 0]), int(found[r, 1])), arm, "random", None, propensity) for r in rows]

    def _by_strategy(self, arm: Arm, n: int, taken: Sequence[tuple[int, int]], name: str) -> list[Pick]:
        if n <= 0:
            return []
        found = self._candidates(Split.TRAIN, taken, arm.value)
        if len(found) == 0:
            return []
        config = self._ctx.config
        prompts = len(np.unique(self._pool.prompt[found[:, 0]]))
        context = SelectionContext(
            posterior=self._posterior,
            candidates=found,
            prompt=self._pool.prompt,
            group=self._pool.group,
            pending=read_only(np.concatenate([self._pending, np.array(taken, dtype=np.int32).reshape(-1, 2)])),
            asked=read_only(self._answered),
            cost=read_only(np.full(len(found), config.budget.cost_per_vote or 1.0)),
            per_prompt=max(-(-n // prompts), 1),
            seed=self._ctx.seed(self._number, "strategy", arm.value),
            goal=config.selection.goal,
            source=self._pool.source,
        )
        parts = self._ctx.parts
        strategy: BatchStrategy = parts.strategy if name == config.selection.strategy else parts.strategy_named(name)
        with calling("strategy", name):
            selection = checked_selection(strategy.select(context, n), context, n, name)
        return [
            Pick((int(found[r, 0]), int(found[r, 1])), arm, name, _finite(score), _finite(propensity))
            for r, score, propensity in zip(selection.picks, selection.scores, selection.propensity, strict=True)
        ]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _history(ctx: StepContext, pool: Pool) -> tuple[IntArray, IntArray, IntArray, list[Pick]]:
    """(rows not to be chosen, rows in flight, rows that training has votes about, skipped pairs to ask again)."""
    asked: list[tuple[int, int]] = []
    pending: list[tuple[int, int]] = []
    answered: list[tuple[int, int]] = []
    again: list[Pick] = []
    row_pairs = {pair.id: (pool.row_of[pair.first], pool.row_of[pair.second]) for pair, _ in ctx.store.pool.pairs()}
    gold = {row.pair_id for row in ctx.store.quality.gold() if row.active}
    for pair_id, found in ctx.store.rounds.asked().items():
        rows = row_pairs[pair_id]
        assignments = [a for a in found if a.arm is not Arm.GOLD]  # they teach nothing, and have their own rules
        if pair_id in gold or not assignments:
            continue
        states = [AssignmentState(a.state) for a in assignments]
        if all(state is AssignmentState.WITHDRAWN for state in states):
            continue
        asked.append(rows)
        if any(state.is_open for state in states):
            pending.append(rows)
        elif AssignmentState.ANSWERED in states:
            if pool.trainable[rows[0]] and not pool.excluded[rows[0]]:
                answered.append(rows)
        elif all(state in (AssignmentState.SKIPPED, AssignmentState.WITHDRAWN) for state in states):
            asks = len({a.round for a in assignments})
            last = assignments[-1]
            wanted = ctx.config.round.on_skip == "ask_again" and asks < ctx.config.round.max_asks
            if wanted and not pool.excluded[rows[0]]:
                again.append(Pick(rows, last.arm, last.strategy, last.score, last.propensity))
    asked += [row_pairs[pair_id] for pair_id in sorted(gold)]
    return _rows(asked), _rows(pending), _rows(answered), again


def _rows(pairs: list[tuple[int, int]]) -> IntArray:
    return np.array(pairs, dtype=np.int32).reshape(-1, 2)


def _recorded_pairs(ctx: StepContext, pool: Pool) -> IntArray | None:
    """Rows of the pairs that a replay backend can answer; None when any pair can be asked."""
    if not ctx.parts.backend.capabilities.only_recorded:
        return None
    counts = ctx.store.pool.recorded_counts()
    rows = [(pool.row_of[p.first], pool.row_of[p.second]) for p, _ in ctx.store.pool.pairs() if counts.get(p.id)]
    return _rows(rows)
