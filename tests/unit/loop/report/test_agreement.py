"""Agreement against values worked out by hand and from the literature."""

import numpy as np
import pytest

from pairloop.metrics import Estimate
from pairloop.records import Choice
from pairloop.report.agreement import agreement, agreement_by_vote, ceiling, krippendorff_alpha
from pairloop.report.table import read_table


def _units(columns):
    """(U, C) counts of reliability data given as one string an observer, "." for missing."""
    categories = sorted(set("".join(columns)) - {"."})
    counts = [[sum(row == c for row in unit) for c in categories] for unit in zip(*columns, strict=True)]
    return np.array(counts)


def test_alpha_of_krippendorffs_own_example_of_four_observers():
    # Krippendorff 2011, section C: nominal data, 4 observers, 12 units, missing values; α = 0.743
    counts = _units(("123321412...", "1233224125.3", ".3332342251.", "12332441251."))
    assert counts.shape[0] == 12
    alpha = krippendorff_alpha(counts, np.arange(12))
    assert alpha is not None
    assert alpha.value == pytest.approx(0.743, abs=0.0006)
    assert alpha.n == 40
    assert alpha.low < alpha.value < alpha.high <= 1


def test_alpha_of_a_table_worked_out_by_hand():
    # units: {a, a}, {a, b}, {b, b}; n = 6, D_o = 2 / 6 (two ordered disagreeing pairs), D_e = 2·3·3 / (6·5)
    alpha = krippendorff_alpha(np.array([[2, 0], [1, 1], [0, 2]]), np.arange(3))
    assert alpha.value == pytest.approx(1 - (2 / 6) / (18 / 30))


def test_alpha_is_undefined_without_variation_and_has_no_interval_within_one_group():
    assert krippendorff_alpha(np.array([[2, 0], [3, 0]]), np.arange(2)) is None
    assert krippendorff_alpha(np.array([[1, 0], [0, 1]]), np.arange(2)) is None
    alpha = krippendorff_alpha(np.array([[2, 0], [0, 2]]), np.zeros(2))
    assert (alpha.value, alpha.low, alpha.high, alpha.clusters) == (1.0, None, None, 1)


def test_alpha_does_not_depend_on_the_order_of_units():
    counts = np.array([[2, 0], [1, 1], [0, 2], [3, 1]])
    order = [2, 0, 3, 1]
    assert krippendorff_alpha(counts, np.arange(4)).value == krippendorff_alpha(counts[order], np.arange(4)).value


def test_the_ceiling_is_exact_where_all_pairs_are_equally_hard():
    # every pair 80 : 20, so two people agree with 0.64 + 0.04 and the best guess is right with 0.8
    assert ceiling(Estimate(0.68, 0.5, None, 9, 3)).value == pytest.approx(0.8)
    assert ceiling(Estimate(0.68, 0.5, None, 9, 3)).low == 0.5


def test_agreement_is_about_the_pair_whatever_was_displayed_on_the_left(toy, pairs):
    toy.open()
    for pair in pairs(20):
        toy.vote(pair, "ann", Choice.LEFT)
        toy.vote(pair, "bob", Choice.RIGHT, flipped=True)
    found = agreement(read_table(toy.store))
    assert (found.pairs, found.annotators) == (20, 2)
    assert found.raw.value == found.decisive.value == 1.0
    assert found.raw.low == pytest.approx(0.05 ** (1 / 20))
    assert found.alpha is None  # everybody preferred the first of every pair


def test_both_bad_is_a_tie_and_skips_do_not_count(toy, pairs):
    toy.open()
    for i, pair in enumerate(pairs(20)):
        toy.vote(pair, "ann", Choice.TIE if i % 2 else Choice.LEFT)
        toy.vote(pair, "bob", Choice.BOTH_BAD)
        toy.vote(pair, "eve", Choice.SKIP)
    found = agreement(read_table(toy.store))
    assert found.annotators == 2
    assert found.raw.value == pytest.approx(0.5)
    assert found.decisive is None
    assert found.ceiling is None


def test_a_person_counts_once_for_a_pair_with_the_last_vote(toy, pairs):
    (pair,) = pairs(1)
    toy.open()
    toy.vote(pair, "ann", Choice.LEFT)
    toy.vote(pair, "bob", Choice.LEFT)
    toy.open()
    toy.vote(pair, "ann", Choice.RIGHT, number=2)
    same = agreement_by_vote(read_table(toy.store))
    assert same[1:].tolist() == [0.0, 0.0]
    assert np.isnan(same[0])


def test_too_few_pairs_give_no_estimate(toy, pairs):
    toy.open()
    for pair in pairs(19):
        toy.vote(pair, "ann", Choice.LEFT)
        toy.vote(pair, "bob", Choice.LEFT)
    found = agreement(read_table(toy.store))
    assert found.pairs == 19
    assert found.raw is found.alpha is None
