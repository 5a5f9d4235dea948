import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pairloop.cli.app import cli
from pairloop.config.template import template

WORDS = ("harbour", "lantern", "meadow", "violin", "glacier", "pepper", "saddle", "timber")


def prompts_file(path: Path, n: int = 40, *, gold: bool = True, votes: bool = False) -> Path:
    """JSON lines whose longer responses are better, and say so under "gold"."""
    rows = []
    for i in range(n):
        words = [WORDS[(i + k) % len(WORDS)] for k in range(3)]
        responses = [
            {"text": f"{' '.join(words[:k])} number {i}", "metadata": {"gold": float(k)} if gold else {}}
            for k in (1, 2, 3)
        ]
        row: dict[str, object] = {"prompt": f"What about {words[0]} {words[2]} case {i}?", "responses": responses}
        if votes:
            row["annotations"] = [{"pair": [0, 1], "annotator": "ann", "preference": "b"}]
        rows.append(json.dumps(row))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def invoke() -> Callable[..., Result]:
    def run(*args: str | Path) -> Result:
        return CliRunner().invoke(cli, [str(arg) for arg in args])

    return run


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """A campaign folder with 40 prompts, two small rounds and simulated annotators; not started."""
    return make_campaign(tmp_path / "campaign")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A campaign whose annotators never answer by themselves."""
    return make_campaign(tmp_path / "people", backend={"kind": "manual"})


def make_campaign(folder: Path, **changes: dict[str, object]) -> Path:
    folder.mkdir(parents=True)
    prompts_file(folder / "prompts.jsonl")
    simulated = {"kind": "simulated", "options": {"gold": "metadata", "teacher": "oracle", "annotators": 2}}
    tables: dict[str, dict[str, object]] = {
        "campaign": {"name": "tiny", "id": "tiny", "seed": 3},
        "data": {"path": "prompts.jsonl", "near_duplicate_threshold": 1.0},
        "backend": simulated,
        "round": {"size": 12, "max_rounds": 2},
        "selection": {"strategy": "random"},
        "holdout": {"fraction": 0.3, "share": 0.25},
        "budget": {"cost_per_vote": 0.5},
    }
    for name, change in changes.items():
        tables[name] = change if name == "backend" else {**tables.get(name, {}), **change}
    (folder / "campaign.toml").write_text(template(tables), encoding="utf-8")
    return folder


@pytest.fixture
def finished(campaign: Path, invoke: Callable[..., Result]) -> Path:
    """The same campaign, run to its end."""
    result = invoke("run", campaign)
    assert result.exit_code == 0, result.output
    return campaign


def process(*args: str | Path, **environment: str) -> "subprocess.Popen[str]":
    """pairloop as its own process."""
    return subprocess.Popen(
        [sys.executable, "-m", "pairloop", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.fixture
def spawn() -> Callable[..., "subprocess.Popen[str]"]:
    return process


@pytest.fixture
def write_prompts() -> Callable[..., Path]:
    return prompts_file
