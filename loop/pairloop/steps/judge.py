"""Judging, at the beginning of TRAINING: the judge's word on pairs of the training side, stored beside people's votes.

Plan, ask (every answer goes to the cache as it arrives), one commit. A process that dies in between asks the cache.
Each pair is put to a judge once in a campaign, in both orders; a judge is a model with a prompt template, so a new
template is a new annotator. Pairs of the holdout are never judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pairloop.judging.facts import judge_spent
from pairloop.judging.trust import joined, trusted
from pairloop.judging.votes import judge_data, judgements
from pairloop.kit.failpoints import failpoint
from pairloop.kit.ids import assignment_key
from pairloop.kit.seeds import generator, unit_interval
from pairloop.pool import Pool
from pairloop.protocols import BothOrders, JudgeAnswer, JudgeQuestion, TrainingData
from pairloop.records import Annotation, AnnotatorKind, Arm, Assignment, Choice, Pair, Split
from pairloop.states import AssignmentState
from pairloop.steps.base import StepContext
from pairloop.steps.contract import calling
from pairloop.store.rounds import Round

BACKEND = "judge"
_ARMS = (Arm.ACTIVE, Arm.FRESH, Arm.RANDOM)
_REPLICAS = 1000  # judges' replicas begin here, people's are far below


@dataclass(frozen=True, slots=True)
class Planned:
    """A pair for the judge; ``propensity``: of having been drawn from the pool, None for one that people are asked."""

    pair: Pair
    propensity: float | None


def run(ctx: StepContext, current: Round, pool: Pool) -> str | None:
    """Have this round's pairs judged; a sentence for people, or None where nothing was to do.

    A judge that cannot be reached is no reason for people's votes to wait: its pairs come next time.

    Raises:
        BackendRejected: the judge will never work like this.
    """
    if not beside_people(ctx):
        return None
    wanted = plan(ctx, current.number, pool)
    if not wanted:
        return None
    panel = ctx.parts.judge
    ctx.progress.start(f"asking {panel.annotator}", len(wanted))
    with calling("judge", str(ctx.config.judge.kind)):
        found = panel.compare(
            [_question(pool, each.pair) for each in wanted], judge_spent(ctx.store.annotations.judged())
        )
    ctx.progress.finish()
    answered = [(each, both) for each, both in zip(wanted, found.answers, strict=True) if both is not None]
    failpoint("judge.before_commit")
    with ctx.store.transaction():
        _store(ctx, current, panel.annotator, answered)
        told = {
            "annotator": panel.annotator, "pairs": len(answered), "left": len(wanted) - len(answered),
            "abstained": sum(both.abstained for _, both in answered), "problem": found.problem, "limit": found.limit,
        }  # fmt: skip
        ctx.store.events.add("pairs_judged", current.number, **told)
    failpoint("judge.after_commit")
    short = found.problem or found.limit
    return f"{len(answered)} pairs judged" + (f", {told['left']} not: {short}" if short else "")


def beside_people(ctx: StepContext) -> bool:
    """True where a judge votes beside the backend's annotators; as the backend it votes alone."""
    return ctx.config.judge.kind is not None and ctx.config.backend.kind != BACKEND


def plan(ctx: StepContext, number: int, pool: Pool) -> list[Planned]:
    """The pairs of all batches so far that this judge has not seen, and this round's draw from the rest of the pool."""
    annotator = ctx.parts.judge.annotator
    done = [a for a in ctx.store.rounds.judged() if a.strategy == annotator]
    pairs = {pair.id: pair for pair, _ in ctx.store.pool.pairs()}
    seen = {a.pair_id for a in done}
    batch = _of_batches(ctx, pool, pairs, seen)
    drawn = any(a.round == number and a.propensity is not None for a in done)
    taken = [pairs[pair_id] for pair_id in sorted(seen)] + [each.pair for each in batch]
    return batch if drawn else [*batch, *_extra(ctx, number, pool, taken)]


def of_round(ctx: StepContext, number: int) -> list[Planned]:
    """The pairs of one round's batch, for a dry run of a campaign that the judge answers alone."""
    pairs = {pair.id: pair for pair, _ in ctx.store.pool.pairs()}
    return [
        Planned(pairs[pair_id], None)
        for pair_id in dict.fromkeys(a.pair_id for a in ctx.store.rounds.assignments(number))
    ]


def _of_batches(ctx: StepContext, pool: Pool, pairs: dict[str, Pair], seen: set[str]) -> list[Planned]:
    asked = dict.fromkeys(a.pair_id for a in ctx.store.rounds.assignments() if a.arm in _ARMS and a.pair_id not in seen)
    seed, share = ctx.config.campaign.seed, ctx.config.judge.batch
    chosen = [pairs[pair_id] for pair_id in asked if unit_interval(seed, "judged", pair_id) < share]
    return [Planned(pair, None) for pair in chosen if not _out(pool, pair)]


def _out(pool: Pool, pair: Pair) -> bool:
    row = pool.row_of[pair.first]
    return bool(pool.excluded[row] or pool.holdout[row])


def _extra(ctx: StepContext, number: int, pool: Pool, taken: Sequence[Pair]) -> list[Planned]:
    """Pairs drawn uniformly from the training side, whoever else is asked about them."""
    n = ctx.config.judge.extra
    if n == 0:
        return []
    rows = np.array([(pool.row_of[p.first], pool.row_of[p.second]) for p in taken], dtype=np.int32).reshape(-1, 2)
    rng = generator(ctx.config.campaign.seed, number, "judge")
    found = pool.candidates(Split.TRAIN, without=rows, cap=ctx.config.selection.candidates, rng=rng)
    picks = rng.choice(len(found), min(n, len(found)), replace=False)
    return [Planned(pool.pair(found[pick]), len(picks) / len(found)) for pick in picks]


def _question(pool: Pool, pair: Pair) -> JudgeQuestion:
    first, second = pool.responses[pool.row_of[pair.first]], pool.responses[pool.row_of[pair.second]]
    return JudgeQuestion(first.prompt, first.text, second.text)


def questions(pool: Pool, planned: Sequence[Planned]) -> list[JudgeQuestion]:
    """What would be asked, for a dry run."""
    return [_question(pool, each.pair) for each in planned]


def _store(ctx: StepContext, current: Round, annotator: str, found: Sequence[tuple[Planned, BothOrders]]) -> None:
    """Two assignments and two annotations a pair; the keys are the same whenever a pair is put to this judge."""
    judges: dict[str, int] = {}
    for assignment in ctx.store.rounds.judged():
        judges[assignment.pair_id] = judges.get(assignment.pair_id, 0) + 1
    assignments, annotations = [], []
    for rank, (each, both) in enumerate(found):
        ctx.store.pool.add_pair(each.pair)
        for order, answer in enumerate((both.straight, both.swapped)):
            key = assignment_key(ctx.campaign_id, 0, f"{annotator}/{each.pair.id}", order)
            replica = _REPLICAS + judges.get(each.pair.id, 0) + order
            assignments.append(_assignment(key, current.number, each, replica, order == 1, annotator, rank))
            annotations.append(_annotation(key, annotator, answer))
    ctx.store.rounds.add_assignments(assignments)
    ctx.store.annotations.ingest(annotations, during=current.number)


def _assignment(
    key: str, number: int, each: Planned, replica: int, flipped: bool, annotator: str, rank: int
) -> Assignment:
    return Assignment(
        key=key, round=number, pair_id=each.pair.id, replica=replica, flipped=flipped, arm=Arm.JUDGE,
        strategy=annotator, score=None, rank=rank, model=None, propensity=each.propensity, cost=0.0,
        state=AssignmentState.PENDING.value,
    )  # fmt: skip


def _annotation(key: str, annotator: str, answer: JudgeAnswer) -> Annotation:
    return Annotation(
        key=key, backend=BACKEND, remote_id=key, revision="1", annotator=annotator, choice=Choice(answer.choice),
        kind=AnnotatorKind.MODEL, reason=answer.reason, seconds=answer.seconds, cost=answer.cost, p_left=answer.p_left,
    )  # fmt: skip


def with_judge(
    ctx: StepContext, number: int, pool: Pool, people: TrainingData
) -> tuple[TrainingData, dict[str, Any] | None]:
    """The people's votes with the judge's at the weight that they support, and why; the same data without a judge."""
    if not beside_people(ctx):
        return people, None
    settings = ctx.config.judge
    found = judge_data(pool, judgements(ctx.store.annotations.judged()), settings.inconsistent)
    seed = ctx.seed(number, "judge")
    with calling("reward model", ctx.config.reward.model):
        trust = trusted(ctx.parts.comparison_model, people, found, max_weight=settings.max_weight, seed=seed)
    return joined(people, found, trust.power), {**trust.as_json(), "votes": len(found)}
