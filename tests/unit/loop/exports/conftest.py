import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pairloop import Annotation, Campaign, Choice
from pairloop.cli.app import cli
from pairloop.config.template import template
from pairloop.records import Task

PROMPTS = 24
TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße, 你好 👋?"}]
Answer = tuple[str, Choice]
Campaigns = Callable[..., Path]


@pytest.fixture
def invoke() -> Callable[..., Result]:
    def run(*args: str | Path) -> Result:
        return CliRunner().invoke(cli, [str(arg) for arg in args])

    return run


@pytest.fixture
def told(tmp_path: Path, invoke: Callable[..., Result]) -> Campaigns:
    """Makes a campaign of one round in which ``answers(number, task)`` are given, one after the other."""

    def make(answers: Callable[[int, Task], Sequence[Answer]], *, talk: bool = False, gold: bool = False) -> Path:
        folder = tmp_path / "campaign"
        folder.mkdir()
        _data(folder / "prompts.jsonl", talk)
        _config(folder, **({"quality": _gold(folder / "gold.jsonl")} if gold else {}))
        result = invoke("step", folder)
        assert result.exit_code in (0, 3), result.output
        with Campaign(folder) as campaign:
            batch = campaign.ask()
            campaign.tell(
                Annotation(
                    task.key, "manual", f"{task.key}:{who}", "1", who, choice, reason=f"=1+{number} ü", strength=60
                )
                for number, task in enumerate(batch.tasks)
                for who, choice in answers(number, task)
            )
        return folder

    return make


def _data(path: Path, talk: bool) -> None:
    rows = [
        {
            "prompt": TALK if talk and i % 2 else f"=Prompt {i} of alpha{i} beta{i * 7} gamma{i * 13}",
            "responses": [{"text": f"@one {i} ü", "model": "m-1", "metadata": {"n": i}}, {"text": f"two {i} 👋"}],
            "metadata": {"topic": f"t{i % 3}"},
        }
        for i in range(PROMPTS)
    ]
    for i, row in enumerate(rows):
        if isinstance(row["prompt"], list):
            row["prompt"] = [*TALK, {"role": "user", "content": f"Case {i} of delta{i} and eps{i * 5}?"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _gold(path: Path) -> dict[str, object]:
    """Table ``quality`` with a file of known answers."""
    rows = [
        {"prompt": f"Known {i} of zeta{i}", "response_a": f"good {i}", "response_b": f"bad {i}", "correct": "a"}
        for i in range(8)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {"gold_path": path.name, "gold_share": 0.25}


def _config(folder: Path, **changes: dict[str, object]) -> None:
    tables: dict[str, dict[str, object]] = {
        "campaign": {"name": "tiny", "id": "tiny", "seed": 3},
        "data": {"path": "prompts.jsonl", "near_duplicate_threshold": 1.0},
        "backend": {"kind": "manual"},
        "round": {"size": 12, "max_rounds": 2},
        "selection": {"strategy": "random"},
        "holdout": {"fraction": 0.3, "share": 0.25},
    }
    (folder / "campaign.toml").write_text(template(tables | changes), encoding="utf-8")


EVERY = [Choice.TIE, Choice.LEFT, Choice.SKIP, Choice.BOTH_BAD, *[Choice.RIGHT] * 20]


@pytest.fixture
def mixed(told: Campaigns) -> Path:
    """Every choice, by "Ann É" alone."""
    return told(lambda number, task: [("Ann É", EVERY[number])])


@pytest.fixture
def finished(tmp_path: Path, invoke: Callable[..., Result]) -> Path:
    """A campaign of two rounds with simulated annotators, run to its end."""
    folder = tmp_path / "finished"
    folder.mkdir()
    rows = [
        {
            "prompt": f"What about alpha{i} beta{i * 7} gamma{i * 13}?",
            "responses": [
                {"text": " ".join(["fine"] * k + [f"number {i}"]), "metadata": {"gold": float(k)}} for k in (1, 2, 3)
            ],
        }
        for i in range(40)
    ]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    backend = {"kind": "simulated", "options": {"gold": "metadata", "teacher": "oracle", "annotators": 2}}
    _config(folder, backend=backend)
    result = invoke("run", folder)
    assert result.exit_code == 0, result.output
    return folder
