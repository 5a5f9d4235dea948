"""What is measured of annotators, which tests flag them, and what a decision about them changes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from pairloop.annotators.flags import best_known, flags, likelihood_ratio_p, poisson_binomial_cdf, tests
from pairloop.annotators.judged import FIRST, NOT_GOLD, SECOND, SKIP, TIE, Judged, consensus, references
from pairloop.annotators.numbers import measure, share

make_tests = tests
del tests  # pytest must not take it for a test


def judged(rows: list[tuple[int, int, int]], **columns: object) -> Judged:
    """Votes as (annotator, item, preferred), everything displayed in stored order."""
    annotator, item, preferred = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    people, n = int(annotator.max()) + 1, len(rows)
    votes = Judged(
        tuple(f"a{i}" for i in range(people)), np.zeros(people, dtype=bool), np.zeros(people, dtype=bool),
        annotator, item, np.ones(n, dtype=np.int64), preferred, preferred == FIRST, np.full(n, NOT_GOLD),
        np.full(n, np.nan), np.full(n, 50.0), np.full(n, np.nan),
    )  # fmt: skip
    return replace(votes, **columns)  # type: ignore[arg-type]


def crowd(
    people: int, items: int, wrong: Callable[[int, int], bool], side: Callable[[int, int], bool] | None = None
) -> Judged:
    """Everybody judges every item, whose right answer alternates; sides alternate by another pattern."""
    rows = [(a, i, (i + wrong(a, i)) % 2) for i in range(items) for a in range(people)]
    votes = judged(rows)
    left = [side(a, i) if side else (i // 2 + a) % 2 == 0 for a, i, _ in rows]
    return replace(votes, left=np.array(left))


# ------------------------------------------------------------------------------------------------ numbers


def test_consensus_leaves_out_the_own_vote_models_excluded_people_and_gold():
    rows = [(0, 0, FIRST), (1, 0, FIRST), (2, 0, SECOND), (0, 1, FIRST), (1, 1, SECOND), (3, 1, SECOND), (4, 1, SECOND)]
    votes = judged(rows)
    assert consensus(votes).tolist() == [-1, -1, FIRST, SECOND, SECOND, SECOND, SECOND]
    machine, excluded = np.zeros(5, dtype=bool), np.zeros(5, dtype=bool)
    machine[3] = excluded[4] = True
    less = replace(votes, machine=machine, excluded=excluded)
    assert consensus(less).tolist() == [-1, -1, FIRST, SECOND, FIRST, -1, -1]
    gold = replace(votes, answer=np.array([FIRST] * 3 + [NOT_GOLD] * 4))
    assert consensus(gold).tolist()[:3] == [-1, -1, -1]


def test_a_tie_on_gold_is_wrong_and_a_skip_says_nothing():
    votes = judged([(0, 0, FIRST), (0, 1, TIE), (0, 2, SKIP), (0, 3, SECOND)], answer=np.array([FIRST] * 4))
    (person,) = measure(votes)
    assert person.gold is not None
    assert (person.gold.value, person.gold.n) == (pytest.approx(1 / 3), 3)
    assert (person.votes, person.tie, person.skip) == (4, 0.25, 0.25)


def test_intervals_are_wilsons():
    found = share(np.array([1.0] * 8 + [0.0] * 2 + [np.nan]))
    assert found is not None
    # Wilson 1927 for 8 of 10: 0.4902 to 0.9433
    assert (found.low, found.high, found.n) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4), 10)
    assert share(np.array([np.nan])) is None


def test_the_best_reference_is_gold_then_people_then_the_model():
    votes = judged(
        [(0, 0, FIRST), (0, 1, FIRST), (1, 1, SECOND), (0, 2, FIRST)],
        answer=np.array([SECOND, NOT_GOLD, NOT_GOLD, NOT_GOLD]),
        p_chosen=np.array([0.9, 0.9, 0.1, 0.2]),
    )
    known = best_known(votes)
    assert known.kind.tolist() == [0, 1, 1, 2]
    assert known.reference.tolist() == [SECOND, SECOND, FIRST, SECOND]
    assert references(replace(votes, p_chosen=np.array([0.9, 0.9, 0.1, 0.6])))[2].tolist() == [-1, FIRST, FIRST, -1]


# -------------------------------------------------------------------------------------------------- flags


def test_distributions_under_the_null_are_exact():
    assert poisson_binomial_cdf(np.full(12, 0.3), 4) == pytest.approx(binom.cdf(4, 12, 0.3))
    by_hand = 0.2 * 0.6 + 0.8 * 0.6 + 0.2 * 0.4
    assert poisson_binomial_cdf(np.array([0.8, 0.4]), 1) == pytest.approx(by_hand)
    one_kind = likelihood_ratio_p([(20, 9, 0.5, 0.9)])
    assert one_kind == pytest.approx(binom.cdf(9, 20, 0.7)), "with one kind it is the binomial test"
    weak_and_strong = likelihood_ratio_p([(20, 9, 0.5, 0.9), (20, 11, 0.5, 0.52)])
    assert weak_and_strong == pytest.approx(one_kind, rel=0.4), "a kind that tells little changes little"


def flagged(votes: Judged) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for flag in flags(votes)[0]:
        found.setdefault(flag.annotator, set()).add(flag.test)
    return found


def test_honest_people_have_no_flags():
    assert flagged(crowd(6, 60, lambda a, i: (7 * i + a) % 9 == 0)) == {}


def test_somebody_who_does_not_look_agrees_by_chance():
    assert flagged(crowd(6, 60, lambda a, i: a == 0 and i // 2 % 2 == 0)) == {0: {"chance"}}


def test_somebody_who_clicks_one_side_is_told_apart_from_a_mild_habit():
    always = crowd(6, 60, lambda a, i: False, lambda a, i: a == 0 or (i + a) % 2 == 0)
    assert flagged(always) == {0: {"one-sided"}}
    mild = crowd(6, 200, lambda a, i: False, lambda a, i: (a == 0 and i % 5 == 0) or (i + a) % 2 == 0)
    assert flagged(mild) == {}, "60 % is a habit, not a fraud"


def test_wrong_gold_answers_are_flagged_unless_everybody_gives_them():
    def gold(wrong: Callable[[int, int], bool]) -> Judged:
        votes = crowd(6, 60, wrong)
        return replace(votes, answer=votes.item % 2)

    assert "gold" in flagged(gold(lambda a, i: a == 0 and i % 2 == 0))[0]
    assert flagged(gold(lambda a, i: i % 2 == 0)) == {}, "half of the answers in the file are wrong"


def test_implausibly_fast_is_relative_to_others_and_to_length():
    votes = crowd(6, 60, lambda a, i: False)
    words = np.where(votes.item % 2 == 0, 20.0, 200.0)
    fast = replace(votes, words=words, seconds=np.where(votes.annotator == 0, 0.05, 0.4) * words)
    assert flagged(fast) == {0: {"fast"}}
    steady = replace(votes, words=words, seconds=0.4 * words)
    assert flagged(steady) == {}


def test_copies_are_found_among_people_who_err_by_themselves_only():
    rng = np.random.default_rng(3)
    errs = rng.random((6, 200)) < 0.25
    assert flagged(crowd(6, 200, lambda a, i: bool(errs[a, i]))) == {}
    assert flagged(crowd(6, 200, lambda a, i: bool(errs[a - a % 2 if a < 2 else a, i]))) == {
        0: {"copies"},
        1: {"copies"},
    }


def test_perfect_people_beside_one_who_guesses_are_no_copies_of_each_other():
    found = flagged(crowd(4, 60, lambda a, i: a == 0 and i // 2 % 2 == 0))
    assert set(found) == {0}


def test_drift_is_flagged_for_who_gets_worse_and_not_where_all_do():
    rng = np.random.default_rng(5)
    luck = rng.random((6, 300))
    one = crowd(6, 300, lambda a, i: bool(luck[a, i] < (0.5 if a == 0 and i > 150 else 0.1)))
    assert "drift" in flagged(one)[0]
    everybody = crowd(6, 300, lambda a, i: bool(luck[a, i] < (0.4 if i > 150 else 0.1)))
    rounds = replace(everybody, round=everybody.item // 60)
    assert not any("drift" in names for names in flagged(rounds).values())


def test_models_are_compared_with_people_and_people_not_with_models():
    votes = crowd(6, 60, lambda a, i: a < 4 and i // 2 % 2 == 0)  # four of six answer alike and wrong
    machine = np.array([True] * 4 + [False] * 2)
    numbers = measure(replace(votes, machine=machine))
    assert numbers[4].others is not None
    assert numbers[4].others.value == 1.0
    assert numbers[0].others is not None
    assert numbers[0].others.value == 0.5


def test_the_false_discovery_rate_holds_in_honest_crowds():
    """60 campaigns of 10 honest people: at 5 %, more than 8 with any flag has a chance below 1 in 200."""
    any_flag = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        errs, sides = rng.random((10, 60)) < 0.2, rng.random((10, 60)) < 0.5
        any_flag += bool(
            flagged(crowd(10, 60, lambda a, i, e=errs: bool(e[a, i]), lambda a, i, s=sides: bool(s[a, i])))
        )
    assert any_flag <= 8


def test_too_few_votes_are_not_tested():
    assert make_tests(crowd(2, 4, lambda a, i: False)) == []
    assert flags(crowd(2, 4, lambda a, i: False)) == ([], 0)
