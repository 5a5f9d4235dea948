"""``pairloop init --backend label-studio``, dry runs and exported files, at the command line and in Python."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.fault_proxy import Fault, proxying
from support.studio import Studio, question

from pairloop.cli.app import cli
from pairloop.errors import ConfigError, DataError
from pairloop.protocols import Preparing
from pairloop.records import Choice
from pairloop_plugins.label_studio.labeling import own_config, parse, problems
from pairloop_plugins.label_studio.options import LabelStudioOptions, MappingOptions
from pairloop_plugins.label_studio.setup import prepare


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def facts(*arguments: str) -> Any:
    """What a command prints with --json."""
    ended = run(*arguments, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


@pytest.mark.parametrize("markdown", [False, True])
def test_our_config_means_what_the_mapping_says(markdown: bool) -> None:
    config = own_config(markdown=markdown)
    assert problems(config, MappingOptions()) == []
    parsed = parse(config)
    assert parsed.controls["preference"].values == ("left", "tie", "right", "both_bad")
    assert ("Markdown" in config) == markdown
    assert "HyperText" not in config


def test_our_config_is_valid_for_label_studio_itself() -> None:
    """By the SDK's own reading, where it is installed."""
    interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface(own_config(markdown=False))
    assert sorted(control.name for control in interface.controls) == ["preference", "prompt_rating", "reason"]
    assert sorted(interface.get_control("preference").labels) == ["both_bad", "left", "right", "tie"]


@pytest.mark.parametrize(
    "config", ["<View>", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><View/>', "x" * 2**21]
)
def test_configs_that_are_not_read(config: str) -> None:
    with pytest.raises(ValueError, match="labeling config"):
        parse(config)


def test_a_project_is_made_once(studio: Studio, tmp_path: Path) -> None:
    """An empty one of an earlier try, whose answer got lost, is found again; one with tasks is not."""
    asked = Preparing(f"once-{tmp_path.name}", tmp_path)
    options = LabelStudioOptions(url=studio.url)
    first = prepare(options, asked)
    second = prepare(options, asked)
    assert first.options == second.options
    assert "earlier try" in second.told[0]
    studio.backend(tmp_path, LabelStudioOptions(**first.options)).publish([question(0)])
    assert prepare(options, asked).options["project"] != first.options["project"]


def test_a_new_project_has_our_settings(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text("# How\n\n*Be fair.* <script>x</script>", encoding="utf-8")
    settings = {"instructions": "guide.md", "title": f"Pairs {tmp_path.name}"[:50]}
    made = prepare(LabelStudioOptions(url=studio.url), Preparing("fresh", tmp_path, settings))
    project = studio.project(made.options["project"])
    assert project["title"] == settings["title"]
    assert "<h1>How</h1>" in project["expert_instruction"]
    assert "<script>" not in project["expert_instruction"]
    assert project["show_instruction"] is True
    assert project["show_collab_predictions"] is False
    assert project["enable_empty_annotation"] is False
    assert problems(project["label_config"], MappingOptions()) == []
    assert set(made.options["may_set"]) == {"model_version", "sampling", "show_collab_predictions"}


def test_a_dry_run_makes_nothing(fake: Studio, tmp_path: Path) -> None:
    assert fake.fake is not None
    before = len(fake.fake.calls)
    made = prepare(LabelStudioOptions(url=fake.url), Preparing("dry", tmp_path, dry_run=True))
    assert len(fake.fake.calls) == before
    assert "project" not in made.options
    assert "would POST a new project" in made.told[0]


def test_settings_that_do_not_exist(studio: Studio, tmp_path: Path) -> None:
    options = LabelStudioOptions(url=studio.url)
    with pytest.raises(ConfigError, match="knows no colour"):
        prepare(options, Preparing("x", tmp_path, {"colour": "red"}))
    with pytest.raises(ConfigError, match="cannot be read"):
        prepare(options, Preparing("x", tmp_path, {"instructions": "nowhere.md"}))


def test_a_campaign_from_init_to_the_first_votes(studio: Studio, tmp_path: Path) -> None:
    """init, doctor, dry run, run, votes, pull from the server and from an export: by the command line alone."""
    folder = tmp_path / f"camp-{tmp_path.parent.name}"
    made = run("init", str(folder), "--backend", "label-studio", "--set", f"url={studio.url}")
    assert made.exit_code == 0, made.output
    assert "Made a project" in made.stdout
    text = (folder / "campaign.toml").read_text(encoding="utf-8")
    (folder / "campaign.toml").write_text(text.replace("size = 50", "size = 4"), encoding="utf-8")
    assert run("doctor", str(folder)).exit_code == 0
    [write] = facts("run", str(folder), "--dry-run")["writes"]
    project = int(write.split()[5].rstrip(","))
    assert write == f"POST 4 tasks to project {project}, 0 of them with a prediction"
    assert studio.tasks(project) == []
    waiting = run("run", str(folder))
    assert waiting.exit_code == 3, waiting.output
    tasks = studio.tasks(project)
    assert len(tasks) == 4
    for task in tasks[:2]:
        studio.vote(task["id"], Choice.LEFT)
    assert facts("pull", str(folder), "--dry-run")["new"] == 2
    export = tmp_path / "export.json"
    export.write_text(json.dumps(studio.tasks(project)), encoding="utf-8")
    assert facts("pull", str(folder), "--file", str(export))["new"] == 2
    studio.vote(tasks[2]["id"], Choice.TIE)
    pulled = facts("pull", str(folder))
    assert (pulled["new"], pulled["repeated"], pulled["revised"]) == (1, 2, 0), "the export is not stored twice"
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert studio.token.encode() not in everything


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"id": 1}]'])
def test_files_that_are_no_export(studio: Studio, tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError):
        studio.backend(tmp_path, studio.options()).read_export(tmp_path / "x.json")  # type: ignore[attr-defined]


def test_the_token_is_in_no_output_report_or_traceback(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of commands that work, that fail, and that show their tracebacks."""
    folder = tmp_path / f"canary-{tmp_path.parent.name}"
    with proxying(studio.url) as proxy:
        said = [run("init", str(folder), "--backend", "label-studio", "--set", f"url={proxy.url}", "--debug")]
        file = folder / "campaign.toml"
        file.write_text(file.read_text(encoding="utf-8").replace("size = 50", "size = 3"), encoding="utf-8")
        said += [run("run", str(folder), "--debug"), run("report", str(folder)), run("status", str(folder), "--json")]
        for fate in ("unauthorized", "before-html"):
            proxy.faults = [Fault(".", fate, 0)]
            for command in (("run",), ("pull",), ("pull", "--dry-run"), ("doctor",)):
                monkeypatch.setattr("pairloop_plugins.label_studio.transport._FIRST_WAIT", 0.0)
                said.append(
                    run(command[0], str(folder), *command[1:], *(("--debug",) if command[0] != "doctor" else ()))
                )
    assert [ended.exit_code for ended in said[:4]] == [0, 3, 0, 0], said[1].output
    assert all(ended.exit_code for ended in said[4:])
    shown = "".join(ended.output + ended.stderr + str(ended.exception) for ended in said)
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert "Traceback" in shown
    assert studio.token not in shown
    assert studio.token.encode() not in kept


def test_a_dry_run_tells_of_new_guesses_too(fake: Studio, tmp_path: Path) -> None:
    """Questions of the round before that stay open get the new model's guess with the next batch."""
    folder = tmp_path / f"guesses-{tmp_path.parent.name}"
    assert run("init", str(folder), "--backend", "label-studio", "--set", f"url={fake.url}").exit_code == 0
    file = folder / "campaign.toml"
    text = (
        file.read_text(encoding="utf-8")
        .replace("size = 50", "size = 12")
        .replace("close_share = 1.0", "close_share = 0.8")
    )
    file.write_text(text, encoding="utf-8")
    assert run("run", str(folder)).exit_code == 3
    project = int(text.split("project = ")[1].split()[0])
    for index, task in enumerate(fake.tasks(project)[:10]):
        fake.vote(task["id"], (Choice.LEFT, Choice.RIGHT)[index % 2])
    while "trained on" not in (ended := run("step", str(folder), "--once")).output:
        assert ended.exit_code in (0, 3), ended.output
    before = fake.tasks(project)
    writes = facts("run", str(folder), "--dry-run")["writes"]
    assert f"POST 2 predictions to project {project}" in writes
    assert sum(write.startswith("PATCH") for write in writes) == 1
    assert any(write.startswith("POST 12 tasks") for write in writes)
    assert fake.tasks(project) == before
