"""The contract of annotation backends, as tests that a plugin's author inherits::

    from pairloop.testing.backends import BackendContract

    class TestMyBackend(BackendContract):
        choices = (Choice.LEFT, Choice.RIGHT, Choice.TIE)

        @pytest.fixture
        def backend_factory(self):
            return lambda folder: MyBackend(folder)

        def answer(self, backend, choices):
            for key, choice in choices.items():
                ...  # make the annotators of your test server say ``choice`` about the task ``key``

``backend_factory(folder)`` opens the backend whose private folder (or whose project on a test server) is ``folder``;
calling it twice with one folder is a restart of the process, with or without ``close`` before it.
"""

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from pairloop.kit.ids import assignment_key
from pairloop.protocols import Backend
from pairloop.records import Annotation, AnnotatorKind, Choice, Page, Prelabel, RecordedVote, Task

Factory = Callable[[Path], Backend]
Identity = tuple[str, str]

ODD_TEXTS = (
    "naïve café — “quotes” 'and' \"more\"",
    "日本語のテキスト。二つ目の文。",
    "שלום\u202e reversed \u202c עולם",
    "👩‍👩‍👧‍👦 e\u0301 \ufffd \u200b",
    "line one\nline two\n\n\ttabbed",
    "<script>alert('x')</script> & <b>bold</b> $value {{template}} =SUM(A1)",
    "",
)


class BackendContract:
    """What every backend must do. Override ``backend_factory``, and the hooks that your backend needs."""

    choices: ClassVar[tuple[Choice, ...]] = tuple(Choice)
    """Judgements that ``make_task`` and ``answer`` can bring about; () for a backend that never reports."""
    polls: ClassVar[int] = 200
    """Polls in a row after which an answer that was brought about must have been reported."""
    patience: ClassVar[float] = 30.0
    """Seconds that no single poll may take."""

    # -------------------------------------------------------------------------------------------- hooks

    @pytest.fixture
    def backend_factory(self) -> Factory:
        """Opens the backend that lives in a folder. Override it."""
        raise NotImplementedError(f"{type(self).__name__} must override the fixture backend_factory")

    def make_task(self, index: int, choice: Choice = Choice.LEFT, *, text: str = "") -> Task:
        """The ``index``-th task, one to which the backend can answer ``choice``; ``text`` is part of its texts.

        Override it where answers depend on what is asked, as a simulator's do.
        """
        pair = f"q{index:020d}"
        return Task(
            key=assignment_key("contract", 1, pair, 0),
            round=1,
            replica=0,
            pair_id=pair,
            prompt=f"Prompt {index} {text}",
            left=f"The response on the left {index} {text}",
            right=f"The response on the right {index} {text}",
            recorded=tuple(RecordedVote(f"annotator-{index}-{n}", choice) for n in range(3)),
        )

    def answer(self, backend: Backend, choices: Mapping[str, Choice]) -> None:
        """Make the annotators answer the published tasks with these keys. Override it where people are needed."""

    # ------------------------------------------------------------------------------------------ helpers

    def tasks(self, n: int, choice: Choice | None = None) -> list[Task]:
        """Tasks 0 to n − 1, all with one possible choice."""
        wanted = choice or (self.choices[0] if self.choices else Choice.LEFT)
        return [self.make_task(index, wanted) for index in range(n)]

    def answered(self, backend: Backend, tasks: Iterable[Task], choice: Choice | None = None) -> list[Annotation]:
        """Publish the tasks, bring their answers about, and read them."""
        if not self.choices:
            pytest.skip("this backend never reports answers")
        tasks = list(tasks)
        backend.publish(tasks)
        self.answer(backend, {task.key: choice or self.choices[0] for task in tasks})
        return [one for page in self.drain(backend, len(tasks)) for one in page.annotations]

    def drain(self, backend: Backend, expected: int, cursor: str | None = None) -> list[Page]:
        """Pages from ``cursor`` until ``expected`` different annotations were read and a page brought nothing new."""
        pages: list[Page] = []
        seen: set[Identity] = set()
        for _ in range(self.polls):
            page = self.poll(backend, cursor)
            pages.append(page)
            new = {identity(one) for one in page.annotations} - seen
            seen |= new
            cursor = page.cursor
            if len(seen) >= expected and not new and not page.more:
                return pages
        raise AssertionError(f"{len(seen)} of {expected} answers were reported in {self.polls} polls")

    def poll(self, backend: Backend, cursor: str | None) -> Page:
        """One poll, which must not wait for anybody."""
        before = time.monotonic()
        page = backend.poll(cursor)
        assert time.monotonic() - before < self.patience, "poll must return at once, whether people answered or not"
        assert isinstance(page.cursor, str), "the cursor is stored as text"
        return page

    # ------------------------------------------------------------------------------------------- publish

    def test_it_can_be_asked_again_safely(self, backend_factory: Factory, tmp_path: Path) -> None:
        """A push whose answer got lost is survivable only by idempotent publishing or by looking up."""
        backend = backend_factory(tmp_path)
        assert backend.capabilities.idempotent_publish or backend.capabilities.lookup
        assert backend.name
        backend.close()

    def test_every_task_gets_its_own_remote_id(self, backend_factory: Factory, tmp_path: Path) -> None:
        """Each key is either created, under an id that no other has, or refused with a reason."""
        backend = backend_factory(tmp_path)
        tasks = self.tasks(5)
        published = backend.publish(tasks)
        assert sorted([*published.remote_ids, *published.refused]) == sorted(task.key for task in tasks)
        assert not published.refused, "the contract's own tasks must be acceptable: override make_task"
        assert len(set(published.remote_ids.values())) == 5
        assert all(isinstance(remote, str) and remote for remote in published.remote_ids.values())
        backend.close()

    def test_publishing_twice_makes_one_task(self, backend_factory: Factory, tmp_path: Path) -> None:
        """The same keys keep their remote ids, within a call, over calls, and over a restart."""
        backend = backend_factory(tmp_path)
        if not backend.capabilities.idempotent_publish:
            pytest.skip("this backend relies on lookup")
        tasks = self.tasks(4)
        first = backend.publish([*tasks[:2], tasks[0]]).remote_ids
        again = backend.publish(tasks).remote_ids
        restarted = backend_factory(tmp_path)
        after = restarted.publish(tasks).remote_ids
        assert {key: again[key] for key in first} == dict(first)
        assert dict(after) == dict(again)
        if self.choices:
            self.answer(restarted, {task.key: self.choices[0] for task in tasks})
            pages = [*self.drain(restarted, 4), self.poll(restarted, None)]
            votes = {identity(one): one.key for page in pages for one in page.annotations}
            assert sorted(votes.values()) == sorted(task.key for task in tasks), "one answer a task"
        for one in (backend, restarted):
            one.close()

    def test_publishing_leaves_the_tasks_alone(self, backend_factory: Factory, tmp_path: Path) -> None:
        """What is handed in is not changed."""
        backend = backend_factory(tmp_path)
        tasks = self.tasks(3)
        before = copy.deepcopy(tasks)
        backend.publish(tasks)
        assert tasks == before
        backend.close()

    def test_nothing_to_do_is_fine(self, backend_factory: Factory, tmp_path: Path) -> None:
        """Empty calls do nothing, and a poll of an empty backend gives an empty page with a usable cursor."""
        backend = backend_factory(tmp_path)
        published = backend.publish([])
        assert not published.remote_ids
        assert not published.refused
        assert not backend.lookup([])
        assert not list(backend.cancel([]))
        page = self.poll(backend, None)
        assert not page.annotations
        assert not page.more
        assert not self.poll(backend, page.cursor).annotations
        backend.close()

    @pytest.mark.parametrize("text", ODD_TEXTS)
    def test_any_text_can_be_asked_about(self, backend_factory: Factory, tmp_path: Path, text: str) -> None:
        """Unicode, markup, template syntax and empty texts get through."""
        backend = backend_factory(tmp_path)
        task = self.make_task(0, self.choices[0] if self.choices else Choice.LEFT, text=text)
        assert list(backend.publish([task]).remote_ids) == [task.key]
        if self.choices:
            assert [one.key for one in self.answered(backend, [task])] == [task.key]
        backend.close()

    # -------------------------------------------------------------------------------------------- lookup

    def test_lookup_finds_what_was_published_and_nothing_else(self, backend_factory: Factory, tmp_path: Path) -> None:
        """Also after part of a batch was published, and with keys that nobody knows."""
        backend = backend_factory(tmp_path)
        if not backend.capabilities.lookup:
            pytest.skip("this backend cannot look up")
        tasks = self.tasks(4)
        published = backend.publish(tasks[:2]).remote_ids
        found = backend.lookup([*(task.key for task in tasks), "kunknown"])
        assert dict(found) == dict(published)
        backend.publish(tasks[2:])
        assert sorted(backend.lookup([task.key for task in tasks])) == sorted(task.key for task in tasks)
        backend.close()

    def test_a_restart_finds_the_tasks_again(self, backend_factory: Factory, tmp_path: Path) -> None:
        """What ``publish`` returned is there for the next process, whether this one closes or is killed."""
        killed = backend_factory(tmp_path)
        if not killed.capabilities.lookup:
            pytest.skip("this backend cannot look up")
        tasks = self.tasks(3)
        published = killed.publish(tasks).remote_ids
        keys = [task.key for task in tasks]
        after_kill = backend_factory(tmp_path)
        assert dict(after_kill.lookup(keys)) == dict(published)
        after_kill.close()
        killed.close()
        after_close = backend_factory(tmp_path)
        assert dict(after_close.lookup(keys)) == dict(published)
        after_close.close()

    # ---------------------------------------------------------------------------------------------- poll

    def test_each_choice_comes_back_as_it_was_given(self, backend_factory: Factory, tmp_path: Path) -> None:
        """Left is the displayed left; ties and skips are what they are."""
        if not self.choices:
            pytest.skip("this backend never reports answers")
        backend = backend_factory(tmp_path)
        wanted = {}
        for index, choice in enumerate((*self.choices, *self.choices)):
            task = self.make_task(index, choice)
            backend.publish([task])
            wanted[task.key] = choice
        self.answer(backend, wanted)
        pages = self.drain(backend, len(wanted))
        assert {one.key: one.choice for page in pages for one in page.annotations} == wanted
        backend.close()

    def test_annotations_are_well_formed(self, backend_factory: Factory, tmp_path: Path) -> None:
        """Keys that were published, the backend's own name, ids of their own, an annotator, sane numbers."""
        backend = backend_factory(tmp_path)
        tasks = self.tasks(6)
        votes = self.answered(backend, tasks)
        assert {vote.key for vote in votes} == {task.key for task in tasks}
        assert {vote.backend for vote in votes} == {backend.name}
        assert len({identity(vote) for vote in votes}) == len(votes) == 6
        for vote in votes:
            assert vote.remote_id
            assert vote.revision
            assert vote.annotator
            assert isinstance(vote.choice, Choice)
            assert isinstance(vote.kind, AnnotatorKind)
            assert vote.seconds is None or 0 <= vote.seconds < math.inf
            assert vote.cost is None or 0 <= vote.cost < math.inf
            assert vote.prompt_rating is None or 1 <= vote.prompt_rating <= 5
            assert not vote.deleted
        backend.close()

    def test_replicas_go_to_different_annotators(self, backend_factory: Factory, tmp_path: Path) -> None:
        """Where the backend assigns annotators, nobody is asked the same question twice in a round."""
        backend = backend_factory(tmp_path)
        if not backend.capabilities.assigns_annotators:
            pytest.skip("this backend leaves it to others who answers")
        first = self.make_task(0, self.choices[0] if self.choices else Choice.LEFT)
        again = [replace(first, replica=n, key=assignment_key("contract", 1, first.pair_id, n)) for n in (1, 2)]
        votes = self.answered(backend, [first, *again])
        assert len({vote.key for vote in votes}) == 3
        assert len({vote.annotator for vote in votes}) == 3
        backend.close()

    @pytest.mark.parametrize("shown", [False, True])
    def test_only_prelabels_that_were_shown_count_as_shown(
        self, backend_factory: Factory, tmp_path: Path, shown: bool
    ) -> None:
        """A vote given under the model's influence carries the flag, and no other does."""
        backend = backend_factory(tmp_path)
        guess = Prelabel(Choice.RIGHT, 0.2, "model", shown=shown)
        votes = self.answered(backend, [replace(task, prelabel=guess) for task in self.tasks(2)])
        assert {vote.prelabel_shown for vote in votes} == {shown and backend.capabilities.prelabels}
        backend.close()

    def test_any_cursor_can_be_used_again(self, backend_factory: Factory, tmp_path: Path) -> None:
        """A page that was asked for twice holds at least the same annotations, also after later work and a restart."""
        backend = backend_factory(tmp_path)
        self.answered(backend, self.tasks(7))
        asked: list[tuple[str | None, Page]] = []
        cursor: str | None = None
        for page in self.drain(backend, 7):
            asked.append((cursor, page))
            cursor = page.cursor
        later = [self.make_task(index, self.choices[0]) for index in range(7, 10)]
        backend.publish(later)
        self.answer(backend, {task.key: self.choices[0] for task in later})
        self.drain(backend, 3, cursor)
        restarted = backend_factory(tmp_path)
        for reader in (backend, restarted):
            for start, page in asked:
                again = {identity(one): one for one in self.poll(reader, start).annotations}
                assert {identity(one): one for one in page.annotations}.items() <= again.items()
        for one in (backend, restarted):
            one.close()

    def test_following_the_cursor_misses_nothing(self, backend_factory: Factory, tmp_path: Path) -> None:
        """Answers to tasks of a second batch appear behind the cursor at which the first was finished."""
        backend = backend_factory(tmp_path)
        votes = self.answered(backend, self.tasks(5))
        cursor = self.drain(backend, 5)[-1].cursor
        later = [self.make_task(index, self.choices[0]) for index in range(5, 9)]
        backend.publish(later)
        self.answer(backend, {task.key: self.choices[0] for task in later})
        behind = {one.key for page in self.drain(backend, 4, cursor) for one in page.annotations}
        assert {task.key for task in later} <= behind | {vote.key for vote in votes}
        assert {task.key for task in later} <= behind
        backend.close()

    def test_many_answers_come_over_several_pages(self, backend_factory: Factory, tmp_path: Path) -> None:
        """A large batch is reported whole, each task once."""
        backend = backend_factory(tmp_path)
        tasks = self.tasks(120)
        votes = self.answered(backend, tasks)
        assert sorted({vote.key for vote in votes}) == sorted(task.key for task in tasks)
        assert len({identity(vote) for vote in votes}) == 120
        backend.close()

    # -------------------------------------------------------------------------------------- cancel, close

    def test_cancel_confirms_open_tasks_only(self, backend_factory: Factory, tmp_path: Path) -> None:
        """Confirmed keys were asked for and existed; none of them is answered afterwards; answered ones stay."""
        backend = backend_factory(tmp_path)
        tasks = self.tasks(4)
        backend.publish(tasks)
        keys = [task.key for task in tasks]
        confirmed = set(backend.cancel([*keys[:2], "kunknown"]))
        if not backend.capabilities.cancel:
            assert not confirmed
        assert confirmed <= set(keys[:2])
        if self.choices:
            kept = [task for task in tasks if task.key not in confirmed]
            self.answer(backend, {task.key: self.choices[0] for task in kept})
            pages = self.drain(backend, len(kept))
            assert {one.key for page in pages for one in page.annotations} == {task.key for task in kept}
            assert not set(backend.cancel([task.key for task in kept])), "answered tasks cannot be withdrawn"
        backend.close()

    def test_close_may_be_called_twice(self, backend_factory: Factory, tmp_path: Path) -> None:
        """The second call does nothing."""
        backend = backend_factory(tmp_path)
        backend.close()
        backend.close()


def identity(annotation: Annotation) -> Identity:
    """What tells annotations of one backend apart."""
    return annotation.remote_id, annotation.revision
