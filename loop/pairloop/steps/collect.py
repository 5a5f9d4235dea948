"""COLLECTING: pull pages until there is nothing new, then close the round when its criteria say so."""

from collections.abc import Collection, Iterable

from pairloop.errors import ContractViolation
from pairloop.gate import closing_reason
from pairloop.kit.clock import hours_since
from pairloop.kit.failpoints import failpoint
from pairloop.records import Annotation, Page, RefusedFile
from pairloop.states import AssignmentState, RoundState
from pairloop.steps.base import Advanced, Outcome, StepContext, Waiting
from pairloop.steps.contract import calling, checked_page
from pairloop.store.annotation_log import Ingested
from pairloop.store.rounds import Round
from pairloop.store.store import REFUSED_FILES

_SHOWN = 20  # problems of a file in its event

BARREN_PAGES = 10_000
"""Pages without news after which a backend that promises more counts as broken."""


def run(ctx: StepContext, current: Round) -> Outcome:
    """Pull everything there is, then close or wait."""
    ingested = pull(ctx, current.number)
    counts = ctx.store.rounds.count(current.number)
    hours = hours_since(current.published_at) if current.published_at else 0.0
    reason = closing_reason(ctx.config.round, counts, hours)
    done = counts.get(AssignmentState.ANSWERED, 0) + counts.get(AssignmentState.SKIPPED, 0)
    if reason is None:
        return Waiting(current.number, done, sum(counts.values()), f"{ingested.changed} new")
    withdrawn = _cancel_open(ctx, current) if ctx.config.round.on_close == "withdraw" else []
    with ctx.store.transaction():
        ctx.store.rounds.set_state(withdrawn, AssignmentState.WITHDRAWN)
        ctx.store.rounds.move(current, RoundState.TRAINING, reason)
        ctx.store.events.add("round_collected", current.number, reason=reason, answered=done, withdrawn=len(withdrawn))
    failpoint("collect.closed")
    return Advanced(current.number, RoundState.TRAINING, reason)


def pull(ctx: StepContext, during: int | None) -> Ingested:
    """Commit page after page, each together with its cursor.

    Raises:
        ContractViolation: page after page claims that there is more, and nothing new comes.
    """
    backend = ctx.parts.backend
    total, barren = Ingested(), 0
    while True:
        cursor = ctx.store.cursor(backend.name)
        with calling("backend", backend.name):
            page = checked_page(backend.poll(cursor), backend.name)
        failpoint("collect.after_poll")
        _note_refused(ctx, page.refused, during)
        ingested = _commit_page(ctx, backend.name, page, cursor, during)
        total += ingested
        if not page.more or page.cursor == cursor:  # a page that repeats itself forever must not hang us
            return total
        barren = 0 if ingested.changed else barren + 1
        if barren == BARREN_PAGES:
            raise ContractViolation(f"backend {backend.name!r} said more = True for {barren} pages without news")


def _commit_page(ctx: StepContext, name: str, page: Page, cursor: str | None, during: int | None) -> Ingested:
    if not page.annotations and not page.gone and page.cursor == cursor:
        return Ingested()
    with ctx.store.transaction():
        ingested = ingest(ctx, page.annotations, during)
        _note_gone(ctx, page.gone, during)
        ctx.store.set_cursor(name, page.cursor)
        failpoint("ingest.before_commit")
    failpoint("collect.after_page")
    return ingested


def _note_gone(ctx: StepContext, keys: Collection[str], during: int | None) -> None:
    """Questions that were deleted on the server can bring no vote: their budget is free again."""
    still_open = {a.key for a in ctx.store.rounds.assignments() if AssignmentState(a.state).is_open} if keys else set()
    gone = sorted(still_open & set(keys))
    if gone:
        ctx.store.rounds.set_state(gone, AssignmentState.WITHDRAWN, "deleted on the server")
        ctx.store.events.add("questions_gone", during, n=len(gone))


def _note_refused(ctx: StepContext, refused: Collection[RefusedFile], during: int | None) -> None:
    """Store which files stand refused, with an event for each that changed."""
    before = {file["file"]: file["problems"] for file in ctx.store.refused_files()}
    now = {file.name: list(file.problems) for file in refused}
    if now == before:
        return
    with ctx.store.transaction():
        ctx.store.set_meta(REFUSED_FILES, [{"file": name, "problems": problems} for name, problems in now.items()])
        for name, problems in now.items():
            if problems != before.get(name):
                ctx.store.events.add("file_refused", during, file=name, n=len(problems), problems=problems[:_SHOWN])
        for name in sorted(set(before) - set(now)):
            ctx.store.events.add("file_mended", during, file=name)


def ingest(ctx: StepContext, annotations: Iterable[Annotation], during: int | None) -> Ingested:
    """Store annotations and say what became of them; inside a transaction."""
    ingested = ctx.store.annotations.ingest(annotations, during=during)
    if ingested.changed or ingested.unknown:
        ctx.store.events.add(
            "annotations_received",
            during,
            new=ingested.new,
            revised=ingested.revised,
            retracted=ingested.retracted,
            late=ingested.late,
            unknown=len(ingested.unknown),
        )
    return ingested


def _cancel_open(ctx: StepContext, current: Round) -> list[str]:
    """Take back what was not answered; the keys that the backend confirms: only those free their budget."""
    backend = ctx.parts.backend
    keys = [a.key for a in ctx.store.rounds.assignments(current.number) if AssignmentState(a.state).is_open]
    if not keys or not backend.capabilities.cancel:
        return []
    failpoint("collect.before_cancel")
    with calling("backend", backend.name):
        confirmed = sorted(set(backend.cancel(keys)) & set(keys))
    failpoint("collect.after_cancel")
    return confirmed
