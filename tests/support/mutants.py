"""Broken variants of the loop. Each must make the crash suite fail; see ``tests/crash/test_mutants.py``."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pairloop.kit.failpoints import failpoint


@dataclass(frozen=True)
class Mutant:
    """A broken variant.

    Attributes:
        apply: breaks this process for good; called in a forked child.
        scenario: where it shows; kills: at which failpoints, () when it shows without any kill.
        what: what is wrong with it.
    """

    apply: Callable[[], None]
    scenario: str
    kills: tuple[tuple[str, int], ...]
    what: str


MUTANTS: dict[str, Mutant] = {}


def mutant(scenario: str, *kills: tuple[str, int]) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a broken variant by its function's name."""

    def register(apply: Callable[[], None]) -> Callable[[], None]:
        MUTANTS[apply.__name__] = Mutant(apply, scenario, kills, apply.__doc__ or "")
        return apply

    return register


@mutant("plain", ("publish.after_send", 1))
def push_without_lookup() -> None:
    """What an interrupted push left behind is sent again without asking the backend first."""
    from pairloop.steps import publish

    publish._reconcile = lambda *_: None


@mutant("faulty")
def lost_answer_means_not_sent() -> None:
    """A push whose answer got lost is repeated at once."""
    from pairloop.errors import BackendUnavailable
    from pairloop.testing.remote import FileRemote

    publish = FileRemote.publish

    def eager(self: FileRemote, tasks: Sequence[Any]) -> Any:
        while True:
            try:
                return publish(self, tasks)
            except BackendUnavailable:
                continue

    FileRemote.publish = eager  # type: ignore[method-assign]


@mutant("plain", ("artifact.before_rename", 1), ("artifact.before_rename", 3))
def row_before_bytes() -> None:
    """The row of an artifact is committed before its bytes are in place."""
    from pairloop.store.artifacts import Artifacts, empty_folder, folder_digest
    from pairloop.store.store import Store

    late: list[Callable[[], None]] = []
    transaction = Store.transaction

    def store_bytes(self: Artifacts, kind: str, write: Callable[[Path], None]) -> tuple[str, int]:
        temporary = empty_folder(self._folder / kind / ".incoming")
        write(temporary)
        sha256, size = folder_digest(temporary)
        target = self._folder / kind / sha256

        def rename() -> None:
            if not target.exists():
                temporary.rename(target)

        late.append(rename)
        return sha256, size

    class Late:
        def __init__(self, store: Store) -> None:
            self._inner = transaction(store)

        def __enter__(self) -> None:
            self._inner.__enter__()

        def __exit__(self, *error: Any) -> Any:
            result = self._inner.__exit__(*error)
            while late:
                failpoint("artifact.before_rename")
                late.pop()()
            return result

    Artifacts.store_bytes = store_bytes  # type: ignore[method-assign]
    Store.transaction = lambda self: Late(self)  # type: ignore[method-assign, assignment]  # noqa: PLW0108 - a method, not a class


@mutant("plain", ("ingest.before_commit", 1))
def cursor_before_its_page() -> None:
    """The cursor is committed, then the page that it stands for."""
    from pairloop.steps import collect

    def commit(ctx: Any, name: str, page: Any, cursor: str | None, during: int | None) -> Any:
        with ctx.store.transaction():
            ctx.store.set_cursor(name, page.cursor)
        failpoint("ingest.before_commit")
        with ctx.store.transaction():
            return collect.ingest(ctx, page.annotations, during)

    collect._commit_page = commit


@mutant("plain", ("select.before_commit", 1), ("select.before_commit", 2))
def keys_not_stored_before_the_push() -> None:
    """Questions are sent while they are chosen, and stored afterwards."""
    from pairloop.steps import publish, select

    plan_of = select._plan

    def plan_and_push(ctx: Any, current: Any, n: int, held: Any) -> Any:
        plan = plan_of(ctx, current, n, held)
        pairs = {pair.id: pair for pair in plan.pairs}
        prompts = {prompt.id: prompt for prompt, _, _ in ctx.store.pool.prompts()}
        responses = {response.id: response for response in ctx.store.pool.responses()}
        tasks = []
        for a in plan.assignments:
            pair = pairs[a.pair_id]
            left, right = (pair.second, pair.first) if a.flipped else (pair.first, pair.second)
            prompt = prompts[pair.prompt_id]
            tasks.append(publish._task(a, prompt, responses[left], responses[right], plan.prelabels, {}))
        for start in range(0, len(tasks), publish.CHUNK):
            ctx.parts.backend.publish(tasks[start : start + publish.CHUNK])
        return plan

    select._plan = plan_and_push


@mutant("plain", ("select.after_commit", 1))
def state_before_outputs() -> None:
    """The state moves in a transaction of its own, before what it promises is stored."""
    from pairloop.states import RoundState
    from pairloop.store.rounds import RoundStore

    add, move = RoundStore.add_assignments, RoundStore.move

    def add_late(self: RoundStore, assignments: Any) -> None:
        assignments = list(assignments)
        conn = self._db.raw.conn
        conn.execute("UPDATE rounds SET state = 'publishing', version = version + 1 WHERE state = 'selecting'")
        conn.execute("COMMIT")
        failpoint("select.after_commit")
        conn.execute("BEGIN IMMEDIATE")
        add(self, assignments)

    def moved(self: RoundStore, current: Any, to: RoundState, reason: str | None = None) -> Any:
        return current if current.state is RoundState.SELECTING else move(self, current, to, reason)

    RoundStore.add_assignments = add_late  # type: ignore[method-assign]
    RoundStore.move = moved  # type: ignore[method-assign]


@mutant("plain", ("select.after_commit", 1), ("publish.before_send", 2))
def sides_drawn_again_on_resume() -> None:
    """Which response is shown on the left is drawn when the task is sent, not when it is chosen."""
    import dataclasses

    from pairloop.steps import publish

    build = publish.build_tasks

    def redrawn(ctx: Any, assignments: Sequence[Any]) -> Any:
        resumed = ctx.store.get_meta("epoch") > 1
        return build(ctx, [dataclasses.replace(a, flipped=a.flipped ^ resumed) for a in assignments])

    publish.build_tasks = redrawn


@mutant("faulty")
def ingest_without_the_identity_check() -> None:
    """Whatever a page holds is appended, whether it was stored before or not."""
    from pairloop.records import Annotation
    from pairloop.store.annotation_log import AnnotationLog, Ingested, digest

    def append(self: AnnotationLog, annotation: Annotation, during: int | None) -> Ingested:
        n = self.last_seq()
        identity = digest([annotation.backend, annotation.remote_id, annotation.revision, n])
        self._append(annotation, identity, digest([annotation.backend, annotation.remote_id]), None, during)
        self._update_assignment(annotation.key)
        return Ingested(new=1)

    AnnotationLog._ingest_one = append  # type: ignore[method-assign]


@mutant("plain", ("round.closed", 1), ("publish.done", 2))
def random_state_in_memory() -> None:
    """Selection draws from one generator of the process, which a resumed process starts anew."""
    from pairloop.steps import choose

    shared = np.random.default_rng(0)
    choose.generator = lambda *_: shared


@mutant("plain", ("atomic.before_rename", 5), ("atomic.before_rename", 7))
def files_written_in_place() -> None:
    """A file is opened under its own name and written bit by bit."""
    from pairloop.testing import toy_tuner

    def in_place(path: Path, content: bytes | str, *, mode: int = 0o600) -> None:
        data = content.encode() if isinstance(content, str) else content
        with path.open("wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            failpoint("atomic.before_rename")
            file.write(data[len(data) // 2 :])

    toy_tuner.write_atomic = in_place


@mutant("plain", ("train.before_commit", 2))
def votes_counted_by_the_process() -> None:
    """What a fit may see is kept in memory: a resumed process trains on what it pulled itself."""
    from pairloop.store.annotation_log import AnnotationLog

    votes, ingest_one = AnnotationLog.votes, AnnotationLog._ingest_one
    seen: set[str] = set()

    def remembering(self: AnnotationLog, annotation: Any, during: int | None) -> Any:
        seen.add(annotation.key)
        return ingest_one(self, annotation, during)

    AnnotationLog._ingest_one = remembering  # type: ignore[method-assign]
    AnnotationLog.votes = lambda self, up_to=None: [  # type: ignore[method-assign]
        vote for vote in votes(self, up_to=up_to) if vote.key in seen
    ]


@mutant("plain", ("publish.done", 2), ("collect.after_page", 3))
def campaign_named_by_the_process() -> None:
    """Keys are made from something that a restart changes."""
    from pairloop.steps import select

    key_of, epoch_of = select.assignment_key, []

    plan_of = select._plan

    def plan(ctx: Any, current: Any, n: int, held: Any) -> Any:
        epoch_of[:] = [ctx.store.get_meta("epoch")]
        return plan_of(ctx, current, n, held)

    select._plan = plan
    select.assignment_key = lambda campaign, *rest: key_of(json.dumps([campaign, *epoch_of]), *rest)
