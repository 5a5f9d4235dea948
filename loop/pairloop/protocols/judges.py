"""Judges: language models that compare two responses. A judge is an annotator, and never a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pairloop.records import Choice, PromptContent


@dataclass(frozen=True, slots=True)
class JudgeQuestion:
    """One comparison in one order: ``left`` is shown first. The other order is another question."""

    prompt: PromptContent
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class JudgeAnswer:
    """What the judge said to one question.

    Attributes:
        choice: LEFT, RIGHT or TIE; SKIP where the model's text was no answer, which is an abstention and never a vote.
        p_left: probability given to the left response in [0, 1] (a tie counts half), where the model gives one.
        reason: why it abstained; without secrets, and short.
        seconds: how long it took. cost: what it cost, in the config's currency.
    """

    choice: Choice
    p_left: float | None = None
    reason: str | None = None
    seconds: float | None = None
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class JudgeContext:
    """What a judge is given at construction.

    Attributes:
        base: the folder that relative paths in its options start from.
        threads: processor threads it may use.
    """

    base: Path
    threads: int = 1


class Judge(Protocol):
    """A language model that compares two responses.

    Attributes:
        batch_size: questions that one call of ``ask`` is given at most.
        concurrency: calls of ``ask`` that may run at the same time, in threads.
    """

    batch_size: int
    concurrency: int

    @property
    def identity(self) -> str:
        """A digest of everything that decides an answer (model, prompt template, sampling …) and of nothing else.

        Answers are stored under it, and another identity is another annotator. No secret goes in.
        """

    def price(self, question: JudgeQuestion) -> float:
        """The most that this question can cost, retries left out: what fails costs nothing."""

    def ask(self, questions: Sequence[JudgeQuestion]) -> Sequence[JudgeAnswer]:
        """One answer a question, in order. An answer does not depend on the other questions of the call.

        Raises:
            BackendUnavailable: no answer could be had now; the same call may work later.
            BackendRejected: it will never work like this (a wrong key, an unknown model).
        """

    def check(self) -> str:
        """Ask one small question, and say in a sentence that the judge works; for ``pairloop doctor``.

        Raises:
            BackendError: it does not.
        """

    def close(self) -> None:
        """Release what the judge holds; may be called twice."""


@dataclass(frozen=True, slots=True)
class BothOrders:
    """What the judge said to a pair as it was given, and to the pair swapped; each about its own display."""

    straight: JudgeAnswer
    swapped: JudgeAnswer

    @property
    def abstained(self) -> bool:
        """True where one order has no answer: the other alone would carry the judge's position bias."""
        return Choice.SKIP in (self.straight.choice, self.swapped.choice)

    @property
    def choice(self) -> Choice:
        """One choice about the pair as given: what both orders say, TIE where they differ, SKIP for an abstention."""
        if self.abstained:
            return Choice.SKIP
        return self.straight.choice if self.straight.choice is self.swapped.choice.mirrored() else Choice.TIE


@dataclass(frozen=True, slots=True)
class JudgeSpent:
    """What a campaign has spent on its judge so far."""

    cost: float = 0.0
    questions: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of the pairs: an entry each, None where it was not answered, and what is spent by now.

    Attributes:
        problem: why the judge could not be reached, or None. limit: the limit that stopped it, or None.
    """

    answers: tuple[BothOrders | None, ...]
    spent: JudgeSpent
    problem: str | None = None
    limit: str | None = None


class JudgePanel(Protocol):
    """A judge with its cache and its budget, as backends are given it. ``annotator``: its name in the log."""

    annotator: str

    def compare(self, pairs: Sequence[JudgeQuestion], spent: JudgeSpent) -> Compared:
        """Ask both orders of each pair, as far as budget and connection allow.

        Raises:
            BackendRejected: as `Judge.ask`; what was answered before is kept in the cache.
        """
