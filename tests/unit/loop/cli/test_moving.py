"""Commands that change a campaign by hand: tune, import, pull, reopen, abandon, db upgrade."""

import json

import pytest

from pairloop.errors import IllegalTransition
from pairloop.store import Store


def states(folder):
    with Store.open_readonly(folder) as store:
        return [one.state.value for one in store.rounds.all()]


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """A finished campaign of toys whose gate never opened."""
    from pairloop import Campaign
    from pairloop.testing import campaigns

    monkeypatch.setattr("pairloop.campaign.Registry", campaigns.toy_registry)
    folder = tmp_path / "toys"
    folder.mkdir()
    (folder / "campaign.toml").write_text(
        campaigns.toy_config(round={"max_rounds": 1}, policy={"start_labels": None}), encoding="utf-8"
    )
    with Campaign(folder) as campaign:
        for _ in range(100):
            if campaign.run().__class__.__name__ == "Finished":
                break
    assert states(folder) == ["closed"]
    return folder


def test_tune_tunes_and_samples_between_two_rounds(toys, invoke) -> None:
    facts = json.loads(invoke("tune", toys, "--json").stdout)
    assert (facts["round"], facts["tuned"], facts["tuner"]) == (1, True, "toy")
    assert facts["policy"]["artifact"]
    assert states(toys) == ["closed"]
    with Store.open_readonly(toys) as store:
        kinds = [event.kind for event in store.events.tail(100)]
        assert kinds[-4:] == ["tuning_requested", "reference_fixed", "policy_tuned", "responses_generated"]
        assert store.check() == []


def test_tuning_twice_starts_from_the_tuned_policy(toys, invoke) -> None:
    first = json.loads(invoke("tune", toys, "--json").stdout)
    planned = json.loads(invoke("tune", toys, "--dry-run", "--json").stdout)
    assert planned["start"] == first["policy"]["artifact"]
    assert invoke("tune", toys).exit_code == 0


def test_tune_dry_run_changes_nothing(toys, invoke) -> None:
    before = (toys / "campaign.sqlite3").read_bytes()
    facts = json.loads(invoke("tune", toys, "--dry-run", "--json").stdout)
    assert (facts["round"], facts["tuned"]) == (1, False)
    assert (toys / "campaign.sqlite3").read_bytes() == before


def test_an_interrupted_tuning_is_resumed_by_step(toys, invoke) -> None:
    from pairloop import Campaign

    with Campaign(toys) as campaign:
        campaign.tune_now()
    assert states(toys) == ["tuning"]
    assert invoke("step", "--once", toys).exit_code == 0
    assert states(toys) == ["generating"]
    assert invoke("tune", toys).exit_code == 0
    assert states(toys) == ["closed"]


def test_tune_after_a_pool_is_exhausted_brings_the_campaign_back(toys, invoke) -> None:
    from pairloop import Campaign
    from pairloop.states import RoundState

    with Campaign(toys) as campaign, campaign.store.transaction():
        opened = campaign.store.rounds.open()
        campaign.store.rounds.move(opened, RoundState.ABANDONED, "the pool is exhausted: every pair was asked")
    assert invoke("tune", toys).exit_code == 0
    assert states(toys) == ["closed", "closed"]


def test_tune_in_an_open_round_or_without_tuner_is_refused(toys, people, invoke) -> None:
    from pairloop import Campaign

    with Campaign(toys) as campaign:
        campaign.reopen()
        with pytest.raises(IllegalTransition, match="round 1 is collecting"):
            campaign.tune_now()
    refused = invoke("tune", toys)
    assert refused.exit_code == 6
    assert "between two rounds" in refused.stderr
    invoke("step", people)
    without = invoke("tune", people)
    assert without.exit_code == 2
    assert "policy.tuner: none is set" in without.stderr


def test_import_adds_what_is_new_and_dry_run_only_says_so(campaign, invoke, write_prompts) -> None:
    invoke("step", "--once", campaign)
    write_prompts(campaign / "prompts.jsonl", 43)
    planned = json.loads(invoke("import", campaign, "--dry-run", "--json").stdout)
    assert (planned["rows"], planned["prompts"], planned["responses"], planned["stored"]) == (43, 3, 9, False)
    assert json.loads(invoke("status", campaign, "--json").stdout)["pool"]["prompts"] == 40
    done = json.loads(invoke("import", campaign, "--json").stdout)
    assert (done["prompts"], done["merged_prompts"], done["stored"]) == (3, 40, True)
    assert json.loads(invoke("status", campaign, "--json").stdout)["pool"]["prompts"] == 43


def test_import_tells_of_rejected_rows(campaign, invoke) -> None:
    path = campaign / "prompts.jsonl"
    path.write_text(path.read_text() + "nonsense\n")
    result = invoke("import", campaign)
    assert result.exit_code == 0
    assert "Rejected 1:" in result.output
    assert "rejected.jsonl" in result.output


def test_new_data_wakes_a_campaign_whose_pool_was_exhausted(campaign, invoke, write_prompts) -> None:
    config = campaign / "campaign.toml"
    config.write_text(config.read_text().replace("size = 12", "size = 200").replace("max_rounds = 2", "max_rounds = 9"))
    assert "the pool is exhausted" in invoke("run", campaign).output
    assert states(campaign)[-1] == "abandoned"
    assert "the pool is exhausted" in invoke("run", campaign).output
    rounds = len(states(campaign))
    invoke("import", campaign)  # nothing new: stays finished
    invoke("run", campaign)
    assert len(states(campaign)) == rounds
    write_prompts(campaign / "prompts.jsonl", 60)
    invoke("import", campaign)
    again = invoke("run", campaign)
    assert "questions chosen" in again.output


def test_pull_brings_late_votes_and_dry_run_leaves_them(campaign, invoke) -> None:
    for _ in range(3):
        invoke("step", "--once", campaign)
    planned = json.loads(invoke("pull", campaign, "--dry-run", "--json").stdout)
    assert (planned["new"], planned["stored"]) == (12, False)
    assert json.loads(invoke("status", campaign, "--json").stdout)["votes"]["total"] == 0
    assert json.loads(invoke("pull", campaign, "--json").stdout)["new"] == 12
    assert json.loads(invoke("status", campaign, "--json").stdout)["votes"]["total"] == 12
    assert "0 new votes" in invoke("pull", campaign).output


def test_reopen_and_abandon(finished, people, invoke) -> None:
    assert json.loads(invoke("reopen", finished, "--json").stdout) == {"round": 2, "state": "collecting"}
    assert invoke("step", finished).exit_code == 0
    assert states(finished) == ["closed", "closed"]
    invoke("step", people)
    assert "Round 1 is abandoned" in invoke("abandon", people, "--reason", "wrong prompts").output
    with Store.open_readonly(people) as store:
        assert store.rounds.latest().reason == "wrong prompts"
    refused = invoke("abandon", people)
    assert refused.exit_code == 6
    assert "no open round" in refused.stderr


def test_db_upgrade_backs_up_and_upgrades(finished, invoke) -> None:
    from pairloop.store.migrations import migrations

    assert "up to date" in invoke("db", "upgrade", finished).output
    before = list(migrations._migrations)

    @migrations(name="m999_more")
    def more(db) -> None:
        db.execute("CREATE TABLE more (x INTEGER)")

    try:
        refused = invoke("status", finished)
        assert refused.exit_code == 6
        assert f"pairloop db upgrade {finished}" in refused.stderr
        planned = json.loads(invoke("db", "upgrade", finished, "--dry-run", "--json").stdout)
        assert planned == {"needed": True, "upgraded": False, "backup": None}
        done = json.loads(invoke("db", "upgrade", finished, "--json").stdout)
        assert done["upgraded"] is True
        assert invoke("status", finished).exit_code == 0
        with Store.open_readonly(finished) as store:
            assert "more" in store.tables()
    finally:
        migrations._migrations[:] = before
    from pathlib import Path

    assert Path(done["backup"]).is_file()
    assert invoke("db", "upgrade", finished.parent).exit_code == 6
