"""Asking a judge: both orders of every pair, from the cache where it knows the answer, within the budget, in parallel.

Questions are asked in windows. Before a window is asked, the most that it can cost is set against the budget, answers
of this campaign that the cache holds included: a run that was killed and resumed stops at the same pair as one that
was not.
"""

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from pairloop.errors import BackendUnavailable, ConfigError, ContractViolation
from pairloop.judging.cache import AnswerCache
from pairloop.kit.canonical import digest
from pairloop.kit.failpoints import failpoint
from pairloop.kit.text import clean
from pairloop.protocols import BothOrders, Compared, Judge, JudgeAnswer, JudgeQuestion, JudgeSpent
from pairloop.records import Choice

_ANSWERS = (Choice.LEFT, Choice.RIGHT, Choice.TIE, Choice.SKIP)
_LONGEST_REASON = 300  # characters


def swapped(question: JudgeQuestion) -> JudgeQuestion:
    """The same pair in the other order."""
    return JudgeQuestion(question.prompt, question.right, question.left)


class Panel:
    """Implements `pairloop.protocols.JudgePanel`.

    Args:
        judge: who answers. name: its name in the config.
        cache: where answers are kept. buyer: the campaign that pays.
        budget, max_questions: limits over the whole campaign, None for none.
    """

    def __init__(
        self,
        judge: Judge,
        name: str,
        cache: AnswerCache,
        buyer: str,
        *,
        budget: float | None = None,
        max_questions: int | None = None,
    ) -> None:
        self._judge = judge
        self._cache = cache
        self._buyer = buyer
        self._budget = math.inf if budget is None else budget
        self._questions = math.inf if max_questions is None else max_questions
        self.annotator = f"judge:{name}:{digest(judge.identity)[:8]}"

    def check(self) -> str:
        """See `Judge.check`."""
        return self._judge.check()

    def close(self) -> None:
        """Release the judge."""
        self._judge.close()

    def price(self, pairs: Sequence[JudgeQuestion]) -> tuple[int, float]:
        """(questions that are not in the cache, the most that they can cost)."""
        orders = [each for pair in pairs for each in (pair, swapped(pair))]
        unknown = [each for each in orders if self._cache.get(self._judge.identity, each) is None]
        return len(unknown), sum(self._judge.price(each) for each in unknown)

    def compare(self, pairs: Sequence[JudgeQuestion], spent: JudgeSpent) -> Compared:
        """Ask both orders of each pair, as far as budget and connection allow."""
        if self._budget < math.inf and pairs and self._judge.price(pairs[0]) == 0.0:
            raise ConfigError(
                "judge.budget is set, but the judge's questions cost nothing, so nothing would ever be spent",
                "Set its prices in judge.options, or limit judge.max_questions.",
            )
        out: list[BothOrders | None] = [None] * len(pairs)
        start, size = 0, max(self._judge.batch_size * self._judge.concurrency, 1)
        while start < len(pairs):
            room = self._affordable(pairs[start : start + size], spent)
            answers, problem = self._ask_all([q for pair in pairs[start : start + room] for q in (pair, swapped(pair))])
            for i in range(room):
                one, other = answers[2 * i], answers[2 * i + 1]
                if one is not None and other is not None:
                    out[start + i] = BothOrders(one, other)
            given = [answer for answer in answers if answer is not None]
            spent = JudgeSpent(spent.cost + sum(a.cost for a in given), spent.questions + len(given))
            if problem is not None:
                return Compared(tuple(out), spent, str(problem.message))
            start += room
            if room == 0:
                return Compared(tuple(out), spent, None, "the judge's budget is used up")
        return Compared(tuple(out), spent)

    def _affordable(self, pairs: Sequence[JudgeQuestion], spent: JudgeSpent) -> int:
        """How many of the pairs, from the first on, fit into the budget whatever they turn out to cost."""
        cost, questions = spent.cost, spent.questions
        for number, pair in enumerate(pairs):
            cost += self._reserve(pair) + self._reserve(swapped(pair))
            questions += 2
            if cost > self._budget * (1.0 + 1e-9) or questions > self._questions:
                return number
        return len(pairs)

    def _reserve(self, question: JudgeQuestion) -> float:
        found = self._cache.get(self._judge.identity, question)
        return 0.0 if found is not None and found.buyer != self._buyer else self._judge.price(question)

    def _ask_all(
        self, questions: Sequence[JudgeQuestion]
    ) -> tuple[list[JudgeAnswer | None], BackendUnavailable | None]:
        """Answers in order, None where there is none, and why."""
        out = [self._known(question) for question in questions]
        todo = [number for number, answer in enumerate(out) if answer is None]
        parts = [todo[i : i + self._judge.batch_size] for i in range(0, len(todo), self._judge.batch_size)]
        problem: BackendUnavailable | None = None

        def ask(part: list[int]) -> list[JudgeAnswer]:
            return self._bought([questions[number] for number in part])

        with ThreadPoolExecutor(max(self._judge.concurrency, 1), "judge") as pool:
            futures: list[Future[list[JudgeAnswer]]] = [pool.submit(ask, part) for part in parts]
            # every call that was made is waited for: its answer is paid, and cached
            for part, future in zip(parts, futures, strict=True):
                try:
                    for number, answer in zip(part, future.result(), strict=True):
                        out[number] = answer
                except BackendUnavailable as error:
                    problem = problem or error
        return out, problem

    def _known(self, question: JudgeQuestion) -> JudgeAnswer | None:
        """From the cache; what another campaign paid costs nothing here."""
        found = self._cache.get(self._judge.identity, question)
        if found is None:
            return None
        return found.answer if found.buyer == self._buyer else replace(found.answer, cost=0.0)

    def _bought(self, questions: Sequence[JudgeQuestion]) -> list[JudgeAnswer]:
        answers = checked_answers(self._judge.ask(questions), len(questions), self.annotator)
        for question, answer in zip(questions, answers, strict=True):
            self._cache.put(self._judge.identity, question, answer, self._buyer)
            failpoint("judge.after_answer")
        return answers


def checked_answers(answers: Sequence[JudgeAnswer], n: int, who: str) -> list[JudgeAnswer]:
    """What a judge returned, checked and made storable.

    Raises:
        ContractViolation: names what is wrong.
    """
    if len(answers) != n:
        raise ContractViolation(f"{who} gave {len(answers)} answers to {n} questions")
    return [_checked(answer, who) for answer in answers]


def _checked(answer: JudgeAnswer, who: str) -> JudgeAnswer:
    if answer.choice not in _ANSWERS:
        raise ContractViolation(f"{who} answered {answer.choice!r}")
    if answer.p_left is not None and not 0.0 <= answer.p_left <= 1.0:
        raise ContractViolation(f"{who} gave the probability {answer.p_left!r}")
    for name, value in (("cost", answer.cost), ("seconds", answer.seconds)):
        if value is not None and not (math.isfinite(value) and value >= 0.0):
            raise ContractViolation(f"{who} gave {name} = {value!r}")
    reason = None if answer.reason is None else clean(answer.reason)[:_LONGEST_REASON]
    return replace(answer, reason=reason)
