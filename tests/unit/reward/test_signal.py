"""Votes from which nothing can be learned are refused, with the reason."""

from dataclasses import replace

import numpy as np
import pytest

from pairloop.errors import Diverged, NoSignal
from pairloop_reward.likelihood import LEFT, RIGHT, TIE, Votes
from pairloop_reward.signal import require_finite, require_signal, stuck_annotators

DIFFERENCE = np.array([[1.0], [-1.0], [0.5]])


def votes(*outcome, weight=None, difference=DIFFERENCE):
    return Votes(
        difference[: len(outcome)], np.array(outcome, dtype=int), np.ones(len(outcome)) if weight is None else weight
    )


@pytest.mark.parametrize(
    ("unusable", "message"),
    [
        (votes(), "no vote"),
        (votes(LEFT, RIGHT, weight=np.zeros(2)), "no vote"),
        (votes(TIE, TIE, TIE), "all 3 votes are ties"),
        (votes(LEFT, TIE, LEFT), "one class only: all 2 decisive votes are for the left side.*position bias"),
        (votes(RIGHT, RIGHT), "one class only: all 2 decisive votes are for the right side"),
        (votes(LEFT, RIGHT, weight=np.array([1.0, 0.0])), "one class only"),
        (votes(LEFT, RIGHT, difference=np.zeros((2, 1))), "look the same to the features"),
    ],
)
def test_unlearnable_votes_are_refused(unusable, message):
    with pytest.raises(NoSignal, match=message):
        require_signal(unusable)


def test_one_vote_for_each_side_is_enough():
    require_signal(votes(LEFT, RIGHT, TIE))


def test_a_response_with_nan_features_is_named(voted):
    data = voted(prompts=3, n=10)
    features = np.zeros((12, 2))
    features[5, 1] = np.nan
    with pytest.raises(Diverged, match="first response r1-1 of prompt p1"):
        require_finite(features, data)


def test_an_annotator_who_always_clicks_one_side_is_noted(voted):
    data = voted(n=120)
    stuck = np.where(data.annotator == 1, LEFT, data.outcome)
    notes = stuck_annotators(replace(data, outcome=stuck))
    assert len(notes) == 1
    assert notes[0].startswith("annotator bob named the left side in all")
    assert stuck_annotators(data) == ()


def test_a_few_equal_votes_are_chance(voted):
    data = voted(n=12)
    assert stuck_annotators(replace(data, outcome=np.zeros(12, dtype=int))) == ()
