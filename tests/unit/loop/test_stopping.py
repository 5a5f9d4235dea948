"""Advice about stopping: each of its four views against cases in which the truth is known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom
from support.linear import World

from pairloop import stopping
from pairloop.posterior import PreferencePosterior
from pairloop.records import Arm, Choice


def posterior(seed: int = 0, *, rows: int = 60, dimensions: int = 5, **fields: Any) -> PreferencePosterior:
    random = np.random.default_rng(seed)
    return PreferencePosterior(random.normal(size=rows), random.normal(size=(rows, dimensions)), **fields)


def pairs(n: int, seed: int = 0, rows: int = 60):
    drawn = np.random.default_rng(seed).integers(rows, size=(n, 2))
    drawn[:, 1] = (drawn[:, 1] + (drawn[:, 0] == drawn[:, 1])) % rows
    return drawn


# ------------------------------------------------------------------------------------------- next batch


def test_the_next_batch_is_expected_to_bring_what_it_does():
    """On average over worlds drawn from the prior: what a fit on these votes really gains on the targets."""
    told, came = [], []
    for seed in range(60):
        world = World(seed, dimensions=4)
        asked, targets = world.pairs(60, holdout=False), world.pairs(2000, holdout=True)
        model = world.model()
        first = world.pairs(60, holdout=False)
        model.fit(world.data(first, world.vote(first), np.zeros(60)), seed=0)
        before = model.posterior(world.views)
        found = stopping.next_batch(before, asked, targets)
        both = np.concatenate([first, asked])
        model = world.model()
        outcome = np.concatenate([world.vote(first), world.vote(asked)])
        model.fit(world.data(both, outcome, np.zeros(120)), seed=0)
        p = expit(world.reward[targets[:, 0]] - world.reward[targets[:, 1]])
        losses = []
        for each in (before, model.posterior(world.views)):
            q = each.probability(targets)
            losses.append(float(np.mean(-(p * np.log(q) + (1 - p) * np.log1p(-q)))))
        assert found is not None
        told.append(found["log_loss"])
        came.append(losses[0] - losses[1])
    assert np.mean(told) == pytest.approx(np.mean(came), rel=0.35)


def test_votes_on_what_is_known_bring_nothing_and_more_votes_bring_more():
    known = PreferencePosterior(np.random.default_rng(0).normal(size=60), np.zeros((60, 3)))
    nothing = stopping.next_batch(known, pairs(20), pairs(50, 1))
    assert nothing == {"votes": 20, "log_loss": pytest.approx(0), "accuracy": pytest.approx(0)}
    few, many = (stopping.next_batch(posterior(), pairs(n), pairs(50, 1)) for n in (5, 40))
    twice = stopping.next_batch(posterior(), pairs(5), pairs(50, 1), replicas=2)
    assert few is not None
    assert many is not None
    assert twice is not None
    assert 0 < few["log_loss"] < twice["log_loss"] < many["log_loss"]
    assert 0 < few["accuracy"] < many["accuracy"]
    assert stopping.next_batch(posterior(), pairs(0), pairs(9)) is None


def test_noisy_annotators_bring_less():
    clear, noisy = (stopping.next_batch(posterior(flip_rate=e), pairs(20), pairs(50, 1)) for e in (0.0, 0.3))
    assert clear is not None
    assert noisy is not None
    assert noisy["log_loss"] < 0.5 * clear["log_loss"]


# -------------------------------------------------------------------------------------------- stability


def test_the_same_model_is_stable_and_its_mirror_is_not():
    one = posterior()
    mirror = PreferencePosterior(-one.mean, one.whitened)
    assert stopping.stability(one, one, pairs(200)) == pytest.approx({"agreement": 1.0, "kappa": 1.0, "pairs": 200})
    found = stopping.stability(one, mirror, pairs(200))
    assert found["agreement"] == 0.0
    assert found["kappa"] < -0.9


def test_flips_between_equals_hardly_count():
    one = posterior()
    near = PreferencePosterior(one.mean + 0.05 * np.random.default_rng(1).normal(size=60), one.whitened)
    found = stopping.stability(one, near, pairs(500))
    assert 1 - found["agreement"] < 0.2 * (1 - found["kappa"])


# --------------------------------------------------------------------------------------- learning curve


def predicted(seed: int, *, slope: float = 1.0, exponent: float = 0.5, groups: int = 40, spread: float = 0.5):
    """Votes of 10 rounds of 60 training votes, 30 predicted a round, in groups that are harder or easier."""
    random = np.random.default_rng(seed)
    size = np.repeat(np.arange(1, 11) * 60, 30)
    group = random.integers(groups, size=len(size))
    holdout = group % 2 == 0
    harder = np.clip(random.normal(0, spread, groups), -1, 1)
    error = 0.15 + 0.05 * holdout + slope * size**-exponent
    error = expit(np.log(error / (1 - error)) + harder[group])
    return stopping.Predicted(size, (random.random(len(size)) < error).astype(float), holdout, group)


def test_the_curve_is_found_where_there_is_one():
    many = [predicted(seed, slope=2.0, spread=0.0) for seed in range(20)]
    joined = stopping.Predicted(*(np.concatenate([getattr(p, name) for p in many]) for name in
                                  ("size", "wrong", "holdout", "group")))  # fmt: skip
    found = stopping.learning_curve(joined, 600, seed=0)
    assert found is not None
    truth = 2.0 * (600**-0.5 - 1200**-0.5)
    assert found["double"]["low"] <= truth <= found["double"]["high"]
    assert found["double"]["value"] == pytest.approx(truth, abs=0.012)
    assert 100 < found["more"] < 1000
    assert found["gain"]["value"] == pytest.approx(0.01, abs=1e-4)


def test_a_flat_curve_promises_nothing():
    found = stopping.learning_curve(predicted(0, slope=0.0), 600, seed=0)
    assert found is not None
    assert found["double"]["low"] == 0
    assert found["double"]["value"] < 0.02


def test_too_little_gives_no_curve():
    whole = predicted(0)

    def part(rows):
        return stopping.Predicted(*(getattr(whole, n)[rows] for n in ("size", "wrong", "holdout", "group")))

    assert stopping.learning_curve(part(np.arange(300) < 90), 600, seed=0) is None
    assert stopping.learning_curve(part(whole.group < 7), 600, seed=0) is None
    assert stopping.learning_curve(part(whole.size > 540), 600, seed=0) is None


@pytest.mark.slow
@pytest.mark.parametrize(("slope", "exponent"), [(1.0, 0.5), (3.0, 0.75), (0.0, 0.5)])
@pytest.mark.parametrize("groups", [10, 40])
def test_the_bootstrap_covers_the_true_gain(slope, exponent, groups):
    runs, covered = 200, 0
    truth = slope * (600**-exponent - 1200**-exponent)
    for seed in range(runs):
        found = stopping.learning_curve(predicted(seed, slope=slope, exponent=exponent, groups=groups), 600, seed=0)
        assert found is not None
        covered += found["double"]["low"] - 1e-9 <= truth <= found["double"]["high"] + 1e-9
    assert covered >= binom.ppf(0.001, runs, 0.90), covered


# -------------------------------------------------------------------------------------------- the ceiling


@dataclass(frozen=True)
class Said:
    """As much of a vote as is looked at."""

    pair_id: str
    annotator: str
    choice: Choice
    left: str
    right: str = "r"
    arm: Arm = Arm.HOLDOUT
    excluded: bool = False


def said(n: int, agree: float, arm: Arm = Arm.HOLDOUT) -> Any:
    random = np.random.default_rng(0)
    votes = []
    for i in range(n):
        same = random.random() < agree
        votes.append(Said(f"p{i}", "ann", Choice.LEFT, f"l{i}", f"r{i}", arm))
        # shown the other way round
        votes.append(Said(f"p{i}", "bob", Choice.RIGHT if same else Choice.LEFT, f"r{i}", f"l{i}", arm))
    return votes


def test_the_ceiling_follows_from_how_two_people_agree():
    groups = {f"{side}{i}": i for i in range(2000) for side in "lr"}
    found = stopping.human_ceiling(said(2000, 0.82), groups)
    assert found is not None
    assert found.value == pytest.approx(0.9, abs=0.02), "q = 0.9: 0.81 + 0.01 agree, and 0.9 is the best guess"
    assert (found.low or 1) < found.value < (found.high or 0)
    assert stopping.human_ceiling(said(19, 0.82), groups) is None
    assert stopping.human_ceiling(said(200, 0.82, Arm.ACTIVE), groups) is None


# ----------------------------------------------------------------------------------------------- advice

CURVE = {
    "double": {"value": 0.03, "low": 0.01, "high": 0.05}, "more": 170,
    "gain": {"value": 0.01, "low": 0.004, "high": 0.016},
}  # fmt: skip
BATCH = {"votes": 40, "accuracy": 0.004, "log_loss": 0.01}
ACCURACY = {"value": 0.7, "low": 0.65, "high": 0.75}


def advise(batch=BATCH, curve=CURVE, ceiling=None, agreements=(), accuracy=ACCURACY):
    return stopping.advise(batch, curve, ceiling, agreements, accuracy, votes_per_training_vote=1.2)


def test_a_curve_that_falls_says_what_a_point_costs():
    found = advise()
    assert found["level"] == "go_on"
    assert found["sentence"] == "Going on should pay: about 210 more votes for +1.0 points [0.4, 1.6] of accuracy."


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"curve": {**CURVE, "double": {"value": 0.003, "low": 0.0, "high": 0.008}}}, "at most 0.8 points"),
        ({"batch": {**BATCH, "accuracy": 0.0005}, "agreements": [0.9, 0.99, 0.995, 0.995]}, "agree to 99.3 %"),
        ({"ceiling": {"value": 0.74}}, "could exceed 74.0 %"),
    ],
)
def test_reasons_for_stopping(changes, reason):
    found = advise(**changes)
    assert found["level"] == "consider_stopping"
    assert reason in found["sentence"]
    assert len(found["reasons"]) == 1


def test_without_a_curve_nothing_is_claimed():
    found = advise(curve=None)
    assert found["level"] == "unknown"
    assert found["sentence"] == (
        "It cannot be told yet whether going on pays; the model expects +0.4 points from the next 40 votes."
    )
    flat = {**CURVE, "double": {"value": 0.0, "low": 0.0, "high": 0.04}}
    assert advise(curve=flat)["level"] == "unknown"
