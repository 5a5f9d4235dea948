"""Intervals of scores and ranks, and what hangs on single annotators."""

from dataclasses import replace

import numpy as np
import pytest

from pairloop.leaderboard import leaderboard
from pairloop.leaderboard.bootstrap import pigeonhole
from pairloop.leaderboard.covariance import leave_out, spread
from pairloop.leaderboard.fitting import fitted
from pairloop.leaderboard.graph import parts
from pairloop.leaderboard.influence import influences, without
from pairloop.leaderboard.ranks import ranks

from .conftest import ballots, drawn

THETA = [0.9, 0.5, 0.1, -0.3, -1.2]


def fit_of(votes, **how):
    return fitted(votes, next(parts(votes.a, votes.b, votes.points, votes.weight, len(votes.models))), **how)


def test_leaving_a_cluster_out_in_one_step_is_close_to_fitting_without_it():
    for ties in ("half", "davidson"):
        found = fit_of(drawn(THETA, 900, 1, liked=0.5), ties=ties, style=True)
        left = leave_out(found.fit, found.annotator, 12)
        assert not left.alone.any()
        for person in range(12):
            step = left.steps[person][:5]
            refit = without(found.fit, found.annotator != person) - found.fit.scores
            assert np.abs(refit).max() > 0.01
            assert step == pytest.approx(refit, abs=0.05 * np.abs(refit).max() + 1e-3)


def test_variance_is_the_sum_of_the_two_less_what_both_share():
    votes = drawn(THETA, 900, 2, liked=0.5)
    found = fit_of(votes)
    problem, at = found.fit.problem, found.fit.at
    hessian, total = np.linalg.inv(problem.hessian(at)), 0
    pair = votes.annotator * 1000 + votes.prompt
    for column, sign in ((votes.annotator, 1), (votes.prompt, 1), (np.unique(pair, return_inverse=True)[1], -1)):
        n = column.max() + 1
        if sign > 0:
            total = total + sum(np.outer(step, step) for step in leave_out(found.fit, column, n).steps)
        else:
            steps = problem.scores(problem.residual(at), column, n) @ hessian
            total = total - n / (n - 1) * steps.T @ steps
    one_way = leave_out(found.fit, votes.annotator, 12).steps
    assert np.trace(total) > np.trace(one_way.T @ one_way)
    assert spread(found.fit, votes.annotator, votes.prompt).covariance == pytest.approx(total, abs=1e-10)


def test_independent_votes_have_about_the_textbook_variance():
    votes = drawn(THETA, 4000, 3, annotators=4000, prompts=4000, nu=1e-9)
    found = fit_of(votes)
    inverse = np.linalg.inv(found.fit.problem.hessian(found.fit.at))
    contrast = np.array([1.0, -1.0, 0, 0, 0])
    assert contrast @ found.spread.covariance @ contrast == pytest.approx(contrast @ inverse @ contrast, rel=0.15)


def test_votes_that_hang_together_widen_the_intervals():
    together, apart = (fit_of(drawn(THETA, 1500, 4, liked=x)).spread.covariance for x in (1.5, 0.0))
    assert np.trace(together) > 3 * np.trace(apart)


def test_intervals_are_those_of_the_bootstrap_but_for_its_noise():
    votes = drawn(THETA, 1500, 5, annotators=40, prompts=40, liked=0.6)
    found = fit_of(votes)
    draws = pigeonhole(found.fit, found.annotator, found.prompt, 300, seed=1)
    assert len(draws) == 300
    ratio = draws.std(axis=0) / np.sqrt(np.diag(found.spread.covariance))
    assert ((ratio > 0.8) & (ratio < 1.5)).all(), "the pigeonhole bootstrap errs on the wide side"
    again = pigeonhole(found.fit, found.annotator, found.prompt, 300, seed=1)
    assert (draws == again).all()


def test_one_annotator_leaves_the_prompts_to_cluster_by_and_one_of_both_leaves_nothing():
    several = leaderboard(ballots(*["a > b", "b > a", "a > b"] * 6, annotators=1, prompts=5)).tables[0]
    assert all(row.score.low is not None and row.score.clusters == 5 for row in several.rows)
    single = leaderboard(ballots(*["a > b", "b > a", "a > b"] * 6, annotators=1, prompts=1)).tables[0]
    assert all(row.score.low is None and row.rank_low is None for row in single.rows)
    assert "one annotator on one prompt" in (single.rows[0].note or "")
    assert not single.influence


def test_a_model_that_one_annotator_alone_judged_has_no_interval():
    votes = [f"{x} {'<>='[i % 3]} {y}" for i in range(30) for x, y in (("a", "b"), ("b", "c"), ("c", "a"))]
    told = ballots(*votes, *["d > a", "a > d", "d = b"])
    lone = replace(told, annotator=np.where(told.a == 3, 0, 1 + told.annotator) * (told.b != 3))
    lone = replace(lone, annotators=("only", "x", "y", "z"))
    rows = {row.model: row for row in leaderboard(lone).tables[0].rows}
    assert rows["d"].score.low is None
    assert "rests on one" in (rows["d"].note or "")
    assert rows["a"].score.low is not None


def test_models_that_one_annotator_alone_links_with_the_rest_have_no_interval():
    ends = (("a", "b"), ("b", "c"), ("c", "a"), ("d", "e"))
    told = ballots(*[f"{x} {'<>='[i % 3]} {y}" for i in range(30) for x, y in ends], annotators=7, prompts=11)
    link = ballots(*[f"{x} {'<>'[i % 2]} {y}" for i in range(6) for x, y in (("a", "d"), ("b", "e"), ("c", "d"))])
    both = {name: np.concatenate([getattr(told, name), getattr(link, name)]) for name in ("a", "b", "points", "weight")}
    whole = replace(
        told, **both, annotator=np.append(told.annotator, [7] * 18), annotators=(*told.annotators, "only"),
        vote=np.arange(138), prompt=np.append(told.prompt, link.prompt), arm=np.zeros(138, dtype=int),
        style=np.concatenate([told.style, link.style]), value=("",) * 138,
    )  # fmt: skip
    rows = {row.model: row for row in leaderboard(whole).tables[0].rows}
    assert [name for name, row in sorted(rows.items()) if row.score.low is None] == ["d", "e"]
    assert "rests on one" in (rows["e"].note or "")


def test_the_bootstrap_draws_prompts_too():
    votes = drawn(THETA, 1500, 8, annotators=1, prompts=30)
    found = fit_of(votes)
    draws = pigeonhole(found.fit, found.annotator, found.prompt, 200)
    ratio = draws.std(axis=0) / np.sqrt(np.diag(found.spread.covariance))
    assert ((ratio > 0.7) & (ratio < 1.4)).all()


def test_ranks_of_a_clear_order_are_certain_and_of_equals_open():
    clear = ranks(np.array([3.0, 1.0, -1.0, -3.0]), 0.01 * np.eye(4), np.full(4, 50), 50)
    assert clear.rank.tolist() == clear.low.tolist() == clear.high.tolist() == [1, 2, 3, 4]
    assert clear.p[0, 1] < 0.01
    equal = ranks(np.zeros(4), np.eye(4), np.full(4, 50), 50)
    assert (equal.rank.tolist(), equal.low.tolist(), equal.high.tolist()) == ([1] * 4, [1] * 4, [4] * 4)
    assert (equal.p > 0.9).all()


def test_a_model_without_an_interval_has_every_rank_and_takes_none_from_others():
    found = ranks(np.array([9.0, 1.0, -1.0]), 0.01 * np.eye(3), np.array([0, 50, 50]), 50)
    assert (found.low.tolist(), found.high.tolist()) == ([1, 1, 2], [3, 2, 3])


def test_p_values_of_pairs_are_adjusted_for_their_number():
    random = np.random.default_rng(6)
    single = [ranks(random.standard_normal(2), np.eye(2), np.full(2, 500), 500, seed=i).p[0, 1] for i in range(200)]
    many = [ranks(random.standard_normal(12), np.eye(12), np.full(12, 500), 500, seed=i).p.min() for i in range(200)]
    assert 0.01 < np.mean(np.array(single) < 0.05) < 0.10
    assert 0.01 < np.mean(np.array(many) < 0.05) < 0.10


def test_the_annotator_who_turns_the_first_rank_is_named():
    fair = ["a > b", "b > a"] * 12  # three annotators, each as often for one as for the other
    votes = ballots(*fair, "b > a", *["a > b"] * 6, annotators=3)
    votes = replace(votes, annotator=np.append(votes.annotator[:25], [3] * 6), annotators=(*votes.annotators, "fan"))
    table = leaderboard(votes).tables[0]
    assert table.rows[0].model == "a"
    assert [each.annotator for each in table.influence if each.first is not None] == ["fan"]
    assert (table.influence[0].annotator, table.influence[0].first, table.influence[0].refitted) == ("fan", "b", True)
    assert "without fan, b is first" in " ".join(table.notes)


def test_influence_is_what_fitting_without_the_annotator_gives():
    found = fit_of(drawn(THETA, 900, 7, liked=0.8))
    for each in influences(found.fit, found.annotator, found.spread.by_annotator):
        moved = without(found.fit, found.annotator != each.annotator) - found.fit.scores
        assert each.change == pytest.approx(moved[each.model], abs=1e-8 if each.refitted else 0.02)
        assert each.votes == (found.annotator == each.annotator).sum()


def test_leaving_out_who_gave_a_models_only_defeat_does_not_send_it_to_infinity():
    votes = ballots(*["a > b", "b > c", "c > a", "b > a"] * 5, *["top > a"] * 8, "a > top", annotators=5)
    scores = leaderboard(votes).tables[0]
    assert all(abs(each.change) < 5 for each in scores.influence)


@pytest.mark.slow
@pytest.mark.parametrize(("annotators", "prompts"), [(10, 13), (30, 20)])
def test_intervals_cover(annotators, prompts):
    """Scores at least at the nominal rate within the error of 500 draws; ranks, which are conservative, beyond it."""
    theta = np.array([0.6, 0.3, 0.0, -0.2, -0.7])
    scores, places = [], []
    for seed in range(500):
        found = fit_of(drawn(theta, 400, 1000 + seed, annotators=annotators, prompts=prompts), seed=seed)
        true = truth(theta)
        ends = [found.score(i) for i in range(5)]
        scores.append(np.mean([s.low <= t <= s.high for s, t in zip(ends, true, strict=True)]))
        places.append(np.mean((found.ranks.low <= np.arange(1, 6)) & (np.arange(1, 6) <= found.ranks.high)))
    error = np.std(scores) / 500**0.5
    assert np.mean(scores) > 0.95 - 3 * error
    assert np.mean(scores) < 0.985, "so wide that they say little"
    assert np.mean(places) > 0.95


def truth(theta, nu=0.5):
    """Bradley–Terry on the expected points of every pair, ties half a win each."""
    a, b = np.triu_indices(len(theta), k=1)
    d = theta[a] - theta[b]
    weights = np.stack([np.exp(d / 2), np.full(len(d), nu), np.exp(-d / 2)])
    found = fit_of(drawn(theta, 50, 0))
    problem = found.fit.problem
    z = np.zeros((len(a), 0))
    expected = (weights[0] + weights[1] / 2) / weights.sum(axis=0)
    from pairloop.leaderboard.fit import maximise

    return maximise(replace(problem, a=a, b=b, points=expected, weight=np.ones(len(a)), covariates=z)).scores
