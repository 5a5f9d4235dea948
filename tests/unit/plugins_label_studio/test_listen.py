"""`pairloop listen`: a webhook wakes the pull; Label Studio can ask for the current reward model."""

import signal
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner
from support.studio import Studio, question

from pairloop.cli.app import cli
from pairloop.protocols import ServesModel
from pairloop.records import Choice, Prelabel
from pairloop_plugins.label_studio.codec import version_of
from pairloop_plugins.label_studio.ml_backend import NO_MODEL

ARTIFACT = "f" * 64


def sure(questions: Sequence[Any]) -> tuple[str, list[float]]:
    """A model that likes long responses."""
    return ARTIFACT, [0.9 if len(left) > len(right) else 0.2 for _, left, right in questions]


def test_the_answers_of_an_ml_backend(studio: Studio, tmp_path: Path) -> None:
    shown = question(0, prelabel=Prelabel(Choice.LEFT, 0.7, "a" * 64, shown=True))
    hidden = question(1, prelabel=Prelabel(Choice.LEFT, 0.7, "a" * 64))
    backend = studio.backend(tmp_path, studio.options())
    assert isinstance(backend, ServesModel)
    ids = backend.publish([shown, hidden]).remote_ids
    answer = backend.model_server(sure)
    version = version_of(ARTIFACT, "test")
    assert answer("/setup", {"access_token": "x", "schema": "<View/>"}) == {"model_version": version}
    assert answer("/versions", None) == {"versions": [version]}
    assert answer("/else", {}) is None
    theirs = {"id": 9, "data": {"prompt": "p", "left": "a longer one", "right": "b"}}
    broken = {"id": 10, "data": {"prompt": "p", "left": 3}}
    tasks = [broken, studio.task(ids[hidden.key]), theirs, studio.task(ids[shown.key])]
    nothing, blind, unknown, visible = answer("/predict", {"tasks": tasks, "params": {"login": "x"}})["results"]
    assert nothing == {}
    assert (blind["result"], blind["score"], blind["model_version"]) == ([], 0.6, version)
    assert (unknown["result"], unknown["score"]) == ([], 0.8)
    assert visible["result"][0]["value"] == {"choices": ["right"]}


def test_before_the_first_model(studio: Studio, tmp_path: Path) -> None:
    answer = studio.backend(tmp_path, studio.options()).model_server(lambda _questions: None)
    assert answer("/setup", {}) == {"model_version": NO_MODEL}
    tasks = [{"data": {"prompt": "p", "left": "a", "right": "b"}}]
    assert answer("/predict", {"tasks": tasks}) == {"results": [{}]}
    for sent in (None, [], {"tasks": 3}, {"tasks": [None]}):
        assert all(result == {} for result in answer("/predict", sent)["results"])


def test_a_webhook_wakes_the_pull(studio: Studio, tmp_path: Path) -> None:
    """Polls are ten minutes apart: only the notice can have brought the vote. The model answers beside it."""
    folder = tmp_path / "camp"
    made = CliRunner().invoke(cli, ["init", str(folder), "--backend", "label-studio", "--set", f"url={studio.url}"])
    assert made.exit_code == 0, made.output
    config = folder / "campaign.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("size = 50", "size = 4"), encoding="utf-8")
    command = [sys.executable, "-m", "pairloop", "listen", str(folder), "--port", "0", "--wait", "600",
               "--quiet", "0", "--model"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            address = process.stderr.readline().split()[2].rstrip(",")
            said = _until(process.stdout, "0 of 4 answered")
            project = _project(config)
            [first, *_] = studio.tasks(project)
            studio.vote(first["id"], Choice.LEFT)
            setup = httpx.post(f"{address}/setup", json={"access_token": studio.token, "project": "1.0"}, timeout=60)
            assert setup.json() == {"model_version": NO_MODEL}
            assert httpx.post(f"{address}/webhook", json={"action": "ANNOTATION_CREATED"}).status_code == 200
            said += _until(process.stdout, "1 of 4 answered")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert studio.token not in said + out + err


def _until(lines: Any, wanted: str) -> str:
    said = ""
    for line in lines:
        said += line
        if wanted in line:
            return said
    raise AssertionError(f"{wanted!r} never came: {said}")


def _project(config: Path) -> int:
    return int(tomllib.loads(config.read_text(encoding="utf-8"))["backend"]["options"]["project"])


def test_outside_this_machine_a_secret_is_needed(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("PAIRLOOP_LISTEN_SECRET", raising=False)
    refused = CliRunner().invoke(cli, ["listen", str(tmp_path), "--host", "192.0.2.1"])
    assert refused.exit_code == 2
    assert "needs a secret" in refused.output
    monkeypatch.setenv("PAIRLOOP_LISTEN_SECRET", "short")
    assert "shorter than" in CliRunner().invoke(cli, ["listen", str(tmp_path)]).output
