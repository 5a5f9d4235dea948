"""The backend ``judge`` keeps the contract of backends; the judges' contract finds what it is there to find."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pairloop.errors import BackendUnavailable, ConfigError
from pairloop.judging.backend import JudgeBackend
from pairloop.judging.cache import AnswerCache
from pairloop.judging.panel import Panel
from pairloop.protocols import BackendContext, Judge, JudgeAnswer, JudgeContext, JudgeQuestion
from pairloop.records import Choice, Task
from pairloop.testing.backends import BackendContract, Factory
from pairloop.testing.judges import JudgeContract
from pairloop.testing.toy_judge import ToyJudge, ToyJudgeOptions


class Telling(ToyJudge):
    """Answers what the response says, so that a contract can bring an answer about."""

    identity = "telling-judge"

    def _answer(self, question: JudgeQuestion) -> JudgeAnswer:
        left, right = ("better" in text for text in (question.left, question.right))
        if "mute" in question.left + question.right:
            return JudgeAnswer(Choice.SKIP, reason="mute")
        return JudgeAnswer(Choice.TIE if left == right else Choice.LEFT if left else Choice.RIGHT)


_TEXTS = {
    Choice.LEFT: ("better", "x"),
    Choice.RIGHT: ("x", "better"),
    Choice.TIE: ("x", "y"),
    Choice.SKIP: ("mute", "x"),
}


def opened(folder: Path, judge: Judge) -> JudgeBackend:
    panel = Panel(judge, "toy", AnswerCache(folder.parent / "cache"), "me")
    return JudgeBackend(BackendContext(folder, "contract", 0, judge=panel))


class TestJudgeBackend(BackendContract):
    choices = (Choice.LEFT, Choice.RIGHT, Choice.TIE, Choice.SKIP)

    @pytest.fixture
    def backend_factory(self) -> Factory:
        def make(folder: Path) -> JudgeBackend:
            judge = Telling(ToyJudgeOptions(), JudgeContext(folder))
            judge.identity = "telling-judge"
            return opened(folder, judge)

        return make

    def make_task(self, index: int, choice: Choice = Choice.LEFT, *, text: str = "") -> Task:
        left, right = _TEXTS[choice]
        return replace(super().make_task(index, choice), left=f"{text} {left}", right=f"{text} {right}")


def test_without_a_judge_there_is_no_backend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"judge\.kind"):
        JudgeBackend(BackendContext(tmp_path, "c", 0))


def test_a_judge_that_is_out_is_retryable(tmp_path: Path) -> None:
    folder = tmp_path / "backend"
    folder.mkdir()
    backend = opened(folder, ToyJudge(ToyJudgeOptions(fails_after=0), JudgeContext(tmp_path)))
    backend.publish([Task("k1", 1, 0, "q", "prompt", "a", "bb")])
    with pytest.raises(BackendUnavailable, match="the toy judge is out"):
        backend.poll(None)


# -------------------------------------------------------------------------------- the contract of judges


class TestToy(JudgeContract):
    @pytest.fixture
    def judge_factory(self, tmp_path: Path) -> Callable[[], Judge]:
        return lambda: ToyJudge(ToyJudgeOptions(), JudgeContext(tmp_path))


def broken(change: Callable[[list[JudgeAnswer]], Sequence[JudgeAnswer]]) -> type[ToyJudge]:
    class Broken(ToyJudge):
        def ask(self, questions: Sequence[JudgeQuestion]) -> Sequence[JudgeAnswer]:
            return change(list(super().ask(questions)))

    return Broken


class Moody(ToyJudge):
    count = 0

    def ask(self, questions: Sequence[JudgeQuestion]) -> Sequence[JudgeAnswer]:
        Moody.count += 1
        return [JudgeAnswer(Choice.LEFT if Moody.count % 2 else Choice.RIGHT) for _ in questions]


class Nameless(ToyJudge):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.identity = f"judge at {id(self):020d}"


class Formatting(ToyJudge):
    def ask(self, questions: Sequence[JudgeQuestion]) -> Sequence[JudgeAnswer]:
        for question in questions:
            question.left.format()
        return super().ask(questions)


class Greedy(ToyJudge):
    def price(self, question: JudgeQuestion) -> float:
        return 0.0


FAKES: dict[str, tuple[type[ToyJudge], str]] = {
    "too few answers": (broken(lambda answers: answers[1:]), "test_it_answers_every_question"),
    "a choice nobody knows": (
        broken(lambda answers: [replace(a, choice=Choice.BOTH_BAD) for a in answers]), "test_it_answers_every_question",
    ),
    "silent abstention": (
        broken(lambda answers: [JudgeAnswer(Choice.SKIP) for _ in answers]), "test_it_answers_every_question",
    ),
    "probability against the choice": (
        broken(lambda answers: [JudgeAnswer(Choice.LEFT, 0.1) for _ in answers]), "test_it_answers_every_question",
    ),
    "dearer than it said": (Greedy, "test_it_answers_every_question"),
    "chokes on braces": (Formatting, "test_it_answers_every_question"),
    "another answer every time": (Moody, "test_it_is_deterministic"),
    "an identity of the process": (Nameless, "test_its_identity_is_stable"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAKES)
def test_the_contract_finds_a_broken_judge(name: str, tmp_path: Path) -> None:
    fake, test = FAKES[name]

    def factory() -> Judge:
        return fake(ToyJudgeOptions(abstains=0.3), JudgeContext(tmp_path))

    method = getattr(JudgeContract(), test)
    wanted = inspect.signature(method).parameters
    with pytest.raises((AssertionError, KeyError, IndexError, ValueError)):
        method(**({"judge": factory()} if "judge" in wanted else {"judge_factory": factory}))
