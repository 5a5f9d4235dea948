"""A judge that costs nothing and has its habits: it prefers longer texts, leans to the left, abstains now and then.

Every question that it is really asked is written down in the file ``asked`` (a line each), if one is named: tests count
what would have been paid.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from pairloop.errors import BackendUnavailable
from pairloop.hookspecs import hookimpl
from pairloop.kit.canonical import digest
from pairloop.kit.ids import content_json
from pairloop.kit.options import Options
from pairloop.kit.seeds import unit_interval
from pairloop.protocols import Judge, JudgeAnswer, JudgeContext, JudgeQuestion, JudgeSpec
from pairloop.records import Choice


class ToyJudgeOptions(Options):
    """Options of the judge ``toy``."""

    asked: str | None = None
    """File that every question is written to."""
    abstains: float = Field(default=0.1, ge=0, le=1)
    """Share of the questions that it does not answer."""
    leans: float = Field(default=0.1, ge=0)
    """Advantage of the left side, in units of the log-ratio of lengths."""
    cost: float = Field(default=0.01, ge=0)
    """What a question costs."""
    fails_after: int | None = Field(default=None, ge=0)
    """It cannot be reached after so many questions of one process."""
    template: str = "1"
    """Stands for a prompt template."""


class ToyJudge:
    """Implements `pairloop.protocols.Judge`."""

    batch_size = 1
    concurrency = 1

    def __init__(self, options: ToyJudgeOptions, context: JudgeContext) -> None:
        self._options = options
        self._asked = None if options.asked is None else context.base / options.asked
        self._count = 0
        self.identity = f"toy-judge-{options.template}-{options.leans}-{options.abstains}"

    def price(self, question: JudgeQuestion) -> float:
        """Known beforehand."""
        return self._options.cost

    def ask(self, questions: Sequence[JudgeQuestion]) -> Sequence[JudgeAnswer]:
        """By length, from the texts alone."""
        return [self._answer(question) for question in questions]

    def _answer(self, question: JudgeQuestion) -> JudgeAnswer:
        if self._options.fails_after is not None and self._count >= self._options.fails_after:
            raise BackendUnavailable("the toy judge is out")
        self._count += 1
        name = digest([content_json(question.prompt), question.left, question.right])
        if self._asked is not None:
            with Path(self._asked).open("a", encoding="utf-8") as file:
                file.write(name + "\n")
        if unit_interval(0, name) < self._options.abstains:
            return JudgeAnswer(Choice.SKIP, reason="no answer", cost=self._options.cost)
        longer = (len(question.left) + 1) / (len(question.right) + 1) * (1.0 + self._options.leans)
        choice = Choice.LEFT if longer > 1.0 else Choice.RIGHT if longer < 1.0 else Choice.TIE
        return JudgeAnswer(choice, cost=self._options.cost)

    def check(self) -> str:
        """Always there."""
        return "the toy judge answers"

    def close(self) -> None:
        """Nothing is held."""


def make(options: ToyJudgeOptions | None, context: JudgeContext) -> Judge:
    """A toy judge."""
    return ToyJudge(options or ToyJudgeOptions(), context)


@hookimpl
def pairloop_judges() -> Sequence[JudgeSpec]:
    """Offer the judge ``toy``."""
    return [JudgeSpec("toy", make, ToyJudgeOptions, "prefers longer texts; for tests")]
