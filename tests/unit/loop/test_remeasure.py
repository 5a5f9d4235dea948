"""Older models face today's holdout votes, all of them the same ones."""

from pathlib import Path

import pytest

from pairloop import Campaign
from pairloop.remeasure import remeasured

TOML = """
[campaign]
id = "remeasured"
[data]
source = "demo"
options = { prompts = 80 }
[backend]
gold = "demo"
[round]
size = 40
max_rounds = 3
[holdout]
share = 0.25
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    (folder / "campaign.toml").write_text(TOML)
    with Campaign(folder) as campaign:
        campaign.run()
    return folder


def test_every_model_faces_the_same_votes(finished: Path) -> None:
    with Campaign(finished) as campaign:
        found = remeasured(campaign.store, campaign.parts, seed=1)
        models = campaign.store.models.all("reward")
    assert sorted(found) == [row.id for row in models] == [1, 2, 3]
    assert len({measures["accuracy"]["n"] for measures in found.values()}) == 1
    at_the_time = [row.report["holdout"]["accuracy"]["n"] for row in models]
    assert at_the_time == sorted(set(at_the_time)), "the holdout grew in the meantime"


def test_the_last_model_measures_as_it_did_in_its_own_round(finished: Path) -> None:
    with Campaign(finished) as campaign:
        found = remeasured(campaign.store, campaign.parts, seed=1)
        last = campaign.store.models.all("reward")[-1]
    for name in ("accuracy", "log_loss", "brier"):
        assert found[last.id][name]["value"] == pytest.approx(last.report["holdout"][name]["value"], abs=1e-9)


def test_few_are_chosen_with_first_and_last(finished: Path) -> None:
    with Campaign(finished) as campaign:
        assert sorted(remeasured(campaign.store, campaign.parts, seed=1, most=2)) == [1, 3]


def test_nothing_is_written(finished: Path) -> None:
    with Campaign(finished) as campaign:
        before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if "cache" in path.parts}
        remeasured(campaign.store, campaign.parts, seed=1)
        assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if "cache" in path.parts} == before
