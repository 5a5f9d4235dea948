"""The pure criteria: what may still be spent, when a round closes, when the policy is tuned."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairloop.budget import Spending, affordable
from pairloop.config.models import BudgetConfig, PolicyConfig, RoundConfig
from pairloop.gate import closing_reason, tuning_reason
from pairloop.kit.clock import set_clock
from pairloop.states import AssignmentState


def spent(labels: int = 0, open_labels: int = 0, price: float = 0.0, seconds: float = 30.0) -> Spending:
    hours = seconds / 3600.0
    return Spending(labels, labels * price, labels * hours, open_labels, open_labels * price, open_labels * hours)


_HOURS = "budget.annotator_hours = 0.025"


@pytest.mark.parametrize(
    ("limits", "spending", "expected"),
    [
        ({}, spent(1000), (50, None)),
        ({"labels": 100}, spent(30, 20), (50, None)),
        ({"labels": 100}, spent(30, 21), (49, "budget.labels = 100")),
        ({"labels": 100}, spent(130), (0, "budget.labels = 100")),
        ({"cost": 1.0, "cost_per_vote": 0.1}, spent(0, price=0.1), (10, "budget.cost = 1")),
        ({"cost": 1.0, "cost_per_vote": 0.1}, spent(7, price=0.1), (3, "budget.cost = 1")),
        ({"cost": 0.3, "cost_per_vote": 0.1}, spent(0, 2, price=0.1), (1, "budget.cost = 0.3")),
        ({"annotator_hours": 1.0, "seconds_per_vote": 60}, spent(), (50, None)),
        ({"annotator_hours": 0.5, "seconds_per_vote": 60}, spent(), (30, "budget.annotator_hours = 0.5")),
        ({"annotator_hours": 0.5, "seconds_per_vote": 60}, spent(10, seconds=120), (5, "budget.annotator_hours = 0.5")),
        ({"labels": 5, "annotator_hours": 0.025, "seconds_per_vote": 30}, spent(), (3, _HOURS)),
    ],
)  # fmt: skip
def test_the_tightest_limit_binds(limits: dict[str, Any], spending: Spending, expected: tuple[int, str | None]) -> None:
    assert affordable(BudgetConfig(**limits), spending, 50) == expected


@given(
    labels=st.integers(0, 200), open_labels=st.integers(0, 200), limit=st.integers(0, 300), wanted=st.integers(0, 100),
    cents=st.integers(1, 100),
)  # fmt: skip
def test_no_limit_is_ever_exceeded(labels: int, open_labels: int, limit: int, wanted: int, cents: int) -> None:
    """Nor is anything left unused that could be asked."""
    price = cents / 100
    config = BudgetConfig(labels=limit, cost=limit * price, cost_per_vote=price)
    n, _ = affordable(config, spent(labels, open_labels, price), wanted)
    assert n == max(min(wanted, limit - labels - open_labels), 0)


def test_the_last_moment_is_the_same_in_every_time_zone() -> None:
    moment = datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    try:
        for minutes, expected in ((-1, (50, None)), (0, (0, "budget.until = 2030-01-01T12:00:00+05:00"))):
            set_clock(lambda m=minutes: moment.astimezone(UTC) + timedelta(minutes=m))  # type: ignore[misc]
            assert affordable(BudgetConfig(until=moment), spent(), 50) == expected
    finally:
        set_clock(None)


S = AssignmentState


@pytest.mark.parametrize(
    ("settings", "counts", "hours", "reason"),
    [
        ({}, {S.SENT: 10}, 1e9, None),
        ({}, {S.ANSWERED: 9, S.SENT: 1}, 0, None),
        ({}, {S.ANSWERED: 9, S.SKIPPED: 1}, 0, "10 of 10 answered"),
        ({}, {S.ANSWERED: 1, S.REFUSED: 8, S.WITHDRAWN: 1}, 0, "1 of 1 answered"),
        ({}, {S.REFUSED: 3}, 0, "nothing left to answer"),
        ({}, {}, 0, "nothing left to answer"),
        ({"close_share": 0.7}, {S.ANSWERED: 7, S.SENT: 3}, 0, "7 of 10 answered"),
        ({"close_share": 0.55}, {S.ANSWERED: 55, S.PENDING: 45}, 0, "55 of 100 answered"),
        ({"close_share": 0.55}, {S.ANSWERED: 54, S.PENDING: 46}, 0, None),
        ({"close_count": 3}, {S.SKIPPED: 3, S.AMBIGUOUS: 7}, 0, "3 answers reached close_count = 3"),
        ({"close_count": 30}, {S.ANSWERED: 10}, 0, "10 answers reached close_count = 30"),
        ({"close_after_hours": 2}, {S.ANSWERED: 1, S.SENT: 9}, 1.99, None),
        ({"close_after_hours": 2}, {S.ANSWERED: 1, S.SENT: 9}, 2.0, "deadline of 2 hours passed with 1 of 10 answered"),
        ({"close_after_hours": 2}, {S.SENT: 10}, 50.0, None),
    ],
)
def test_when_a_round_closes(
    settings: dict[str, Any], counts: dict[AssignmentState, int], hours: float, reason: str | None
) -> None:
    assert closing_reason(RoundConfig(**settings), counts, hours) == reason


@pytest.mark.parametrize(
    ("settings", "labels", "at_last", "accuracy", "opens"),
    [
        ({}, 999, None, None, False),
        ({}, 1000, None, None, True),
        ({"start_accuracy": 0.7}, 10, None, 0.69, False),
        ({"start_accuracy": 0.7}, 10, None, 0.70, True),
        ({"start_accuracy": 0.7}, 10, None, None, False),
        ({"start_labels": None}, 10**6, None, 0.99, False),
        ({"start_accuracy": 0.1, "every_labels": 100}, 1099, 1000, 0.99, False),
        ({"every_labels": 100}, 1100, 1000, None, True),
        ({"tuner": None}, 10**6, None, 1.0, False),
    ],
)
def test_when_the_policy_is_tuned(
    settings: dict[str, Any], labels: int, at_last: int | None, accuracy: float | None, opens: bool
) -> None:
    config = PolicyConfig(**{"tuner": "toy", **settings})
    assert (tuning_reason(config, labels, at_last, accuracy) is not None) == opens
