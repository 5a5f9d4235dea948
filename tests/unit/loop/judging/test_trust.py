"""How much a judge may weigh: what helps people's votes to be predicted, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from pairloop.judging.trust import FEWEST_VOTES, joined, trusted
from pairloop.posterior import PreferencePosterior
from pairloop.protocols import FitReport, RewardModel, TrainingData
from pairloop.records import ResponseView

GROUPS, PAIRS, WIDTH = 20, 400, 24


class Logistic:
    """Logistic regression on the features of this module by weighted gradient steps; enough to tell good from bad."""

    def __init__(self, features: np.ndarray) -> None:
        self.features, self.weights = features, np.zeros(features.shape[1])

    def fit(self, data: TrainingData, *, seed: int) -> FitReport:
        x = (self.features[data.left] - self.features[data.right]) * np.where(data.outcome == 0, 1, -1)[:, None]
        weight = np.where(data.outcome == 2, 0.0, data.weight)
        for _ in range(25):
            p = 1 / (1 + np.exp(-x @ self.weights))
            gradient = x.T @ (weight * (1 - p)) - self.weights
            self.weights += np.linalg.solve((x.T * (weight * p * (1 - p))) @ x + np.eye(len(self.weights)), gradient)
        return FitReport(len(data))

    def posterior(self, _responses: object) -> PreferencePosterior:
        return PreferencePosterior(self.features @ self.weights, np.zeros((len(self.features), 1)))


class Case:
    """People who know the truth with some noise, and a judge of a given taste."""

    def __init__(self, seed: int, votes: int, taste: np.ndarray | None = None, noise: float = 0.0) -> None:
        rng = np.random.default_rng(seed)
        self.features = rng.normal(size=(2 * PAIRS, WIDTH))
        truth = rng.normal(size=WIDTH) / 2
        difference = self.features[0::2] - self.features[1::2]
        self.group = rng.integers(0, GROUPS, PAIRS)
        said = difference @ truth + 0.5 * rng.logistic(size=PAIRS) < 0
        self.people = self.data(np.arange(votes), said[:votes].astype(int), "ann")
        own = difference @ (truth if taste is None else taste * 3) + 0.5 * rng.logistic(size=PAIRS) < 0
        own = np.where(rng.random(PAIRS) < noise, ~own, own)
        self.judge = self.data(np.arange(PAIRS), own.astype(int), "judge:x")

    def data(self, pairs: np.ndarray, outcome: np.ndarray, who: str) -> TrainingData:
        n = len(pairs)
        return TrainingData(
            [ResponseView("r", "p", "", "", "g")], np.ones(1, dtype=bool), 2 * pairs, 2 * pairs + 1, outcome,
            np.zeros(n, dtype=int), (who,), np.ones(n), self.group[pairs], np.ones(n, dtype=bool),
            np.zeros(n, dtype=bool), np.zeros(n, dtype=int),
        )  # fmt: skip

    def model(self) -> RewardModel:
        return Logistic(self.features)  # type: ignore[return-value]


def test_a_good_judge_is_used() -> None:
    """Mostly: with so few votes of people the proof does not always succeed, and then the judge is left out."""
    cases = {seed: Case(seed, 90) for seed in range(6)}
    found = [trusted(c.model, c.people, c.judge, max_weight=10, seed=seed) for seed, c in cases.items()]
    used = [trust for trust in found if trust.power > 0]
    assert len(used) >= 4
    for trust in used:
        assert trust.gain is not None
        assert trust.gain["high"] < 0
        assert len(trust.tried) == 3


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["own taste", "opposite", "coin"])
def test_a_bad_judge_weighs_nothing(seed: int, kind: str) -> None:
    """However many votes it has, and however sure it is of itself."""
    case = Case(seed, 120, np.eye(WIDTH)[0] if kind == "own taste" else None, 0.5 if kind == "coin" else 0.0)
    judge = case.judge
    if kind == "opposite":
        judge = replace(judge, outcome=1 - judge.outcome)
    trust = trusted(case.model, case.people, judge, max_weight=10, seed=seed)
    assert trust.power == 0.0, trust
    assert joined(case.people, judge, trust.power) is case.people


def test_max_weight_limits_the_sum() -> None:
    case = Case(0, 60)
    for limit in (0.5, 2.0):
        trust = trusted(case.model, case.people, case.judge, max_weight=limit, seed=0)
        assert trust.tried[-1][0] == min(1.0, limit * 60 / PAIRS)
        assert 0 <= trust.power * case.judge.weight.sum() <= limit * case.people.weight.sum() + 1e-9
    assert trusted(case.model, case.people, case.judge, max_weight=0, seed=0).power == 0.0


def test_nothing_is_known_without_people() -> None:
    case = Case(0, FEWEST_VOTES - 1)
    trust = trusted(case.model, case.people, case.judge, max_weight=10, seed=0)
    assert (trust.power, trust.gain) == (0.0, None)
    assert "fewer than" in trust.reason
    tied = replace(Case(0, 100).people, outcome=np.full(100, 2))
    assert trusted(case.model, tied, case.judge, max_weight=10, seed=0).power == 0.0
    one_group = replace(Case(0, 100).people, group=np.zeros(100, dtype=int))
    assert trusted(case.model, one_group, case.judge, max_weight=10, seed=0).power == 0.0


def test_no_vote_of_a_fold_is_seen_by_its_model() -> None:
    """Neither people's nor the judge's: a judge that copies people must not look as if it could predict them."""
    case = Case(0, 100)
    seen: list[set[int]] = []
    measured: list[set[int]] = []

    class Spy(Logistic):
        def fit(self, data: TrainingData, *, seed: int) -> FitReport:
            seen.append(set(data.group.tolist()))
            return super().fit(data, seed=seed)

        def posterior(self, responses: object) -> PreferencePosterior:
            measured.append(set(case.people.group.tolist()) - seen[-1])
            return super().posterior(responses)

    trusted(lambda: Spy(case.features), case.people, case.judge, max_weight=10, seed=0)  # type: ignore[arg-type, return-value]
    assert len(seen) == 16
    assert all(0 < len(groups) <= GROUPS // 4 + 1 for groups in measured)


def test_the_same_seed_gives_the_same_trust() -> None:
    case = Case(1, 80)
    first, again = (trusted(case.model, case.people, case.judge, max_weight=10, seed=5) for _ in range(2))
    assert first == again


def test_joined_keeps_who_is_who() -> None:
    case = Case(0, 30)
    both = joined(case.people, replace(case.judge, annotators=("aaa",)), 0.25)
    assert both.annotators == ("aaa", "ann")
    assert set(both.annotator[:30]) == {1}
    assert set(both.annotator[30:]) == {0}
    assert set(both.weight[30:]) == {0.25}
    assert len(both) == 30 + PAIRS
