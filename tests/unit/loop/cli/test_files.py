"""A campaign by files, as people see it on the command line."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pairloop.campaign import Campaign
from pairloop.store import Store

Invoke = Callable[..., Result]


@pytest.fixture
def files(tmp_path: Path, invoke: Invoke, write_prompts: Callable[..., Path]) -> Path:
    """A campaign made by ``init`` from data without votes and scores; not started."""
    data = write_prompts(tmp_path / "prompts.jsonl", gold=False)
    result = invoke("init", tmp_path / "campaign", "--data", data)
    assert result.exit_code == 0, result.output
    assert "backend csv" in result.stdout
    config = tmp_path / "campaign" / "campaign.toml"
    text = config.read_text().replace("size = 50", "size = 6").replace("max_rounds = 20", "max_rounds = 2")
    config.write_text(text.replace('strategy = "logdet"', 'strategy = "random"'))
    return tmp_path / "campaign"


def answer(path: Path, word: str, to: Path | None = None) -> None:
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    lines = ["key;choice;annotator", *(f"{row['key']};{word};ann" for row in rows)]
    (to or path).write_text("\n".join([*lines, ""]), encoding="utf-16")


def test_a_campaign_by_files_from_init_to_its_end(files: Path, invoke: Invoke) -> None:
    first = invoke("run", files)
    assert first.exit_code == 3, first.output
    assert f"The questions are in {files / 'outbox'}" in first.stderr
    assert (files / "outbox" / "README.txt").exists()
    answer(files / "outbox" / "round-0001.csv", "left")  # saved in place
    second = invoke("run", files)
    assert second.exit_code == 3, second.output
    answer(files / "outbox" / "round-0002.csv", "B", files / "inbox" / "back from ann.csv")
    last = invoke("run", files)
    assert last.exit_code == 0, last.output
    with Store.open_readonly(files) as store:
        votes = store.annotations.votes()
    assert [vote.choice.value for vote in votes] == ["left"] * 6 + ["right"] * 6
    assert {vote.annotator for vote in votes} == {"ann"}


def test_a_waiting_run_takes_files_as_they_come(files: Path) -> None:
    """The folders are watched: half a batch, a bad file that is mended, the rest."""
    acts = iter(range(10))

    def people(_seconds: float) -> None:
        round_number = campaign.store.rounds.latest().number
        written = files / "outbox" / f"round-{round_number:04d}.csv"
        act = next(acts) % 2
        if act == 0:
            (files / "inbox" / f"{round_number}.csv").write_text("key,choice\nnonsense,left\n")
        elif act == 1:
            assert [file["file"] for file in campaign.store.refused_files()] == [f"inbox/{round_number}.csv"]
            answer(written, "left", files / "inbox" / f"{round_number}.csv")

    with Campaign(files) as campaign:
        outcome = campaign.run(wait=5, sleep=people)
        assert type(outcome).__name__ == "Finished"
        assert len(campaign.store.annotations.votes()) == 12
        assert campaign.store.refused_files() == []


def test_a_refused_file_is_named_everywhere_and_stops_nobody(files: Path, invoke: Invoke) -> None:
    invoke("run", files)
    good, bad = files / "inbox" / "good.csv", files / "inbox" / "bad.csv"
    keys = [
        row["key"] for row in csv.DictReader(io.StringIO((files / "outbox" / "round-0001.csv").read_text("utf-8-sig")))
    ]
    good.write_text(f"key,choice,annotator\n{keys[0]},left,ann\n")
    bad.write_text(f"key,choice,annotator\n{keys[1]},left,ann\n{keys[2]},perhaps,ann\n")
    waits = invoke("run", files)
    assert waits.exit_code == 3
    assert "inbox/bad.csv was not taken" in waits.stderr
    assert 'line 3, choice: "perhaps" is no answer' in waits.stderr
    pulled = invoke("pull", files, "--json")
    assert pulled.exit_code == 2
    assert [file["file"] for file in json.loads(pulled.stdout)["refused_files"]] == ["inbox/bad.csv"]
    status = invoke("status", files, "--json")
    assert json.loads(status.stdout)["refused_files"][0]["problems"][0].startswith("line 3, choice")
    assert "inbox/bad.csv (1 problems)" in invoke("status", files).stdout
    with Store.open_readonly(files) as store:
        assert len(store.annotations.votes()) == 1
        events = [event.kind for event in store.events.tail(100)]
    assert events.count("file_refused") == 1
    bad.unlink()
    assert invoke("pull", files).exit_code == 0
    with Store.open_readonly(files) as store:
        assert store.events.last("file_mended") is not None
        assert store.refused_files() == []


def test_a_dry_pull_sees_the_files_and_stores_nothing(files: Path, invoke: Invoke) -> None:
    invoke("run", files)
    answer(files / "outbox" / "round-0001.csv", "left", files / "inbox" / "a.csv")
    before = sorted(path for path in files.rglob("*") if path.is_file())
    dry = invoke("pull", files, "--dry-run", "--json")
    assert json.loads(dry.stdout)["new"] == 6
    assert sorted(path for path in files.rglob("*") if path.is_file()) == before
    with Store.open_readonly(files) as store:
        assert store.annotations.votes() == []
    assert json.loads(invoke("pull", files, "--json").stdout)["new"] == 6


def test_the_doctor_looks_at_the_folders(files: Path, invoke: Invoke) -> None:
    assert f"questions go to {files / 'outbox'}" in invoke("doctor", files).output
    assert not (files / "outbox").exists(), "it only looks"
    (files / "outbox").write_text("in the way")
    broken = invoke("doctor", files)
    assert broken.exit_code == 2
    assert "backend.options.outbox" in broken.output
