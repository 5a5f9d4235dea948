"""Asking: both orders, cache, budget, failures."""

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pairloop.errors import BackendUnavailable, ConfigError, ContractViolation, StorageFull
from pairloop.judging.cache import AnswerCache
from pairloop.judging.panel import Panel
from pairloop.protocols import JudgeAnswer, JudgeQuestion, JudgeSpent
from pairloop.records import Choice
from pairloop.testing.failpoints import failing_at

PAIRS = [JudgeQuestion("p", "x" * (i + 1), "y" * (12 - i)) for i in range(10)]
NOTHING = JudgeSpent()


class Counting:
    """Longer is better; counts what it is asked, and cannot be reached after ``fails_after`` questions."""

    identity = "counting-1"
    batch_size = 1
    concurrency = 1

    def __init__(self, fails_after: int = 10**6, cost: float = 1.0, concurrency: int = 1) -> None:
        self.asked: list[JudgeQuestion] = []
        self.fails_after = fails_after
        self.cost = cost
        self.concurrency = concurrency
        self.most, self._now, self._lock = 0, 0, threading.Lock()

    def price(self, question: JudgeQuestion) -> float:
        return 2.0 * self.cost

    def ask(self, questions: Sequence[JudgeQuestion]) -> Sequence[JudgeAnswer]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            if len(self.asked) >= self.fails_after:
                self._now -= 1
                raise BackendUnavailable("out")
            self.asked += questions
        answers = [
            JudgeAnswer(Choice.LEFT if len(q.left) > len(q.right) else Choice.RIGHT, cost=self.cost) for q in questions
        ]
        with self._lock:
            self._now -= 1
        return answers

    def check(self) -> str:
        return "counts"

    def close(self) -> None:
        pass


def panel(judge: Counting, folder: Path, *, buyer: str = "me", **limits: float | int | None) -> Panel:
    return Panel(judge, "counting", AnswerCache(folder), buyer, **limits)  # type: ignore[arg-type]


def test_both_orders_are_asked(tmp_path: Path) -> None:
    judge = Counting()
    found = panel(judge, tmp_path).compare(PAIRS[:1], NOTHING)
    assert [(q.left, q.right) for q in judge.asked] == [("x", "y" * 12), ("y" * 12, "x")]
    (both,) = found.answers
    assert both is not None
    assert (both.straight.choice, both.swapped.choice, both.choice) == (Choice.RIGHT, Choice.LEFT, Choice.RIGHT)
    assert found.spent == JudgeSpent(2.0, 2)


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    judge = Counting()
    first = panel(judge, tmp_path).compare(PAIRS, NOTHING)
    again = panel(judge, tmp_path).compare(PAIRS, NOTHING)
    assert again == first, "the same answers at the same cost: a resumed run counts what it spent before"
    assert max(Counter(judge.asked).values()) == 1


def test_campaigns_share_and_only_the_buyer_pays(tmp_path: Path) -> None:
    judge = Counting()
    panel(judge, tmp_path).compare(PAIRS, NOTHING)
    other = panel(judge, tmp_path, buyer="other").compare(PAIRS, NOTHING)
    assert other.spent == JudgeSpent(0.0, 20)
    assert len(judge.asked) == 20


def test_another_judge_shares_nothing(tmp_path: Path) -> None:
    one, other = Counting(), Counting()
    other.identity = "counting-2"
    panel(one, tmp_path).compare(PAIRS[:1], NOTHING)
    panel(other, tmp_path).compare(PAIRS[:1], NOTHING)
    assert len(other.asked) == 2
    assert panel(one, tmp_path).annotator != panel(other, tmp_path).annotator


def test_a_damaged_entry_is_asked_again(tmp_path: Path) -> None:
    judge = Counting()
    whole = panel(judge, tmp_path).compare(PAIRS[:1], NOTHING)
    for number, path in enumerate(sorted(tmp_path.rglob("*.json"))):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("left", "right", 1) if number else text[:-5], encoding="utf-8")
    assert panel(judge, tmp_path).compare(PAIRS[:1], NOTHING) == whole
    assert len(judge.asked) == 4


def test_answers_are_kept_one_by_one(tmp_path: Path) -> None:
    """Whatever ends the process after an answer has arrived: that answer is never paid for again."""
    judge = Counting()
    with failing_at("judge.after_answer", RuntimeError("killed"), hit=7), pytest.raises(RuntimeError):
        panel(judge, tmp_path).compare(PAIRS, NOTHING)
    panel(judge, tmp_path).compare(PAIRS, NOTHING)
    assert max(Counter(judge.asked).values()) == 1


def test_the_cache_holds_no_text(tmp_path: Path) -> None:
    panel(Counting(), tmp_path).compare([JudgeQuestion("a secret prompt", "left text", "right text")], NOTHING)
    stored = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.json"))
    assert not any(text in stored for text in ("secret", "left text", "right text"))


# ----------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("budget", "pairs"), [(0.0, 0), (3.9, 0), (4.0, 1), (6.0, 2), (21.9, 9), (22.0, 10), (100.0, 10)]
)
def test_the_budget_holds_before_a_call(tmp_path: Path, budget: float, pairs: int) -> None:
    """A pair needs room for the most that it can cost (4), though it turns out to cost half of that."""
    judge = Counting()
    found = panel(judge, tmp_path, budget=budget).compare(PAIRS, NOTHING)
    assert sum(both is not None for both in found.answers) == pairs
    assert found.spent.cost == 2.0 * pairs <= budget
    assert len(judge.asked) == 2 * pairs
    assert (found.limit is None) == (pairs == 10)


def test_what_was_spent_before_counts(tmp_path: Path) -> None:
    found = panel(Counting(), tmp_path, budget=10.0).compare(PAIRS, JudgeSpent(5.0, 3))
    assert found.spent.cost == 7.0


def test_questions_are_limited(tmp_path: Path) -> None:
    judge = Counting()
    panel(judge, tmp_path, max_questions=7).compare(PAIRS, JudgeSpent(0.0, 2))
    assert len(judge.asked) == 4


def test_a_resumed_run_stops_at_the_same_pair(tmp_path: Path) -> None:
    whole = panel(Counting(), tmp_path / "one", budget=11.0).compare(PAIRS, NOTHING)
    for hit in range(1, 10):
        cache = tmp_path / f"two-{hit}"
        with failing_at("judge.after_answer", RuntimeError("killed"), hit=hit), suppress(RuntimeError):
            panel(Counting(), cache, budget=11.0).compare(PAIRS, NOTHING)
        assert panel(Counting(), cache, budget=11.0).compare(PAIRS, NOTHING) == whole


def test_a_budget_without_prices_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="prices"):
        panel(Counting(cost=0.0), tmp_path, budget=1.0).compare(PAIRS, NOTHING)


def test_the_price_beforehand(tmp_path: Path) -> None:
    made = panel(Counting(), tmp_path)
    assert made.price(PAIRS) == (20, 40.0)
    made.compare(PAIRS[:4], NOTHING)
    assert made.price(PAIRS) == (12, 24.0)


# -------------------------------------------------------------------------------------------- failures


def test_a_judge_that_goes_away_loses_nothing(tmp_path: Path) -> None:
    judge = Counting(fails_after=5)
    found = panel(judge, tmp_path).compare(PAIRS, NOTHING)
    assert found.problem == "out"
    assert [both is not None for both in found.answers] == [True, True] + [False] * 8
    judge.fails_after = 10**6
    assert all(panel(judge, tmp_path).compare(PAIRS, NOTHING).answers)
    assert max(Counter(judge.asked).values()) == 1


def test_calls_in_parallel_give_the_same(tmp_path: Path) -> None:
    one = panel(Counting(), tmp_path / "one", budget=30.0).compare(PAIRS, NOTHING)
    judge = Counting(concurrency=4)
    assert panel(judge, tmp_path / "many", budget=30.0).compare(PAIRS, NOTHING).answers == one.answers
    assert judge.most <= 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"choice": Choice.BOTH_BAD}, {"p_left": 1.5}, {"p_left": float("nan")}, {"cost": -1.0}, {"cost": float("inf")},
        {"seconds": -2.0},
    ],
)  # fmt: skip
def test_wrong_answers_are_not_kept(tmp_path: Path, wrong: dict[str, object]) -> None:
    judge = Counting()
    ask = judge.ask
    judge.ask = lambda questions: [replace(a, **wrong) for a in ask(questions)]  # type: ignore[method-assign, arg-type]
    with pytest.raises(ContractViolation):
        panel(judge, tmp_path).compare(PAIRS[:1], NOTHING)
    assert not list(tmp_path.rglob("*.json"))


def test_too_few_answers_are_a_violation(tmp_path: Path) -> None:
    judge = Counting()
    judge.ask = lambda _questions: []  # type: ignore[method-assign]
    with pytest.raises(ContractViolation, match="0 answers to 1"):
        panel(judge, tmp_path).compare(PAIRS[:1], NOTHING)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with failing_at("atomic.before_rename", OSError(28, "No space left on device")), pytest.raises(StorageFull):
        panel(Counting(), tmp_path).compare(PAIRS[:1], NOTHING)
