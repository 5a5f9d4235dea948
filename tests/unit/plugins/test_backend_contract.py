"""The built-in backends keep the contract, and the contract finds what it is there to find."""

import inspect
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pairloop.protocols import Backend, BackendContext, Capabilities, Published
from pairloop.records import Annotation, Choice, Page, Task
from pairloop.testing.backends import BackendContract, Factory
from pairloop_plugins.manual import ManualBackend
from pairloop_plugins.replay import ReplayOptions
from pairloop_plugins.replay.backend import ReplayBackend
from pairloop_plugins.simulated.backend import SimulatedBackend
from pairloop_plugins.simulated.options import AnnotatorOptions, SimulatedOptions

_GOLD = {
    Choice.LEFT: (2, 1),
    Choice.RIGHT: (1, 2),
    Choice.TIE: (1, 1),
    Choice.SKIP: (-9, -8),
    Choice.BOTH_BAD: (-9, -8),
}


class TestSimulated(BackendContract):
    choices = (Choice.LEFT, Choice.RIGHT, Choice.TIE, Choice.SKIP)
    skip_as = "skip"

    @pytest.fixture
    def backend_factory(self, make_context: Callable[..., BackendContext]) -> Factory:
        kind = AnnotatorOptions(
            teacher="oracle", count=3, skip_below=-5, equal_within=0.5, skip_as=self.skip_as, latency=2.0
        )
        options = SimulatedOptions(pool=(kind,))
        return lambda folder: SimulatedBackend(options, make_context(folder))

    def make_task(self, index: int, choice: Choice = Choice.LEFT, *, text: str = "") -> Task:
        left, right = _GOLD[choice]
        return replace(super().make_task(index, choice), left=f"{text} gold={left}", right=f"{text} gold={right}")


class TestSimulatedBothBad(TestSimulated):
    choices = (Choice.BOTH_BAD, Choice.LEFT)
    skip_as = "both_bad"


class TestReplay(BackendContract):
    @pytest.fixture
    def backend_factory(self, make_context: Callable[..., BackendContext]) -> Factory:
        return lambda folder: ReplayBackend(ReplayOptions(), make_context(folder))


class TestManual(BackendContract):
    choices = ()

    @pytest.fixture
    def backend_factory(self, make_context: Callable[..., BackendContext]) -> Factory:
        return lambda folder: ManualBackend(make_context(folder))


# ------------------------------------------------------------------------ the contract against broken backends


class FileBackend:
    """A correct backend in one JSON file, with joints at which the broken ones below differ."""

    name = "file"
    capabilities = Capabilities(idempotent_publish=True, lookup=True, cancel=True)
    page_size = 50

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tasks.json"

    def load(self) -> dict[str, Any]:
        return json.loads(self.path.read_text()) if self.path.exists() else {"tasks": {}, "answers": []}

    def store(self, state: dict[str, Any]) -> None:
        self.path.write_text(json.dumps(state))

    def publish(self, tasks: Sequence[Task]) -> Published:
        state = self.load()
        for task in tasks:
            state["tasks"].setdefault(task.key, f"t{len(state['tasks'])}")
        self.store(state)
        return Published({task.key: state["tasks"][task.key] for task in tasks})

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        tasks = self.load()["tasks"]
        return {key: tasks[key] for key in keys if key in tasks}

    def answer(self, choices: Mapping[str, Choice]) -> None:
        state = self.load()
        state["answers"] += [[key, self.said(choice)] for key, choice in choices.items()]
        self.store(state)

    def said(self, choice: Choice) -> str:
        return choice.value

    def poll(self, cursor: str | None) -> Page:
        start = int(cursor or 0)
        answers = self.load()["answers"]
        part = answers[start : start + self.page_size]
        votes = [self.vote(start + i, key, said) for i, (key, said) in enumerate(part)]
        return Page(votes, str(start + len(part)), len(answers) > start + len(part))

    def vote(self, number: int, key: str, said: str) -> Annotation:
        return Annotation(key, self.name, f"a{number}", "1", "someone", Choice(said))

    def cancel(self, keys: Collection[str]) -> Collection[str]:
        state = self.load()
        answered = {key for key, _ in state["answers"]}
        return [key for key in keys if key in state["tasks"] and key not in answered]

    def close(self) -> None:
        pass


class DoublesTasks(FileBackend):
    def publish(self, tasks: Sequence[Task]) -> Published:
        state = self.load()
        ids = {}
        for task in tasks:
            ids[task.key] = state["tasks"][task.key] = f"t{len(state['tasks'])}-{len(self.path.parts)}-{id(task)}"
        self.store(state)
        return Published(ids)


class AnswersTwice(FileBackend):
    def publish(self, tasks: Sequence[Task]) -> Published:
        published = super().publish(tasks)
        state = self.load()
        state["pushes"] = [*state.get("pushes", []), *(task.key for task in tasks)]
        self.store(state)
        return published

    def answer(self, choices: Mapping[str, Choice]) -> None:
        pushes = self.load()["pushes"]
        for key, choice in choices.items():
            for _ in range(pushes.count(key)):
                super().answer({key: choice})


class ForgetsOnRestart(FileBackend):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path.unlink(missing_ok=True)


class WritesOnClose(FileBackend):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state: dict[str, Any] = super().load()

    def load(self) -> dict[str, Any]:
        return self.state

    def store(self, state: dict[str, Any]) -> None:
        self.state = state

    def close(self) -> None:
        super().store(self.state)


class SwapsSides(FileBackend):
    def said(self, choice: Choice) -> str:
        return choice.mirrored().value


class DropsTies(FileBackend):
    def said(self, choice: Choice) -> str:
        return (Choice.LEFT if choice is Choice.TIE else choice).value


class LookupKnowsEverything(FileBackend):
    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        return {key: f"t-{key}" for key in keys}


class PollConsumes(FileBackend):
    def poll(self, cursor: str | None) -> Page:
        state = self.load()
        votes = [self.vote(number, *answer) for number, answer in enumerate(state["answers"])]
        self.store({**state, "answers": []})
        return Page(votes, "0")


class LosesEndOfPage(FileBackend):
    def poll(self, cursor: str | None) -> Page:
        page = super().poll(cursor)
        return replace(page, annotations=page.annotations[:-1] if page.more else page.annotations)


class SharesRemoteIds(FileBackend):
    def vote(self, number: int, key: str, said: str) -> Annotation:
        return replace(super().vote(number, key, said), remote_id="a")


class ChangesTasks(FileBackend):
    def publish(self, tasks: Sequence[Task]) -> Published:
        for task in tasks:
            object.__setattr__(task, "left", task.left.upper())
        return super().publish(tasks)


class CancelsAnswered(FileBackend):
    def cancel(self, keys: Collection[str]) -> Collection[str]:
        return [key for key in keys if key in self.load()["tasks"]]


class CancelsUnknown(FileBackend):
    def cancel(self, keys: Collection[str]) -> Collection[str]:
        return list(keys)


class AsciiOnly(FileBackend):
    def publish(self, tasks: Sequence[Task]) -> Published:
        for task in tasks:
            (task.left + task.right).encode("ascii")
        return super().publish(tasks)


class RefusesEmptyCalls(FileBackend):
    def publish(self, tasks: Sequence[Task]) -> Published:
        return super().publish(tasks) if tasks else Published({"": tasks[0].key})


class ClosesOnce(FileBackend):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise ValueError("closed already")
        self.closed = True


class CannotBeAskedAgain(FileBackend):
    capabilities = Capabilities(idempotent_publish=False, lookup=False, cancel=True)


class CancelsWithoutSayingSo(FileBackend):
    capabilities = Capabilities(idempotent_publish=True, lookup=True, cancel=False)


class AsksOneAnnotator(FileBackend):
    capabilities = Capabilities(idempotent_publish=True, lookup=True, cancel=True, assigns_annotators=True)


class ClaimsThatPrelabelsWereShown(FileBackend):
    def vote(self, number: int, key: str, said: str) -> Annotation:
        return replace(super().vote(number, key, said), prelabel_shown=True)


class ForgetsThatPrelabelsWereShown(FileBackend):
    capabilities = Capabilities(idempotent_publish=True, lookup=True, cancel=True, prelabels=True)


class FileContract(BackendContract):
    polls: ClassVar[int] = 20

    def answer(self, backend: Backend, choices: Mapping[str, Choice]) -> None:
        assert isinstance(backend, FileBackend)
        backend.answer(choices)


def failures(factory: Factory, folder: Path) -> list[str]:
    """Names of the contract's tests that a backend fails."""
    contract = FileContract()
    failed = []
    for number, (name, arguments) in enumerate(_calls()):
        place = folder / str(number)
        place.mkdir()
        try:
            getattr(contract, name)(factory, place, **arguments)
        except pytest.skip.Exception:
            continue
        except Exception:  # noqa: BLE001 - whatever a broken backend does to the test, the test has failed
            failed.append(name)
    return failed


def _calls() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, test in inspect.getmembers(FileContract, inspect.isfunction):
        if name.startswith("test_"):
            marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
            yield from ((name, {marks[0].args[0]: value}) for value in marks[0].args[1]) if marks else [(name, {})]


def test_a_correct_backend_keeps_the_contract(tmp_path: Path) -> None:
    assert failures(FileBackend, tmp_path) == []


@pytest.mark.parametrize(
    ("broken", "found_by"),
    [
        (DoublesTasks, "test_publishing_twice_makes_one_task"),
        (AnswersTwice, "test_publishing_twice_makes_one_task"),
        (ForgetsOnRestart, "test_a_restart_finds_the_tasks_again"),
        (WritesOnClose, "test_a_restart_finds_the_tasks_again"),
        (SwapsSides, "test_each_choice_comes_back_as_it_was_given"),
        (DropsTies, "test_each_choice_comes_back_as_it_was_given"),
        (LookupKnowsEverything, "test_lookup_finds_what_was_published_and_nothing_else"),
        (PollConsumes, "test_any_cursor_can_be_used_again"),
        (LosesEndOfPage, "test_many_answers_come_over_several_pages"),
        (SharesRemoteIds, "test_annotations_are_well_formed"),
        (ChangesTasks, "test_publishing_leaves_the_tasks_alone"),
        (CancelsAnswered, "test_cancel_confirms_open_tasks_only"),
        (CancelsUnknown, "test_cancel_confirms_open_tasks_only"),
        (AsciiOnly, "test_any_text_can_be_asked_about"),
        (RefusesEmptyCalls, "test_nothing_to_do_is_fine"),
        (ClosesOnce, "test_close_may_be_called_twice"),
        (CannotBeAskedAgain, "test_it_can_be_asked_again_safely"),
        (AsksOneAnnotator, "test_replicas_go_to_different_annotators"),
        (ClaimsThatPrelabelsWereShown, "test_only_prelabels_that_were_shown_count_as_shown"),
        (ForgetsThatPrelabelsWereShown, "test_only_prelabels_that_were_shown_count_as_shown"),
        (CancelsWithoutSayingSo, "test_cancel_confirms_open_tasks_only"),
    ],
)
def test_the_contract_finds_what_is_broken(broken: Factory, found_by: str, tmp_path: Path) -> None:
    assert found_by in failures(broken, tmp_path)


def test_a_contract_without_a_factory_says_what_is_missing() -> None:
    fixture = inspect.unwrap(vars(BackendContract)["backend_factory"])
    function = getattr(fixture, "_get_wrapped_function", lambda: fixture)()
    with pytest.raises(NotImplementedError, match="FileContract must override"):
        function(FileContract())
