"""SELECTING: choose the questions of a round, with the model's guesses, and store them. Touches nothing outside."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pairloop.budget import affordable, spending
from pairloop.kit.failpoints import failpoint
from pairloop.kit.ids import assignment_key
from pairloop.kit.seeds import unit_interval
from pairloop.kit.threads import numeric_threads
from pairloop.pool import Pool
from pairloop.posterior import PreferencePosterior
from pairloop.records import Arm, Assignment, Pair, Prelabel
from pairloop.states import AssignmentState, RoundState
from pairloop.steps.base import Advanced, Finished, Outcome, StepContext
from pairloop.steps.choose import Chooser, Pick
from pairloop.steps.contract import calling, checked_posterior
from pairloop.steps.held import HELD, as_fixed, held_votes
from pairloop.steps.prelabels import guesses
from pairloop.steps.quality import GoldChooser, drawn_twice, shape, spread, sync_gold
from pairloop.store.rounds import Round

POOL_EXHAUSTED = "the pool is exhausted: every pair was asked"


@dataclass(frozen=True, slots=True)
class Question:
    """A pair of the batch, why it is asked, and of how many people."""

    pair: Pair
    pick: Pick
    copies: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A round's questions, ready to be stored."""

    pairs: tuple[Pair, ...]
    assignments: tuple[Assignment, ...]
    prelabels: dict[str, Prelabel]


def run(ctx: StepContext, current: Round, size: int | None = None) -> Outcome:
    """Choose, then commit pairs, assignments, prelabels and the new state together."""
    votes = ctx.store.annotations.standing()
    held = held_votes(ctx) if ctx.parts.backend.capabilities.holds_votes else []
    wanted = len(held) or size or ctx.config.round.size
    sync_gold(ctx)
    n, limit = affordable(ctx.config.budget, spending(ctx.store, votes, ctx.config.budget), wanted)
    ctx.progress.start(f"choosing {n} questions")
    with numeric_threads(ctx.config.resources.threads):
        plan = _plan(ctx, current, n, held)
    ctx.progress.finish()
    if not plan.assignments:
        reason = f"{limit} is used up" if n == 0 else POOL_EXHAUSTED
        with ctx.store.transaction():
            ctx.store.rounds.move(current, RoundState.ABANDONED, reason)
            ctx.store.events.add("round_abandoned", current.number, reason=reason)
        return Finished(reason)
    failpoint("select.before_commit")
    with ctx.store.transaction():
        for pair in plan.pairs:
            ctx.store.pool.add_pair(pair)
        ctx.store.rounds.add_assignments(plan.assignments)
        ctx.store.rounds.add_prelabels(plan.prelabels)
        ctx.store.rounds.move(current, RoundState.PUBLISHING)
        ctx.store.events.add("batch_selected", current.number, **_summary(plan, limit))
    failpoint("select.after_commit")
    return Advanced(current.number, RoundState.PUBLISHING, f"{len(plan.assignments)} questions chosen")


def _summary(plan: Plan, limit: str | None) -> dict[str, object]:
    arms = {arm.value: sum(a.arm is arm for a in plan.assignments) for arm in Arm}
    return {"assignments": len(plan.assignments), "pairs": len(plan.pairs), "arms": arms, "limited_by": limit}


def _plan(ctx: StepContext, current: Round, n: int, held: Sequence[Pair]) -> Plan:
    pool = ctx.pool()
    if n == 0 or not pool.responses:
        return Plan((), (), {})
    loaded = ctx.current_model()
    if loaded is None:
        model = ctx.parts.new_reward_model()
        with calling("reward model", ctx.config.reward.model):
            prior = model.prior(pool.responses, pool.trainable, seed=ctx.seed("prior"))
            posterior, sha256 = checked_posterior(prior, len(pool.responses)), None
    else:
        with calling("reward model", ctx.config.reward.model):
            posterior = checked_posterior(loaded[1].posterior(pool.responses), len(pool.responses))
        sha256 = loaded[0].artifact
    if held:
        questions: Sequence[Question] = [Question(pair, HELD, 1) for pair in held]
    else:
        questions = _questions(ctx, current.number, pool, posterior, n)
    pairs = {question.pair.id: question.pair for question in questions}
    assignments = as_fixed(ctx, pairs, _assignments(ctx, current.number, questions, sha256, n))
    made = guesses(ctx.config, pool, posterior, pairs, assignments, sha256) if sha256 is not None else {}
    return Plan(tuple(pairs.values()), assignments, made)


def _questions(ctx: StepContext, number: int, pool: Pool, posterior: PreferencePosterior, n: int) -> Sequence[Question]:
    """The pairs of a round in the order of the batch, with how many people each is asked of; [] with nothing to ask.

    Gold items come along with real questions only: they do not keep an exhausted campaign going.
    """
    gold = GoldChooser(ctx, number)
    divided = shape(ctx, number, n, gold.available)
    picks = Chooser(ctx, number, pool, posterior).choose(divided.pairs)
    twice = drawn_twice(ctx, number, len(picks), divided.twice)
    replicas = ctx.config.round.replicas
    asked = [Question(pool.pair(np.array(pick.rows)), pick, replicas + (i in twice)) for i, pick in enumerate(picks)]
    if not asked or not divided.gold:
        return asked
    known = {pair.id: pair for pair, _ in ctx.store.pool.pairs()}
    golden = [
        Question(known[pair], Pick((-1, -1), Arm.GOLD, "gold", None, None), copies)
        for pair, copies in gold.choose(divided.gold)
    ]
    return spread(ctx, number, asked, golden)


def _assignments(
    ctx: StepContext, number: int, questions: Sequence[Question], model: str | None, n: int
) -> tuple[Assignment, ...]:
    """Every question with its display order, at most ``n`` in all."""
    seed, cost = ctx.config.campaign.seed, ctx.config.budget.cost_per_vote
    out: list[Assignment] = []
    for rank, question in enumerate(questions):
        pair_id, pick = question.pair.id, question.pick
        for replica in range(question.copies):
            if len(out) == n:
                return tuple(out)
            out.append(
                Assignment(
                    key=assignment_key(ctx.campaign_id, number, pair_id, replica),
                    round=number,
                    pair_id=pair_id,
                    replica=replica,
                    flipped=unit_interval(seed, number, "flip", pair_id, replica) < 0.5,
                    arm=pick.arm,
                    strategy=pick.strategy,
                    score=pick.score,
                    rank=rank,
                    model=model,
                    propensity=pick.propensity,
                    cost=0.0 if pick is HELD else cost,
                    state=AssignmentState.PENDING.value,
                )
            )
    return tuple(out)
