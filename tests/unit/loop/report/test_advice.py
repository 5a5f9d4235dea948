"""Advice: given when it applies, and only then."""

from dataclasses import replace

import pytest

from pairloop.anchoring import Anchoring
from pairloop.metrics import Estimate
from pairloop.records import Choice
from pairloop.report.advice import advice
from pairloop.report.agreement import Agreement
from pairloop.report.learning import ArmPoint, Calibration, Point
from pairloop.report.policy import Duel, Tuning
from pairloop.report.rounds import Arrivals, Spent
from pairloop.report.selection import Contest
from pairloop.report.verdict import verdict

GOOD = Estimate(0.8, 0.77, 0.83, 900, 60)
POINT = Point(3, 900, 0.0, GOOD, GOOD, GOOD, GOOD, 0.02, 1.0, (), None)
ARM = ArmPoint(3, 90, GOOD, GOOD, Estimate(-0.1, -0.2, -0.05, 90, 40))
TUNING = Tuning(3, "rloo", "all 40 steps done", (), (), (), None, False, 20.0, 0.05)


@pytest.fixture
def calm(toy, pairs):
    """A campaign in which nothing is wrong."""
    toy.open()
    for pair in pairs(20):
        toy.vote(pair, "ann", Choice.LEFT)
    facts = toy.facts()
    supply = replace(facts.supply, holdout_groups=60, pairs=90_000, holdout_pairs=900)
    people = replace(facts.people, count=5, rows=())
    position = (replace(facts.habits.position[0], estimate=Estimate(0.5, 0.49, 0.51, 400, 400)),)
    return replace(
        facts, votes=400, points=(POINT,), arms=(ARM,), arms_verdict="pays", supply=supply, people=people,
        habits=replace(facts.habits, position=position), agreement=Agreement(90, 5, GOOD, GOOD, GOOD, None),
    )  # fmt: skip


def test_a_campaign_without_problems_gets_no_advice(calm):
    assert advice(calm) == ()
    assert verdict(calm) == (
        "After 1 round and 400 votes the reward model agrees with 80.0 % of the decisive holdout votes [77.0, 83.0], "
        "better than a coin; active selection pays."
    )


def _point(**changes):
    return {"points": (replace(POINT, **changes),)}


def _contest(**state):
    difference = {"value": 0.1, "low": 0.01, "high": 0.2, "n": 90}
    told = {"mode": "active", "since": 0, "verdict": "open", "reason": None, "difference": difference, **state}
    return Contest(told, (1,), (0.1,), (0.01,), (0.2,), ())


CASES = {
    "was rejected": lambda f: {"points": (POINT, replace(POINT, rejected="all ties"))},
    "only 4 groups": lambda f: {"supply": replace(f.supply, holdout_groups=4)},
    "known only to within": lambda f: _point(accuracy=replace(GOOD, low=0.6)),
    "not clearly better than a coin": lambda f: _point(accuracy=Estimate(0.55, 0.49, 0.61, 900, 60)),
    "Nothing measures the model": lambda f: _point(accuracy=None),
    "votes for slips": lambda f: _point(flip_rate=0.2),
    "probabilities are off": lambda f: {
        "calibration": Calibration(99, (), Estimate(0.1, 0.05, 0.2, 99, 40), None, None)
    },
    "reward model notes": lambda f: _point(notes=("not calibrated",)),
    "worse than random": lambda f: {"arms_verdict": "costs"},
    "Random choice has taken over since round 4": lambda f: {"contest": _contest(mode="random", since=4, reason="why")},
    "does worse than random choice here": lambda f: {"contest": _contest(verdict="worse")},
    "More votes?": lambda f: {"outlook": {"advice": {"level": "consider_stopping", "sentence": "Consider stopping."}}},
    "The shown guesses sway annotators": lambda f: {
        "anchoring": Anchoring(GOOD, GOOD, Estimate(0.1, 0.02, 0.18, 300, 20))
    },
    "cannot be told whether active": lambda f: {"arms_verdict": "open", "arms": (ARM,) * 3},
    "Annotators agree little": lambda f: {"agreement": replace(f.agreement, alpha=Estimate(0.3, 0.2, 0.4, 90, 40))},
    "Agreement between annotators is not": lambda f: {"agreement": Agreement(3, 2, None, None, None, None)},
    "One annotator": lambda f: {"people": replace(f.people, count=1)},
    "favour the right": lambda f: {
        "habits": replace(
            f.habits, position=(replace(f.habits.position[0], estimate=Estimate(0.4, 0.35, 0.45, 99, 9)),)
        )
    },
    "skipped": lambda f: {"choices": {**f.choices, "skip": 80}},
    "both are bad": lambda f: {"choices": {**f.choices, "both_bad": 100}},
    "are ties": lambda f: {"choices": {**f.choices, "tie": 200}},
    "after their round had closed": lambda f: {"arrivals": Arrivals(400, 0, 0, 60, 0)},
    "were revised": lambda f: {"arrivals": Arrivals(400, 60, 0, 0, 0)},
    "no question of this campaign": lambda f: {"arrivals": Arrivals(400, 0, 0, 0, 2)},
    "The backend refused": lambda f: {"rounds": (replace(f.rounds[0], refused=3),)},
    "await an answer": lambda f: {"rounds": (replace(f.rounds[0], open=3),)},
    "left the campaign": lambda f: {"supply": replace(f.supply, excluded=(("rated too low", 2),))},
    "Votes: 10 of 410 left": lambda f: {"spent": (Spent("votes", "votes", 400, 0, 410),)},
    "left to ask": lambda f: {"supply": replace(f.supply, pairs=100)},
    "Every holdout pair": lambda f: {"supply": replace(f.supply, holdout_asked=900)},
    "ran into its KL budget": lambda f: {
        "tunings": (replace(TUNING, stop_reason="stopped at step 3 by the KL budget"),)
    },
    "less than the initial policy": lambda f: {
        "tunings": (TUNING,),
        "duels": (Duel("policy-tuned-3", "policy-initial", 1, 0, 9, Estimate(0.1, 0.0, 0.3, 10, 9)),),
    },
}


@pytest.mark.parametrize("title", CASES)
def test_each_piece_of_advice_is_given_when_it_applies(calm, title):
    changed = replace(calm, **CASES[title](calm))
    assert [item for item in advice(changed) if title in item.title or title in item.text]


def test_the_most_urgent_advice_comes_first(calm):
    changed = replace(calm, **CASES["were revised"](calm), **_point(flip_rate=0.2), arms_verdict="costs")
    assert [item.level for item in advice(changed)] == ["act", "look", "note"]


def test_guesses_that_may_not_sway_are_not_blamed(calm):
    unclear = Anchoring(GOOD, GOOD, Estimate(0.1, -0.02, 0.22, 300, 20))
    assert advice(replace(calm, anchoring=unclear)) == ()


def test_the_sequence_has_the_last_word_on_selection(calm):
    fallen = replace(calm, contest=_contest(mode="random", since=4, reason="why"))
    assert "random choice has taken over" in verdict(fallen)
    assert "does worse" in verdict(replace(calm, contest=_contest(verdict="worse")))
