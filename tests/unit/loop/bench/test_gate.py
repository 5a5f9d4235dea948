"""CI fails on a real regression and not on luck."""

from xml.etree import ElementTree as ET

import pytest

from pairloop.bench.gate import judge, parse
from pairloop.bench.output import junit, markdown
from pairloop.errors import UsageError


def interval(value: float, low: float | None, high: float | None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


def block(low: float, high: float, name: str = "logdet") -> dict[str, object]:
    middle = (low + high) / 2
    arm = {
        "name": name,
        "seeds": 3,
        "votes": [50],
        "curves": {"accuracy": [interval(middle, low, high)], "log_loss": [interval(0.6, 0.55, 0.65)]},
        "area": interval(middle, low, high),
        "votes_to_target": None,
        "against": {},
        "saved": None,
        "matches": {},
    }
    return {
        "data": "d", "annotators": "a", "model": "m", "baseline": "random", "target": 0.7, "groups": 9, "arms": [arm],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "failed"),
    [
        ("accuracy<0.7", True),  # the whole interval [.60, .66] lies below
        ("accuracy<0.65", False),  # it might be above
        ("accuracy>0.5", True),
        ("accuracy>0.62", False),
        ("logdet:accuracy<0.7", True),
        ("saved<0", False),  # not measured: says so, does not fail
    ],
)
def test_only_a_whole_interval_on_the_wrong_side_fails(condition: str, failed: bool) -> None:
    (verdict,) = judge([parse(condition)], [block(0.60, 0.66)], None)
    assert verdict.failed is failed


@pytest.mark.parametrize(("old", "failed"), [((0.72, 0.78), True), ((0.65, 0.71), False)])
def test_a_drop_must_be_beyond_both_intervals(old: tuple[float, float], failed: bool) -> None:
    (verdict,) = judge([parse("accuracy.drop>0.05")], [block(0.60, 0.66)], [block(*old)])
    assert verdict.failed is failed


@pytest.mark.parametrize("text", ["accuracy", "accuracy<x", "speed<1", "accuracy.fall>0", "a b<1"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--fail-if"):
        parse(text)


def test_a_condition_that_matches_nothing_or_lacks_its_baseline_is_refused() -> None:
    with pytest.raises(UsageError, match="matches no arm"):
        judge([parse("bald:accuracy<0.7")], [block(0.6, 0.66)], None)
    with pytest.raises(UsageError, match="not in the baseline"):
        judge([parse("accuracy.drop>0")], [block(0.6, 0.66)], None)


def test_junit_counts_failures_and_markdown_shows_intervals() -> None:
    blocks = [block(0.60, 0.66)]
    verdicts = judge([parse("accuracy<0.7"), parse("accuracy<0.1")], blocks, None)
    suite = ET.fromstring(junit("x", verdicts, blocks))  # noqa: S314 - our own output
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    text = markdown("x", blocks, verdicts)
    assert "0.630 [0.600, 0.660]" in text
    assert "- FAILED: `accuracy<0.7`" in text


def test_markdown_shows_rounds_money_and_what_it_takes_to_match_an_arm() -> None:
    whole = block(0.60, 0.66)
    (arm,) = whole["arms"]  # type: ignore[misc]
    arm["curves"]["cost"] = [interval(12.5, 12.5, 12.5)]
    arm["matches"] = {"logdet": {"accuracy": 0.63, "votes": interval(25, 20, None), "share": interval(0.5, 0.4, None)}}
    text = markdown("x", [whole], [], rounds=True)
    assert "| votes to match logdet (0.630 with 50) |" in text
    assert "| logdet | 25 [20, ∞] | 0.500 [0.400, ∞] |" in text
    assert "| logdet | 50 | 0.630 | 0.600 | 12.50 |" in text
    assert "<details>" not in markdown("x", [whole], [])
