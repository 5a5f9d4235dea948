"""Campaigns from Python: made, driven, scored and reported without the command line."""

from pathlib import Path

import numpy as np
import pytest

from pairloop import (
    Annotation,
    Campaign,
    Choice,
    create_campaign,
    preferences,
    reward_model,
    score,
    votes_of,
    write_report,
)
from pairloop.errors import ConfigError, NoSignal, UsageError
from pairloop.exports.rows import preference_rows

TABLES = {
    "data": {"source": "demo"},
    "backend": {"kind": "manual"},
    "round": {"size": 30, "max_rounds": 1},
    "campaign": {"name": "own"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of one round, in which the longer answer wins."""
    made = tmp_path_factory.mktemp("api") / "campaign"
    with create_campaign(made, TABLES) as campaign:
        for task in campaign.ask().tasks:
            choice = Choice.LEFT if len(task.left) > len(task.right) else Choice.RIGHT
            campaign.tell([Annotation(task.key, "page", task.key, "1", "ann", choice)])
        campaign.run()
    return made


def test_what_was_told_is_there(folder: Path) -> None:
    with Campaign(folder) as campaign:
        assert len(votes_of(campaign)) == 30
        assert preferences(campaign) == preference_rows(campaign.store)
        assert len(preferences(campaign)) == 30


def test_new_texts_are_scored_by_what_was_learned(folder: Path) -> None:
    with Campaign(folder) as campaign:
        mean, spread = score(campaign, "May I?", ["No.", "Yes, you may, and here is how: go to the desk and ask. " * 3])
        assert mean.shape == spread.shape == (2,)
        assert mean[1] > mean[0]
        assert np.all(spread > 0)
        assert type(reward_model(campaign)).__name__ == "TfidfRewardModel"


def test_the_report_is_one_file(folder: Path, tmp_path: Path) -> None:
    with Campaign(folder) as campaign:
        path = write_report(campaign, tmp_path / "r.html")
    text = path.read_text("utf-8")
    assert text.lower().startswith("<!doctype html>")
    assert "own" in text
    assert path.stat().st_mode & 0o077 == 0


def test_nothing_is_overwritten_and_nothing_wrong_is_written(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        create_campaign(folder, TABLES)
    with pytest.raises(UsageError, match="there is no table 'dta'"):
        create_campaign(tmp_path / "a", {"dta": {}})
    with pytest.raises(ConfigError, match=r"round\.size"):
        create_campaign(tmp_path / "b", {**TABLES, "round": {"size": 0}})
    assert list(tmp_path.iterdir()) == []


def test_without_a_model_there_is_no_score(tmp_path: Path) -> None:
    with create_campaign(tmp_path / "new", TABLES) as campaign, pytest.raises(NoSignal, match="no reward model"):
        score(campaign, "May I?", ["No.", "Yes."])
