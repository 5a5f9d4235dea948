"""PUBLISHING: look up what the backend already holds, create only what is missing, store the receipts.

The keys are in the store before anything is sent. A push whose answer got lost leaves its assignments AMBIGUOUS; the
next attempt looks up before it sends anything again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pairloop.budget import affordable, spending
from pairloop.errors import BackendUnavailable, ContractViolation
from pairloop.kit.failpoints import failpoint
from pairloop.protocols import Backend
from pairloop.records import Assignment, Prelabel, Prompt, RecordedVote, Response, Task
from pairloop.states import AssignmentState, RoundState
from pairloop.steps.base import Advanced, Outcome, StepContext
from pairloop.steps.contract import calling, checked_lookup, checked_published
from pairloop.steps.prelabels import renew
from pairloop.store.rounds import Round

CHUNK = 50  # tasks a push: keeps what an ambiguous answer leaves open small


def run(ctx: StepContext, current: Round) -> Outcome:
    """Publish what is not sent yet; the round collects when all is."""
    backend = ctx.parts.backend
    _require_safe(backend)
    _reconcile(ctx, backend, current)
    todo = [a for a in ctx.store.rounds.assignments(current.number) if a.state in _UNSENT]
    tasks = build_tasks(ctx, _within_budget(ctx, current, todo))
    ctx.progress.start(f"publishing to {backend.name}", len(tasks))
    size = backend.capabilities.chunk or CHUNK
    for start in range(0, len(tasks), size):
        _push(ctx, backend, current.number, tasks[start : start + size])
        ctx.progress.advance(len(tasks[start : start + size]))
    ctx.progress.finish()
    renewed = renew(ctx, current)
    with ctx.store.transaction():
        ctx.store.rounds.move(current, RoundState.COLLECTING)
        if renewed:
            ctx.store.rounds.replace_prelabels(renewed)
            ctx.store.events.add("prelabels_renewed", current.number, questions=len(renewed))
        ctx.store.events.add("batch_published", current.number, tasks=len(tasks))
    failpoint("publish.done")
    return Advanced(current.number, RoundState.COLLECTING, f"{len(tasks)} tasks published")


_UNSENT = (AssignmentState.PENDING.value, AssignmentState.SENDING.value, AssignmentState.AMBIGUOUS.value)


def _require_safe(backend: Backend) -> None:
    """A push whose answer gets lost must be repeatable one way or the other.

    Raises:
        ContractViolation: the backend can neither look up nor publish a key twice safely.
    """
    if not (backend.capabilities.lookup or backend.capabilities.idempotent_publish):
        raise ContractViolation(
            f"backend {backend.name!r} can neither look up its tasks nor publish one twice safely",
            "A crash in mid-push would ask people twice. The plugin must offer one of the two.",
        )


def _within_budget(ctx: StepContext, current: Round, todo: list[Assignment]) -> list[Assignment]:
    """What may still be sent: the budget can have shrunk, or its last moment passed, since the batch was chosen."""
    limits = ctx.config.budget
    spent = spending(ctx.store, ctx.store.annotations.standing(), limits)
    others = replace(
        spent,
        open_labels=spent.open_labels - len(todo),
        open_cost=spent.open_cost - sum(a.cost for a in todo),
        open_hours=spent.open_hours * (1 - len(todo) / max(spent.open_labels, 1)),
    )
    n, limit = affordable(limits, others, len(todo))
    if n < len(todo):
        with ctx.store.transaction():
            ctx.store.rounds.set_state([a.key for a in todo[n:]], AssignmentState.WITHDRAWN, limit)
            ctx.store.events.add("push_curtailed", current.number, tasks=len(todo) - n, limited_by=limit)
    return todo[:n]


def _reconcile(ctx: StepContext, backend: Backend, current: Round) -> None:
    """Store receipts for what an interrupted push left behind."""
    keys = [a.key for a in ctx.store.rounds.assignments(current.number) if a.state in _UNSENT]
    if not keys or not backend.capabilities.lookup:
        return
    with calling("backend", backend.name):
        found = backend.lookup(keys)
        checked_lookup(found, keys, backend.name)
    failpoint("publish.after_lookup")
    if found:
        with ctx.store.transaction():
            ctx.store.rounds.set_sent(found)
            ctx.store.events.add("push_reconciled", current.number, found=len(found))
        failpoint("publish.reconciled")


def _push(ctx: StepContext, backend: Backend, number: int, tasks: Sequence[Task]) -> None:
    """One chunk: SENDING → send → receipts."""
    keys = [task.key for task in tasks]
    with ctx.store.transaction():
        ctx.store.rounds.set_state(keys, AssignmentState.SENDING)
    failpoint("publish.before_send")
    try:
        with calling("backend", backend.name):
            published = checked_published(backend.publish(tasks), tasks, backend.name)
    except BackendUnavailable:
        with ctx.store.transaction():
            ctx.store.rounds.set_state(keys, AssignmentState.AMBIGUOUS)
            ctx.store.events.add("push_ambiguous", number, tasks=len(keys))
        failpoint("publish.ambiguous")
        raise
    failpoint("publish.after_send")
    with ctx.store.transaction():
        ctx.store.rounds.set_sent(published.remote_ids)
        for key, reason in sorted(published.refused.items()):
            ctx.store.rounds.set_state([key], AssignmentState.REFUSED, reason)
        if published.refused:
            ctx.store.events.add("tasks_refused", number, n=len(published.refused))
    failpoint("publish.after_receipt")


def build_tasks(ctx: StepContext, assignments: Sequence[Assignment]) -> list[Task]:
    """What the backend needs to ask these questions, in the order of the batch."""
    if not assignments:
        return []
    store = ctx.store
    prompts = {prompt.id: prompt for prompt, _, _ in store.pool.prompts()}
    responses = {response.id: response for response in store.pool.responses()}
    pairs = {pair.id: pair for pair, _ in store.pool.pairs()}
    capabilities = ctx.parts.backend.capabilities
    recorded = store.pool.recorded([a.pair_id for a in assignments]) if capabilities.only_recorded else {}
    guesses = store.rounds.prelabels(assignments[0].round) if capabilities.prelabels else {}
    judges = _earlier_judges(ctx, assignments)
    tasks = []
    for assignment in assignments:
        pair = pairs[assignment.pair_id]
        left, right = pair.displayed(assignment.flipped)
        prompt = prompts[pair.prompt_id]
        task = _task(assignment, prompt, responses[left], responses[right], guesses, recorded)
        tasks.append(replace(task, not_for=judges.get(assignment.pair_id, ())))
    return tasks


def _earlier_judges(ctx: StepContext, assignments: Sequence[Assignment]) -> dict[str, tuple[str, ...]]:
    """By pair, who judged it in an earlier round: a second opinion, and a gold item, should go to somebody else.

    Votes of this round do not count: a push that is repeated after some came in must give the same tasks.
    """
    wanted = {a.pair_id: a.round for a in assignments}
    found: dict[str, set[str]] = {}
    for vote in ctx.store.annotations.votes():
        if vote.round < wanted.get(vote.pair_id, 0):
            found.setdefault(vote.pair_id, set()).add(vote.annotator)
    return {pair: tuple(sorted(people)) for pair, people in found.items()}


def _task(
    assignment: Assignment,
    prompt: Prompt,
    left: Response,
    right: Response,
    guesses: Mapping[str, Prelabel],
    recorded: Mapping[str, Sequence[RecordedVote]],
) -> Task:
    votes = recorded.get(assignment.pair_id, ())
    return Task(
        key=assignment.key,
        round=assignment.round,
        replica=assignment.replica,
        pair_id=assignment.pair_id,
        prompt=prompt.content,
        left=left.text,
        right=right.text,
        prelabel=guesses.get(assignment.key),
        recorded=tuple(_as_displayed(vote, assignment.flipped) for vote in votes),
        left_metadata=left.metadata,
        right_metadata=right.metadata,
        prompt_metadata=prompt.metadata,
        rank=assignment.rank,
    )


def _as_displayed(vote: RecordedVote, flipped: bool) -> RecordedVote:
    choice = vote.choice.mirrored() if flipped else vote.choice
    return RecordedVote(vote.annotator, choice, vote.kind, vote.strength, vote.reason, vote.seconds)
