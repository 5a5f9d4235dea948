"""Commands that only read: status, explain, plugins, config, doctor, report."""

import json
import shutil
import sqlite3
import subprocess
import sys
import tomllib

import pytest

from pairloop.cli import checks
from pairloop.store import Store


def test_status_before_the_start(campaign, invoke) -> None:
    assert "was not started yet" in invoke("status", campaign).output
    facts = json.loads(invoke("status", campaign, "--json").stdout)
    assert (facts["started"], facts["campaign"]["name"], facts["round"]) == (False, "tiny", None)
    assert not (campaign / "campaign.sqlite3").exists()


def test_status_has_the_same_keys_before_and_after_the_start(campaign, invoke) -> None:
    before = json.loads(invoke("status", campaign, "--json").stdout)
    invoke("step", campaign)
    after = json.loads(invoke("status", campaign, "--json").stdout)
    assert list(before) == list(after)


def test_status_for_people_and_as_facts(finished, invoke) -> None:
    text = invoke("status", finished).output
    facts = json.loads(invoke("status", finished, "--json").stdout)
    assert facts["started"] is True
    assert facts["round"]["number"] == 2
    assert "2 is closed" in text
    assert "24 by 2 annotators" in text
    assert "cost: 12" in text
    assert f"holdout accuracy {facts['model']['holdout']['accuracy']['value']:.3f}" in text


def test_the_folder_may_be_named_by_its_configuration_file(finished, invoke) -> None:
    assert invoke("status", finished / "campaign.toml").exit_code == 0


def test_explain_says_why_a_pair_was_asked_and_what_came_back(finished, invoke) -> None:
    with Store.open_readonly(finished) as store:
        asked = store.rounds.assignments(2)
        guesses = store.rounds.prelabels(2)
    assignment = next(a for a in asked if a.arm.value == "random")
    facts = json.loads(invoke("explain", assignment.key, finished, "--json").stdout)
    (why,) = facts["assignments"]
    assert facts["pair"] == assignment.pair_id
    assert (why["arm"], why["strategy"], why["rank"], why["propensity"], why["model"]) == (
        "random",
        "random",
        assignment.rank,
        assignment.propensity,
        assignment.model,
    )
    assert why["prelabel"]["p_left"] == guesses[assignment.key].p_left
    assert [vote["key"] for vote in facts["votes"]] == [assignment.key]
    text = invoke("explain", assignment.pair_id, finished).output
    assert "drawn at random from the training side, as control" in text
    assert f"with probability {assignment.propensity:.3g}" in text
    assert f"said {facts['votes'][0]['choice']}" in text


def test_explain_takes_a_beginning_that_fits_one_pair_only(finished, invoke) -> None:
    with Store.open_readonly(finished) as store:
        key = store.rounds.assignments(1)[0].key
    assert json.loads(invoke("explain", key[:10], finished, "--json").stdout)["assignments"][0]["key"] == key
    several = invoke("explain", "k", finished)
    assert several.exit_code == 2
    assert "fits 24 pairs" in several.stderr
    unknown = invoke("explain", "knothing", finished)
    assert unknown.exit_code == 2
    assert "no pair or assignment" in unknown.stderr


def test_plugins_are_listed_without_importing_any(invoke) -> None:
    script = (
        "import sys\nfrom click.testing import CliRunner\nfrom pairloop.cli.app import cli\n"
        "r = CliRunner().invoke(cli, ['plugins', '--json'])\nprint(r.stdout)\n"
        "bad = [m for m in sys.modules if m.startswith(('pairloop_plugins', 'pairloop_reward', 'pairloop_policy'))]\n"
        "sys.exit(len(bad))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert {"kind": "backend", "name": "simulated", "distribution": "pairloop", "version": "0.1.0"} in rows
    text = invoke("plugins", "--kind", "reward").output
    assert "tfidf" in text
    assert "simulated" not in text
    assert invoke("plugins", "--kind", "rewards").exit_code == 2


def test_config_show_fills_in_defaults_and_resolves_paths(campaign, invoke) -> None:
    shown = tomllib.loads(invoke("config", "show", campaign).stdout)
    as_json = json.loads(invoke("config", "show", campaign, "--json").stdout)
    assert shown["round"]["on_skip"] == "ask_again"
    assert shown["data"]["path"] == as_json["data"]["path"] == str(campaign / "prompts.jsonl")
    assert as_json["policy"]["tuner"] is None
    assert "tuner" not in shown["policy"]


def test_the_schema_knows_every_table(invoke) -> None:
    schema = json.loads(invoke("config", "schema").stdout)
    assert {"campaign", "data", "backend", "round", "policy"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def findings(result) -> dict[str, str]:
    return {check["check"]: check["level"] for check in json.loads(result.stdout)["checks"]}


def test_doctor_is_content_with_a_sound_campaign(finished, invoke) -> None:
    result = invoke("doctor", finished, "--json")
    assert result.exit_code == 0, result.output
    assert {"config", "backend.kind", "data", "folder", "lock", "store", "annotations", "artifacts"} <= set(
        findings(result)
    )
    assert set(findings(result).values()) <= {"ok", "warn"}
    text = invoke("doctor", finished).output
    assert "ok    annotations: the chain of 24 rows verifies" in text


def test_doctor_changes_nothing(finished, invoke) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    invoke("doctor", finished)
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("old", "new", "check", "code"),
    [
        ('strategy = "random"', 'strategy = "randm"', "selection.strategy", 2),
        ('teacher = "oracle"', 'teacher = "orakel"', "backend.kind", 2),
        ('path = "prompts.jsonl"', 'path = "nowhere.jsonl"', "data", 2),
        ("size = 12", 'size = "many"', "config", 2),
        ('gold = "metadata"', 'gold = "scorer"', "backend", 2),
        ('model = "scratch"', 'model = "./nowhere"\ntuner = "best_of_n"', "policy", 2),
    ],
)
def test_doctor_names_what_is_wrong_in_the_configuration(old, new, check, code, campaign, invoke) -> None:
    config = campaign / "campaign.toml"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))
    result = invoke("doctor", campaign, "--json")
    assert result.exit_code == code
    assert findings(result)[check] == "fail"


def test_doctor_finds_a_changed_annotation(finished, invoke) -> None:
    with sqlite3.connect(finished / "campaign.sqlite3") as db:
        db.execute("UPDATE annotations SET content = replace(content, 'sim', 'sam') WHERE seq = 7")
    result = invoke("doctor", finished, "--json")
    assert result.exit_code == 6
    assert findings(result)["annotations"] == "fail"
    assert "annotation 7 was changed" in result.stdout


def test_doctor_finds_a_damaged_and_a_missing_artifact(finished, invoke) -> None:
    folder = next((finished / "artifacts" / "reward").iterdir())
    path = next(path for path in folder.iterdir() if path.stat().st_size)
    path.write_bytes(path.read_bytes() + b" ")
    damaged = invoke("doctor", finished, "--json")
    assert (damaged.exit_code, findings(damaged)["artifacts"]) == (6, "fail")
    shutil.rmtree(folder)
    missing = invoke("doctor", finished, "--json")
    assert (missing.exit_code, findings(missing)["artifacts"]) == (6, "fail")


def test_doctor_finds_a_broken_invariant(finished, invoke) -> None:
    with sqlite3.connect(finished / "campaign.sqlite3") as db:
        db.execute("UPDATE assignments SET state = 'sent', remote_id = NULL WHERE rank = 0")
    result = invoke("doctor", finished, "--json")
    assert (result.exit_code, findings(result)["store"]) == (6, "fail")


def test_doctor_warns_of_little_and_fails_without_disk_space(campaign, monkeypatch, invoke) -> None:
    for free, level, code in ((500 << 20, "warn", 0), (1 << 20, "fail", 74)):
        monkeypatch.setattr(
            checks.shutil, "disk_usage", lambda _path, free=free: shutil._ntuple_diskusage(free, 0, free)
        )
        result = invoke("doctor", campaign, "--json")
        assert (findings(result)["disk"], result.exit_code) == (level, code)


def test_doctor_names_a_missing_extra(campaign, monkeypatch, invoke) -> None:
    from importlib.metadata import PackageNotFoundError

    def version(name: str) -> str:
        if name == "torch":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(checks, "version", version)
    assert "extra [torch]: not installed: torch" in invoke("doctor", campaign).output


def test_report_writes_its_file_only_without_dry_run(finished, invoke, monkeypatch) -> None:
    import pairloop.report

    monkeypatch.setattr(
        pairloop.report, "write_report", lambda store, config, path, remeasured: path.write_text(config.campaign.name)
    )
    facts = json.loads(invoke("report", finished, "--dry-run", "--json").stdout)
    assert facts == {"report": str(finished / "report.html"), "written": False}
    assert not (finished / "report.html").exists()
    assert invoke("report", finished).exit_code == 0
    assert (finished / "report.html").read_text() == "tiny"
    assert invoke("report", finished, "--out", finished / "other.html").exit_code == 0
    assert (finished / "other.html").exists()
