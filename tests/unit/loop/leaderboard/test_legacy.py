"""Elo and Harkness."""

import numpy as np
import pytest

from pairloop.errors import MissingExtra
from pairloop.leaderboard import leaderboard
from pairloop.leaderboard.legacy import elo, harkness, performance

from .conftest import ballots


def test_harkness_worked_example():
    assert float(performance(1850.0, 22.7)) == pytest.approx(1577.0)


def test_harkness_reaches_at_most_five_hundred_points_from_the_opponents():
    found = harkness(np.array([1500.0, 1500.0, 1234.0]), np.array([0, 1]), np.array([1, 0]), np.array([1.0, 0.0]))
    assert found.tolist() == [2000.0, 1000.0, 1234.0]


def test_harkness_knows_the_opponents_ratings_and_half_points():
    found = harkness(np.array([1500.0, 1700.0, 1900.0]), np.array([0, 0]), np.array([1, 2]), np.array([1.0, 0.5]))
    assert found[0] == pytest.approx(1800 + 10 * 25)


def test_elo_after_one_game_and_that_order_matters():
    pytest.importorskip("evalica", reason="the extra ratings is not installed")
    names = ("a", "b")
    first = elo(names, np.array([0]), np.array([1]), np.array([1.0]))
    assert first.tolist() == pytest.approx([1002.0, 998.0])
    a, b = np.zeros(40, dtype=int), np.ones(40, dtype=int)
    points = np.repeat([1.0, 0.0], 20)
    one, other = elo(names, a, b, points), elo(names, a, b, points[::-1])
    assert one[0] < 1000 < other[0]


def test_without_the_extra_elo_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "evalica", None)
    with pytest.raises(MissingExtra, match="evalica") as caught:
        leaderboard(ballots("a > b", "b > a"), systems=("elo",))
    assert "pairloop[ratings]" in (caught.value.hint or "")


def test_older_systems_are_columns_and_never_the_order():
    table = leaderboard(ballots(*["a > b", "a > b", "b > a"] * 5), systems=("harkness",)).tables[0]
    assert [row.legacy for row in table.rows] == [
        {"harkness": pytest.approx(1500 + 1000 / 6)}, {"harkness": pytest.approx(1500 - 1000 / 6)},
    ]  # fmt: skip
    assert any("Harkness" in note for note in table.notes)
    assert leaderboard(ballots("a > b", "b > a")).tables[0].rows[0].legacy == {}
