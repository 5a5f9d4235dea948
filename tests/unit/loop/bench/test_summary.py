"""Summaries against hand-made results, and the coverage of their intervals."""

import numpy as np
import pytest

from pairloop.bench.cell import Point, Scores
from pairloop.bench.plan import Plan
from pairloop.bench.summary import block_json, summarise


def plan(seeds: int, **bench: object) -> Plan:
    return Plan.model_validate(
        {
            "bench": {"seeds": seeds, "bootstrap": 400, **bench},
            "data": [{"name": "d"}],
            "annotators": [{"name": "a"}],
            "strategies": [{"name": "base"}, {"name": "new"}],
        }
    )


def point(votes: int, hits: dict[str, tuple[int, int]], seconds: float = 1.0) -> Point:
    """``hits``: group → (right, of)."""
    groups = {
        g: {"n": n, "hits": right, "log_loss": 0.5 * n, "log_loss_raw": 0.6 * n, "brier": 0.2 * n}
        for g, (right, n) in hits.items()
    }
    return Point(votes, 0.0, seconds, {"votes": Scores(groups, 0.1)}, {})


def results(curves: dict[str, list[list[float]]], groups: int = 5, n: int = 100) -> dict[str, list[Point]]:
    """arm → seed → accuracy by round; every group has the same accuracy."""
    return {
        f"d/a/tfidf/{arm}/{seed}": [
            point(50 * (t + 1), {str(g): (round(accuracy * n), n) for g in range(groups)})
            for t, accuracy in enumerate(run)
        ]
        for arm, runs in curves.items()
        for seed, run in enumerate(runs)
    }


def test_means_area_and_votes_to_target_by_hand() -> None:
    found = results({"base": [[0.6, 0.7], [0.6, 0.7]], "new": [[0.6, 0.8], [0.6, 0.8]]})
    block = summarise(plan(2), found)[0]
    base, new = block.arms
    assert block.target == pytest.approx(0.7)
    assert new.votes == (50.0, 100.0)
    assert new.curves["accuracy"][1].value == pytest.approx(0.8)
    assert new.area.value == pytest.approx(0.7)
    assert base.votes_to_target is not None
    assert new.votes_to_target is not None
    assert base.votes_to_target.value == pytest.approx(100)
    assert new.votes_to_target.value == pytest.approx(75)
    assert new.saved is not None
    assert new.saved.value == pytest.approx(0.25)
    assert new.against["accuracy"].value == pytest.approx(0.1)
    assert base.against == {}


def test_an_arm_that_never_gets_there_says_so() -> None:
    found = results({"base": [[0.6, 0.7]], "new": [[0.6, 0.65]]})
    new = summarise(plan(1), found)[0].arms[1]
    assert new.votes_to_target is None
    assert new.saved is None


def test_matching_another_arm_counts_votes_to_its_final_accuracy() -> None:
    found = results({"base": [[0.6, 0.7], [0.6, 0.7]], "new": [[0.6, 0.8], [0.6, 0.8]]})
    base, new = summarise(plan(2, match=["base"]), found)[0].arms
    match = new.matches["base"]
    assert match.accuracy == pytest.approx(0.7)
    assert (match.votes.value, match.share.value) == (pytest.approx(75), pytest.approx(0.75))
    assert base.matches["base"].share.value == pytest.approx(1.0)


def test_what_is_to_be_matched_is_drawn_with_the_rest() -> None:
    """Where both arms rise and fall with the same groups, the votes to match are sure although both levels are not."""
    rng = np.random.default_rng(1)
    level = rng.uniform(0.5, 0.7, 6)

    def run(rise: float) -> list[Point]:
        return [
            point(50 * t, {str(g): (round(1000 * (level[g] + rise * t)), 1000) for g in range(6)}) for t in (1, 2, 4)
        ]

    found = {f"d/a/tfidf/{arm}/0": run(rise) for arm, rise in (("base", 0.01), ("new", 0.04))}
    base, new = summarise(plan(1, match=["base"]), found)[0].arms
    low, high = base.curves["accuracy"][-1].low, base.curves["accuracy"][-1].high
    assert low is not None
    assert high is not None
    assert high - low > 0.05
    assert new.matches["base"].share.low == pytest.approx(new.matches["base"].share.high, abs=0.02)


def test_an_arm_that_is_never_as_good_matches_nothing_and_one_that_stops_early_is_compared_where_both_are() -> None:
    found = results({"base": [[0.6, 0.7, 0.9]], "new": [[0.65, 0.72]]})
    new = summarise(plan(1, match=["base"]), found)[0].arms[1]
    assert new.matches == {}
    assert new.against["accuracy"].value == pytest.approx(0.02)
    assert new.against["area"].value == pytest.approx(0.035)


def test_every_way_to_measure_has_its_own_block() -> None:
    both = plan(1).model_dump()
    both["data"][0]["truths"] = [{"name": "clean"}, {"name": "votes"}]
    scores = {"clean": Scores({"0": _columns(9)}, 0.1), "votes": Scores({"0": _columns(6)}, 0.1)}
    found = {f"d/a/tfidf/{arm}/0": [Point(50, 0.0, 1.0, scores, {})] for arm in ("base", "new")}
    blocks = summarise(Plan.model_validate(both), found)
    assert [block.data for block in blocks] == ["d:clean", "d:votes"]
    assert [block.arms[0].curves["accuracy"][0].value for block in blocks] == [0.9, 0.6]


def _columns(hits: int) -> dict[str, float]:
    return {"n": 10, "hits": hits, "log_loss": 5.0, "log_loss_raw": 5.0, "brier": 2.0}


def test_a_difference_that_is_the_same_in_every_seed_and_group_has_no_width() -> None:
    found = results({"base": [[0.6, 0.7], [0.5, 0.6]], "new": [[0.65, 0.75], [0.55, 0.65]]})
    difference = summarise(plan(2), found)[0].arms[1].against["accuracy"]
    assert difference.low == pytest.approx(0.05)
    assert difference.high == pytest.approx(0.05)


def test_many_seeds_over_few_groups_stay_uncertain() -> None:
    """What differs between groups is not averaged away by more seeds on the same groups."""
    hits = {"0": (90, 100), "1": (50, 100), "2": (70, 100)}
    for seeds in (3, 30):
        found = {f"d/a/tfidf/{arm}/{s}": [point(50, hits)] for arm in ("base", "new") for s in range(seeds)}
        interval = summarise(plan(seeds), found)[0].arms[0].curves["accuracy"][0]
        assert interval.low is not None
        assert interval.high is not None
        assert interval.high - interval.low > 0.3


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Groups with their own accuracy around .7: at 20 groups the percentile interval covers somewhat less than 95 %."""
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        p = np.clip(0.7 + 0.1 * rng.standard_normal(20), 0, 1)
        hits = {str(g): (int(rng.binomial(40, p[g])), 40) for g in range(20)}
        found = {f"d/a/tfidf/{arm}/0": [point(50, hits)] for arm in ("base", "new")}
        interval = summarise(plan(1, bootstrap=200), found)[0].arms[0].curves["accuracy"][0]
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 0.7 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_it_is_plain_json() -> None:
    import json

    found = results({"base": [[0.6, 0.7]], "new": [[0.6, 0.8]]})
    json.dumps(block_json(summarise(plan(1), found)[0]), allow_nan=False)
