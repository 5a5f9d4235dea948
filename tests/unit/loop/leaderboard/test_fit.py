"""Maximum likelihood: against other packages, by hand, against finite differences, and where it does not exist."""

from dataclasses import replace

import numpy as np
import pytest

from pairloop.errors import Diverged
from pairloop.leaderboard import leaderboard
from pairloop.leaderboard.fit import TOLERANCE, maximise
from pairloop.leaderboard.fitting import fitted
from pairloop.leaderboard.graph import parts
from pairloop.leaderboard.likelihood import Problem

from .conftest import ballots, drawn


def problem_of(votes, ties="half", covariates=None):
    m = len(votes.models)
    z = np.zeros((len(votes), 0)) if covariates is None else covariates
    none = np.zeros(0, dtype=np.int64)
    return Problem(votes.a, votes.b, votes.points, votes.weight, z, m, np.arange(m), none, ties)


def test_two_models_have_the_log_odds_of_the_share_won():
    table = leaderboard(ballots(*["a > b"] * 6, *["a < b"] * 2, *["b = a"] * 4)).tables[0]
    first, second = table.rows
    assert (first.model, first.wins, first.ties, first.losses, first.rank) == ("a", 6, 4, 2, 1)
    assert first.score.value - second.score.value == pytest.approx(np.log(8 / 4), abs=1e-12)
    assert first.strength == pytest.approx(8 / 12, abs=1e-12)
    assert first.score.value == -second.score.value


def test_scores_are_those_of_choix_to_nine_digits():
    choix = pytest.importorskip("choix")
    votes = drawn([0.8, 0.3, 0.0, -0.2, -0.9], 600, 1)
    wins = np.zeros((5, 5))
    np.add.at(wins, (votes.a, votes.b), votes.points)
    np.add.at(wins, (votes.b, votes.a), 1 - votes.points)
    strength = np.exp(choix.ilsr_pairwise_dense(wins, tol=1e-13))
    strength /= strength.sum()
    table = leaderboard(votes).tables[0]
    assert table.gradient < TOLERANCE
    ours = {row.model: row.strength for row in table.rows}
    assert [ours[name] for name in votes.models] == pytest.approx(strength.tolist(), abs=1e-9)
    assert sum(ours.values()) == pytest.approx(1.0, abs=1e-12)


def test_davidsons_are_those_of_evalica():
    evalica = pytest.importorskip("evalica", reason="the extra ratings is not installed")
    votes = drawn([0.8, 0.3, 0.0, -0.2, -0.9], 600, 2)
    names, outcome = votes.models, {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    ends = [[names[i] for i in column] for column in (votes.a, votes.b)]
    theirs = evalica.newman(*ends, [outcome[p] for p in votes.points], tolerance=1e-13, limit=100_000)
    table = leaderboard(votes, ties="davidson").tables[0]
    strength = theirs.scores / theirs.scores.sum()
    assert table.tie == pytest.approx(2 * theirs.v, abs=1e-9)
    assert [row.strength for row in table.rows] == pytest.approx([strength[r.model] for r in table.rows], abs=1e-9)


def test_davidson_finds_the_tie_parameter_that_made_the_votes():
    table = leaderboard(drawn([1.0, 0.0, -1.0], 6000, 3, nu=0.8), ties="davidson").tables[0]
    assert table.tie == pytest.approx(0.8, abs=0.06)
    assert [row.score.value for row in table.rows] == pytest.approx([1.0, 0.0, -1.0], abs=0.1)


@pytest.mark.parametrize("ties", ["half", "davidson"])
def test_gradient_and_hessian_are_those_of_the_value(ties):
    rng = np.random.default_rng(4)
    votes = drawn([0.5, 0.1, -0.6, 0.0], 80, 4)
    problem = problem_of(votes, ties, rng.normal(size=(len(votes), 2)))
    problem = replace(problem, anchored=np.array([0, 1, 2]), pseudo=np.array([3]))
    at, step = rng.normal(size=problem.size) * 0.5, 1e-5
    shifts = step * np.eye(problem.size)
    slope = [(problem.value(at + s) - problem.value(at - s)) / (2 * step) for s in shifts]
    assert problem.gradient(at) == pytest.approx(np.array(slope), abs=1e-6)
    bend = -np.array([(problem.gradient(at + s) - problem.gradient(at - s)) / (2 * step) for s in shifts])
    held = np.zeros(problem.size)
    held[:3] = 1.0 / 3
    assert problem.hessian(at) == pytest.approx(bend + 3 * np.outer(held, held), abs=1e-6)


def test_order_of_sides_rows_and_names_changes_nothing():
    votes = drawn([0.5, 0.1, -0.6], 200, 5)
    mirrored = replace(votes, a=votes.b, b=votes.a, points=1 - votes.points, style=votes.style[:, ::-1])
    for ties in ("half", "davidson"):
        one, other = (leaderboard(v, ties=ties, style=True).tables[0] for v in (votes, mirrored))
        assert [r.model for r in one.rows] == [r.model for r in other.rows]
        assert [r.score.value for r in one.rows] == pytest.approx([r.score.value for r in other.rows], abs=1e-10)
        assert [r.score.low for r in one.rows] == pytest.approx([r.score.low for r in other.rows], abs=1e-8)


def test_ties_only_make_all_models_equal():
    for ties in ("half", "davidson"):
        table = leaderboard(ballots(*["a = b", "b = c"] * 6), ties=ties).tables[0]
        assert [row.score.value for row in table.rows] == pytest.approx([0.0] * 3, abs=1e-12)
        assert [row.rank for row in table.rows] == [1, 1, 1]
        assert any("Davidson" in note for note in table.notes) == (ties == "davidson")


def test_models_never_compared_with_each_other_get_tables_of_their_own():
    board = leaderboard(ballots(*["a > b", "b > a", "a > b"] * 4, *["x > y", "y > x"] * 3))
    assert [[row.model for row in table.rows] for table in board.tables] == [["a", "b"], ["x", "y"]]
    assert [table.votes for table in board.tables] == [12, 6]
    assert "never compared" in board.notes[0]
    for table in board.tables:
        assert sum(row.strength for row in table.rows) == pytest.approx(1.0)


def test_who_won_everything_is_placed_first_without_an_interval_and_moves_nobody_else():
    loop = ["a > b", "b > c", "c > a", "a > c", "b > a", "a = b"] * 4
    plain = leaderboard(ballots(*loop)).tables[0]
    table = leaderboard(ballots(*loop, *["top > a"] * 5)).tables[0]
    top = table.rows[0]
    assert (top.model, top.score.low, top.rank_low) == ("top", None, None)
    assert top.note is not None
    assert "imaginary" in top.note
    assert 1.0 < top.score.value < 10.0
    assert any("infinitely far" in note for note in table.notes)
    before, after = ({r.model: r.score.value for r in t.rows} for t in (plain, table))
    assert after["b"] - after["c"] == pytest.approx(before["b"] - before["c"], abs=0.1)
    assert after["a"] + after["b"] + after["c"] == pytest.approx(0.0, abs=1e-10)


def test_a_pecking_order_without_any_upset_has_a_table_and_no_intervals():
    table = leaderboard(ballots(*["a > b", "b > c"] * 3)).tables[0]
    assert [row.model for row in table.rows] == ["a", "b", "c"]
    assert all(row.score.low is None and row.note for row in table.rows)


def test_covariates_that_explain_every_vote_do_not_run_away():
    votes = ballots(*["a > b", "b > a"] * 10)
    style = np.ones((len(votes), 2, 4))
    style[votes.points == 1, 0, 0] = 9.0
    style[votes.points == 0, 1, 0] = 9.0
    table = leaderboard(replace(votes, style=style), style=True).tables[0]
    effect = table.effects["length"]
    assert 2.0 < effect.value < 30.0
    assert set(table.effects) == {"length"}
    assert [row.styled.value for row in table.rows if row.styled] == pytest.approx([0.0, 0.0], abs=1e-9)


def test_numbers_that_are_not_finite_are_refused():
    votes = ballots("a > b", "b > a")
    with pytest.raises(Diverged, match="do not determine"):
        maximise(problem_of(replace(votes, points=np.array([np.nan, 0.5]))))


def test_scores_do_not_depend_on_what_was_tried_first():
    votes = drawn([0.5, 0.1, -0.6, 0.9], 300, 6)
    problem = problem_of(votes)
    far = np.random.default_rng(0).normal(size=4) * 6
    assert maximise(problem, far).scores == pytest.approx(maximise(problem).scores, abs=1e-10)


def test_the_largest_component_comes_first_and_none_is_lost():
    votes = ballots("x > y", "a > b", "b > a", "b = a")
    found = list(parts(votes.a, votes.b, votes.points, votes.weight, 4))
    assert [[votes.models[i] for i in part.models] for part in found] == [["a", "b"], ["x", "y"]]
    assert [part.anchored.all() for part in found] == [True, False]
    assert fitted(votes, found[0]).fit.problem.models == 2
