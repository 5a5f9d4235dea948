"""Questions that are at the backend already: some with answers, some with a left and a right of their own."""

from collections.abc import Mapping
from dataclasses import replace

from pairloop.errors import ContractViolation
from pairloop.protocols import FixesSides
from pairloop.records import Arm, Assignment, Pair, Split
from pairloop.steps.base import StepContext
from pairloop.steps.choose import Pick
from pairloop.steps.contract import calling

HELD = Pick((-1, -1), Arm.ACTIVE, "held", None, None)
"""Why a pair is asked whose answers are there: nobody chose it, so that no comparison of strategies counts it."""


def held_votes(ctx: StepContext) -> list[Pair]:
    """Pairs of the training side with recorded votes that were not asked yet.

    Those of the holdout side wait until they are drawn: what measures the model has to be a uniform sample.
    """
    counts, asked, sides = ctx.store.pool.recorded_counts(), ctx.store.rounds.asked(), ctx.store.pool.groups()
    side_of = {prompt.id: sides[prompt.group] for prompt, _, _ in ctx.store.pool.prompts()}
    gold = {row.pair_id for row in ctx.store.quality.gold()}
    return [
        pair
        for pair, _ in ctx.store.pool.pairs()
        if counts.get(pair.id) and pair.id not in asked and pair.id not in gold
        and side_of[pair.prompt_id] is Split.TRAIN
    ]  # fmt: skip


def as_fixed(
    ctx: StepContext, pairs: Mapping[str, Pair], assignments: tuple[Assignment, ...]
) -> tuple[Assignment, ...]:
    """The assignments with left and right as the backend has them, where it has them.

    Raises:
        BackendUnavailable: the backend could not be asked. ContractViolation: it answered something else.
    """
    backend = ctx.parts.backend
    if not isinstance(backend, FixesSides) or not assignments:
        return assignments
    prompts = {prompt.id: prompt.content for prompt, _, _ in ctx.store.pool.prompts()}
    texts = {response.id: response.text for response in ctx.store.pool.responses()}
    questions = [(prompts[pair.prompt_id], texts[pair.first], texts[pair.second]) for pair in pairs.values()]
    with calling("backend", backend.name):
        said = backend.sides(questions)
    if len(said) != len(questions):
        raise ContractViolation(f"backend {backend.name!r} said the sides of {len(said)} of {len(questions)} questions")
    fixed = dict(zip(pairs, said, strict=True))
    return tuple(a if (side := fixed[a.pair_id]) is None else replace(a, flipped=side) for a in assignments)
