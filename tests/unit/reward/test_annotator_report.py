"""The table of annotators on its way into a round's report."""

import numpy as np
import pytest

from pairloop.errors import ContractViolation, Diverged
from pairloop.protocols import FitReport
from pairloop.steps.contract import MOST_ANNOTATORS, checked_annotators
from pairloop_reward.annotators import Annotators


def test_a_report_needs_no_annotators():
    assert checked_annotators(FitReport(3).annotators, "model") == {}


def test_the_table_lists_those_with_most_votes_first_and_survives_the_array():
    rows = np.arange(36.0).reshape(3, 12)
    rows[:, 0] = [5, 9, 5]
    people = Annotators.from_array(("ann", "bob", "eve"), rows)
    assert list(people.table()) == ["bob", "ann", "eve"]
    assert people.table()["ann"]["flip_rate"] == 1.0
    assert np.array_equal(people.array(), rows)


def test_a_long_table_is_cut_to_the_most_voting():
    table = {f"a{k}": {"votes": float(k)} for k in range(MOST_ANNOTATORS + 5)}
    assert list(checked_annotators(table, "model")) == list(table)[:MOST_ANNOTATORS]


def test_numbers_must_be_finite_numbers():
    with pytest.raises(Diverged, match="annotator 'eve', reported flip_rate = nan"):
        checked_annotators({"eve": {"flip_rate": float("nan")}}, "model")
    with pytest.raises(ContractViolation, match="no number"):
        checked_annotators({"eve": {"flip_rate": "high"}}, "model")
