"""The gold score: it orders replies as a reader would, and cannot be had for nothing."""

import math
import random
import re
import statistics
import subprocess
import sys
from itertools import combinations

import pytest

from pairloop.records import Message, SourceRow
from pairloop_plugins.demo.gold import CENTRE, SPREAD, DemoGold, Marks, marks
from pairloop_plugins.demo.language import language
from pairloop_plugins.demo.plugin import pairloop_gold_scorers
from pairloop_plugins.demo.source import DemoOptions, DemoSource

QUESTION = "How do I get a library card?"
GOOD = (
    "Thank you for your question about a new library card. New members get their card within five minutes at the "
    "front desk. Please bring your passport and a letter with your address to the library on Monday."
)
Scored = list[tuple[SourceRow, dict[str, float]]]


def gold(text: str, prompt: str = QUESTION) -> float:
    return DemoGold().score(prompt, text, {})


@pytest.fixture(scope="module")
def scored() -> Scored:
    rows = [row for row in DemoSource(DemoOptions()).rows() if isinstance(row, SourceRow)]
    rows = [row for row in rows if row.metadata.get("repeats") != "exactly"]
    return [(row, {str(r.provenance.model): gold(r.text, str(row.prompt)) for r in row.responses}) for row in rows]


@pytest.fixture(scope="module")
def median(scored: Scored) -> float:
    return statistics.median(score for _, by_writer in scored for score in by_writer.values())


def test_the_scale_is_that_of_the_shipped_responses(scored: Scored) -> None:
    scores = [score for _, by_writer in scored for score in by_writer.values()]
    assert statistics.mean(scores) == pytest.approx(0.0, abs=0.05)
    assert statistics.pstdev(scores) == pytest.approx(1.0, abs=0.05)


def test_the_careful_writer_is_the_best_on_nine_prompts_of_ten(scored: Scored) -> None:
    wins = [max(by_writer, key=by_writer.__getitem__) == "writer-careful" for _, by_writer in scored]
    assert statistics.mean(wins) >= 0.9


def test_every_other_writer_is_clearly_worse_on_average_and_grumpy_is_the_worst(scored: Scored) -> None:
    names = {name for _, by_writer in scored for name in by_writer}
    mean = {name: statistics.mean(s[name] for _, s in scored if name in s) for name in names}
    careful = mean.pop("writer-careful")
    assert max(mean.values()) < careful - 0.7
    assert min(mean, key=mean.__getitem__) == "writer-grumpy"


def test_the_topic_of_every_prompt_is_recognised(scored: Scored) -> None:
    with_group = [row for row, _ in scored if row.group]
    wrong = [row.prompt for row in with_group if language().subject(str(row.prompt)).name != row.group]
    assert len(wrong) <= 3
    for row, _ in scored:
        if row.metadata.get("bad_prompt"):
            assert language().subject(str(row.prompt)).name == ""


def test_length_alone_does_not_tell_the_better_reply(scored: Scored) -> None:
    agree = []
    for row, by_writer in scored:
        length = {str(r.provenance.model): len(r.text.split()) for r in row.responses}
        agree += [
            (length[a] - length[b]) * (by_writer[a] - by_writer[b]) > 0
            for a, b in combinations(by_writer, 2)
            if length[a] != length[b]
        ]
    assert 0.4 <= statistics.mean(agree) <= 0.68


STUFFED = "Card cards join member passport form free address members photo letter town minutes five. Please thank you."


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "!!!",
        "Thank you. " * 10,
        "Please. Thank you. Welcome. Glad. Happy to help. Sorry.",
        STUFFED,
        QUESTION,
        "Спасибо за ваш вопрос.",
        "Thank you for your question. " + "Приходите завтра пожалуйста к нам домой. " * 3,
        "card " * 30,
    ],
)
def test_trivial_texts_are_below_the_median(text: str, median: float) -> None:
    assert gold(text) < median - 0.5


def test_stuffing_and_salad_are_below_the_median_for_every_prompt(scored: Scored, median: float) -> None:
    dice = random.Random(5)
    said = [word for row, _ in scored for r in row.responses for word in r.text.split()]
    for row, _ in scored:
        prompt = str(row.prompt)
        stuffed = " ".join(list(language().subject(prompt).weights)[:20]) + ". Please, thank you."
        salad = " ".join(dice.choice(said) for _ in range(25)) + "."
        assert gold(stuffed, prompt) < median - 0.5
        assert gold(salad, prompt) < median - 0.5
        assert gold(prompt, prompt) < median - 0.5


def test_one_canned_reply_for_everything_is_no_better_than_the_average(scored: Scored) -> None:
    canned = "Thank you for your question. Please come to the front desk on Monday at nine. We are happy to help."
    assert statistics.mean(gold(canned, str(row.prompt)) for row, _ in scored) < 0.0


def test_all_replies_in_a_row_do_not_beat_the_careful_one(scored: Scored) -> None:
    worse = [
        gold(" ".join(r.text for r in row.responses), str(row.prompt)) < by_writer["writer-careful"]
        for row, by_writer in scored
    ]
    assert statistics.mean(worse) > 0.95


@pytest.mark.parametrize(
    ("worse", "mark"),
    [
        ("New members get their card within five minutes at the front desk.", "polite"),
        (GOOD.rstrip(".").rsplit(" ", 3)[0], "ending"),
        (GOOD.upper(), "shouted"),
        (GOOD + " What a stupid question.", "rude"),
        (GOOD + " Perhaps it is on the website, perhaps not. Somehow it will work out in the end.", "evasive"),
        (GOOD + " " + GOOD, "repeated"),
        (GOOD.replace("front desk", "green of desk the"), "fluent"),
        ("Thank you for your question. We are happy to help.", "concrete"),
        ("Thank you for your question. You can borrow four films for one week, on the ground floor.", "topic"),
        (GOOD + " The weather has been strange this year, but you did not ask about the weather.", "empty"),
        ("Thank you.", "length"),
    ],
)
def test_every_fault_costs_and_shows_in_its_mark(worse: str, mark: str) -> None:
    assert gold(worse) < gold(GOOD) - 0.05
    fault = mark in ("shouted", "rude", "evasive", "repeated", "empty")
    change = getattr(marks(QUESTION, worse), mark) - getattr(marks(QUESTION, GOOD), mark)
    assert change > 0.1 if fault else change < -0.05


def test_the_score_is_the_stated_formula() -> None:
    given = Marks(
        topic=0.9, polite=0.8, concrete=0.7, ending=0.6, length=0.5, fluent=0.4,
        rude=0.11, shouted=0.12, evasive=0.13, repeated=0.14, empty=0.15,
    )  # fmt: skip
    credit = 1.6 * 0.9 + 1.0 * 0.8 + 1.2 * 0.7 * (1 + 0.9) / 2 + 0.7 * 0.6 + 0.7 * 0.5
    blame = 1.6 * 0.11 + 1.2 * 0.14 + 1.6 * 0.12 + 0.8 * 0.13 + 0.8 * 0.15 + (1 - 0.4)
    assert given.raw() == pytest.approx(0.4 * credit - blame)
    assert gold(GOOD) == pytest.approx((marks(QUESTION, GOOD).raw() - CENTRE) / SPREAD)


def test_a_conversation_is_judged_by_its_text() -> None:
    [spec] = pairloop_gold_scorers()
    told = (Message("user", QUESTION),)
    assert spec.factory().score(told, GOOD, {}) > 0.5


def test_strange_text_gets_a_finite_score() -> None:
    for text in ("\ufffd" * 50, "a" * 200_000, "x y " * 50_000, "\n\n...???", "'", "I'm", "1 2 3"):
        assert math.isfinite(gold(text))


def test_scores_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from pairloop_plugins.demo.gold import DemoGold; from pairloop_plugins.demo.source import *;"
        "g = DemoGold(); print(repr([g.score(r.prompt, x.text, {}) for r in DemoSource(DemoOptions(prompts=60)).rows()"
        " for x in r.responses]))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(outputs) == 1
    assert re.match(r"\[-?\d", outputs.pop())
