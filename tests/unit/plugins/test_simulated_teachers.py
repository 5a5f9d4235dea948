"""Each teacher against its closed form, and the published order of the steps."""

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from pairloop.kit.seeds import unit_interval
from pairloop.protocols import BackendContext
from pairloop.records import Choice, PromptContent, Task
from pairloop_plugins.simulated import judgement, reference
from pairloop_plugins.simulated.annotators import Annotator, assign, make_pool
from pairloop_plugins.simulated.options import CROWD, TEACHERS, AnnotatorOptions, Behaviour, SimulatedOptions
from pairloop_plugins.simulated.perception import Gold, Seen, sentence_ends

N = 4000
NEVER = judgement.Thresholds(None, None, 1.0)


def see(left: float, right: float, words_left: int = 10, words_right: int = 10) -> Seen:
    return Seen(left, right, words_left + words_right, words_left, words_right)


def ask(kind: AnnotatorOptions, seen: Seen, limits: judgement.Thresholds = NEVER, n: int = N) -> Counter[Choice]:
    """``n`` independent answers of one annotator to one pair."""
    annotator = Annotator("x", kind, math.inf if kind.ability is None else kind.ability)
    return Counter(
        judgement.decide(annotator, limits, seen, seen.left - seen.right, partial(unit_interval, 5, i))
        for i in range(n)
    )


def share(votes: Counter[Choice], choice: Choice) -> float:
    return votes[choice] / votes.total()


def close_to(p: float, n: int = N) -> Any:
    """Within four standard errors of a share: one false alarm in 16,000."""
    return pytest.approx(p, abs=4 * math.sqrt(max(p * (1 - p), 1e-9) / n) + 1e-9)


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_oracle_always_prefers_the_better_response() -> None:
    assert ask(AnnotatorOptions(), see(0.2, 0.1)) == {Choice.LEFT: N}
    assert ask(AnnotatorOptions(), see(0.1, 0.2)) == {Choice.RIGHT: N}
    assert share(ask(AnnotatorOptions(), see(0.1, 0.1)), Choice.LEFT) == close_to(0.5)


@pytest.mark.parametrize(("ability", "gap"), [(1.0, 1.0), (1.0, -0.5), (3.0, 0.4), (0.0, 9.0), (math.inf, 0.001)])
def test_rationality_is_the_logistic_of_beta_times_the_margin(ability: float, gap: float) -> None:
    expected = 1.0 if math.isinf(ability) else sigma(ability * gap)
    assert share(ask(AnnotatorOptions(ability=ability), see(gap, 0)), Choice.LEFT) == close_to(expected)


def test_margins_are_in_units_of_the_scale() -> None:
    limits = judgement.Thresholds(None, None, 4.0)
    assert share(ask(AnnotatorOptions(ability=2.0), see(2, 0), limits), Choice.LEFT) == close_to(sigma(2 * 2 / 4))


@pytest.mark.parametrize("margin", [-1e9, 1e9, -5000.0, 5000.0])
def test_huge_margins_do_not_overflow(margin: float) -> None:
    assert judgement.p_left(margin, 10.0) == (1.0 if margin > 0 else 0.0)


def test_mistakes_turn_round_a_share_of_the_decided_answers() -> None:
    assert share(ask(AnnotatorOptions(mistake=0.1), see(2, 1)), Choice.RIGHT) == close_to(0.1)
    both = ask(AnnotatorOptions(mistake=0.2, ability=1.0), see(1, 0))
    p = sigma(1.0)
    assert share(both, Choice.LEFT) == close_to(p * 0.8 + (1 - p) * 0.2)


def test_the_order_is_skip_then_equal_then_choice_then_mistake() -> None:
    certain = AnnotatorOptions(mistake=1.0)
    bad_and_equal = judgement.Thresholds(skip=0.0, equal=1.0, unit=1.0)
    assert ask(certain, see(-1, -1), bad_and_equal, 50) == {Choice.SKIP: 50}, "skip comes first"
    assert ask(certain, see(1, 0.5), bad_and_equal, 50) == {Choice.TIE: 50}, "a tie is never turned round"
    assert ask(certain, see(5, 1), bad_and_equal, 50) == {Choice.RIGHT: 50}, "a mistake is made at last"


def test_biases_shift_the_margin() -> None:
    position = AnnotatorOptions(ability=2.0, position_bias=0.3)
    assert share(ask(position, see(0, 0)), Choice.LEFT) == close_to(sigma(0.6))
    length = AnnotatorOptions(ability=1.0, length_bias=0.5)
    assert share(ask(length, see(0, 0, 39, 9)), Choice.LEFT) == close_to(sigma(0.5 * math.log(40 / 10)))


def test_tired_annotators_err_more_and_answer_late() -> None:
    kind = AnnotatorOptions(mistake=0.1, fatigue=0.4, latency=3.0)
    annotator = Annotator("x", kind, math.inf)
    early, late = Counter[bool](), Counter[bool]()
    for i in range(N):
        draw = partial(unit_interval, 5, i)
        wrong = judgement.decide(annotator, NEVER, see(1, 0), 1.0, draw) is Choice.RIGHT
        (early if judgement.delay(kind, draw) <= 1 else late)[wrong] += 1
    assert (early + late)[True] / N == close_to(0.1 + 0.4 / 2)
    # The first two ticks are the places up to 1 − e^(−2/3) of the session.
    end = 1 - math.exp(-2 / 3)
    assert early[True] / early.total() == close_to(0.1 + 0.4 * end / 2, early.total())
    assert late[True] / late.total() == close_to(0.1 + 0.4 * (1 + end) / 2, late.total())


def test_latency_is_exponential() -> None:
    delays = [judgement.delay(AnnotatorOptions(latency=4.0), partial(unit_interval, 5, i)) for i in range(N)]
    mean = 1 / (math.exp(1 / 4) - 1)
    assert sum(delays) / N == pytest.approx(mean, abs=4 * math.sqrt(mean * (1 + mean) / N))
    assert judgement.delay(AnnotatorOptions(), lambda _: 0.999) == 0


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [("left", 1.0), ("right", 0.0), ("longer", 1.0), ("shorter", 0.0), ("random", 0.5)],
)
def test_spammers_do_not_look_at_the_gold_score(behaviour: str, expected: float) -> None:
    kind = AnnotatorOptions(behaviour=Behaviour(behaviour), mistake=0.5)
    strict = judgement.Thresholds(skip=100.0, equal=100.0, unit=1.0)
    votes = ask(kind, see(-5, 5, words_left=30, words_right=3), strict)
    assert set(votes) <= {Choice.LEFT, Choice.RIGHT}
    assert share(votes, Choice.LEFT) == close_to(expected)


def test_equally_long_responses_make_the_length_clicker_toss_a_coin() -> None:
    assert share(ask(AnnotatorOptions(behaviour=Behaviour.LONGER), see(1, 0)), Choice.LEFT) == close_to(0.5)


# --------------------------------------------------------------------------------------------- thresholds


@pytest.mark.parametrize(
    ("share_", "expected"), [(0.0, None), (0.1, 1), (0.25, 3), (0.5, 5), (1.0, 10), (0.3, 3), (0.31, 4)]
)
def test_a_quantile_is_the_smallest_value_that_covers_the_share(share_: float, expected: float | None) -> None:
    assert reference.quantile(list(range(1, 11)), share_) == expected
    assert reference.quantile([], share_) is None


def test_the_reference_is_the_first_two_hundred_pairs() -> None:
    db = sqlite3.connect(":memory:")
    db.execute(reference.SCHEMA)
    first = reference.extend(db, [("q1", see(1, 0)), ("q1", see(9, 0)), ("q2", see(0, 3))])
    assert (list(first.gaps), list(first.bests)) == ([1, 3], [1, 3])
    assert first.unit() == 2
    full = reference.extend(db, [(f"p{i}", see(i, 0)) for i in range(500)])
    assert len(full.gaps) == reference.SIZE
    assert reference.extend(db, [("later", see(1e6, 0))]) == full
    db.close()


def test_without_any_difference_the_unit_is_one() -> None:
    assert reference.Reference([0.0, 0.0], [1.0, 1.0]).unit() == 1.0
    assert reference.Reference([], []).unit() == 1.0


def test_the_published_teachers() -> None:
    assert TEACHERS["noisy"] == {"ability": 1.0}
    kinds = {name: AnnotatorOptions(teacher=name).resolved("oracle") for name in TEACHERS}  # type: ignore[arg-type]
    facts = {k: (v.ability, v.myopia, v.mistake, v.skip, v.equal) for k, v in kinds.items() if k != "spammer"}
    assert facts == {
        "oracle": (None, 1, 0, 0, 0),
        "noisy": (1.0, 1, 0, 0, 0),
        "mistake": (None, 1, 0.1, 0, 0),
        "skip": (None, 1, 0, 0.1, 0),
        "equal": (None, 1, 0, 0, 0.1),
        "myopic": (None, 0.9, 0, 0, 0),
    }
    assert kinds["spammer"].behaviour is Behaviour.RANDOM


# ------------------------------------------------------------------------------------------------- myopia


class GoodAndBad:
    """Gold: +1 a "good", −1 a "bad"; the empty text has 10, which must cancel."""

    def score(self, prompt: PromptContent, response: str, metadata: Mapping[str, Any]) -> float:
        return 10.0 + response.count("good") - response.count("bad")


def perceived(text: str, discount: float, make_task: Callable[..., Task]) -> float:
    return Gold(GoodAndBad(), "gold").myopic(make_task(0, text, "other"), "left", discount)


def test_myopia_discounts_what_comes_early(make_task: Callable[..., Task]) -> None:
    text = "This is good. It is so good! Then bad\nand good good."
    assert perceived(text, 0.5, make_task) == pytest.approx(1 * 0.5**3 + 1 * 0.5**2 - 1 * 0.5 + 2)
    assert perceived(text, 1.0, make_task) == pytest.approx(3)
    assert perceived("", 0.5, make_task) == 0


def test_a_myopic_reader_prefers_the_better_ending(
    make_context: Callable[..., BackendContext], make_task: Callable[..., Task], read_all: Callable[..., Any]
) -> None:
    from pairloop_plugins.simulated.backend import SimulatedBackend

    good_start, good_end = "good good good. bad.", "bad bad bad. good."
    for discount, expected in ((1.0, Choice.LEFT), (0.2, Choice.RIGHT)):
        options = SimulatedOptions(pool=(AnnotatorOptions(teacher="oracle", myopia=discount),))
        context = make_context(gold=GoodAndBad(), folder=make_context().folder / str(discount))
        backend = SimulatedBackend(options, context)
        backend.publish([make_task(0, good_start, good_end)])
        assert [vote.choice for vote in read_all(backend).values()] == [expected]
        backend.close()


def test_sentences_cover_the_text_and_are_at_most_thirty_two() -> None:
    text = "One. Two! Three?\nFour 1.5 five。六。"
    assert [text[a:b].strip() for a, b in zip([0, *sentence_ends(text)], sentence_ends(text), strict=False)] == [
        "One.", "Two!", "Three?", "Four 1.5 five。", "六。",
    ]  # fmt: skip
    many = sentence_ends("Word. " * 1000)
    assert len(many) == 32
    assert many[-1] == 6000


# --------------------------------------------------------------------------------------------------- pools


def test_a_pool_has_members_of_their_own_ability() -> None:
    kinds = (AnnotatorOptions(name="good", count=3, ability=2.0, ability_spread=0.5), AnnotatorOptions(name="bad"))
    pool = make_pool(kinds, seed=1)
    assert [one.id for one in pool] == ["good-1", "good-2", "good-3", "bad-4"]
    assert len({one.ability for one in pool[:3]}) == 3
    assert pool == make_pool(kinds, seed=1)
    assert pool != make_pool(kinds, seed=2)
    many = make_pool((AnnotatorOptions(count=2000, ability=2.0, ability_spread=0.5),), seed=1)
    logs = [math.log(one.ability / 2.0) for one in many]
    assert sum(logs) / 2000 == pytest.approx(0, abs=4 * 0.5 / math.sqrt(2000))
    assert math.sqrt(sum(x * x for x in logs) / 2000) == pytest.approx(0.5, abs=0.04)


def test_replicas_go_to_different_annotators_and_everybody_gets_work() -> None:
    pool = make_pool((AnnotatorOptions(count=5),), seed=1)
    work = Counter[str]()
    for pair in range(400):
        asked = [assign(pool, 1, 1, f"q{pair}", replica) for replica in range(5)]
        assert len({one.id for one in asked if one}) == 5
        assert assign(pool, 1, 1, f"q{pair}", 5) is None
        work[asked[0].id if asked[0] else ""] += 1
    assert all(50 < n < 110 for n in work.values())
    assert len(work) == 5


def test_pool_entries_override_their_teacher() -> None:
    options = SimulatedOptions(
        teacher="mistake",
        pool=(AnnotatorOptions(), AnnotatorOptions(teacher="noisy", ability=2.0), AnnotatorOptions(mistake=0.0)),
    )
    assert [(kind.ability, kind.mistake) for kind in options.kinds()] == [(None, 0.1), (2.0, 0.0), (None, 0.0)]
    assert SimulatedOptions(teacher="equal", annotators=3).kinds()[0].count == 3
    assert sum(kind.count for kind in SimulatedOptions(teacher="crowd").kinds()) == sum(kind.count for kind in CROWD)
