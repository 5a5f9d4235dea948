"""Numbers for experiment trackers: all of them, nothing about persons, at least once whatever is killed."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pairloop.campaign import Campaign
from pairloop.hookspecs import hookimpl
from pairloop.records import CampaignInfo
from pairloop.testing.campaigns import toy_config, toy_registry
from pairloop.tracking import numbers


class Tracker:
    """Notes what it is told; fails when a test says so."""

    def __init__(self) -> None:
        self.told: list[tuple[CampaignInfo, int, dict[str, float]]] = []
        self.fails = 0

    @hookimpl
    def pairloop_metrics(self, campaign: CampaignInfo, step: int, metrics: Mapping[str, float]) -> None:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the tracker is away")
        self.told.append((campaign, step, dict(metrics)))


def run(folder: Path, tracker: Tracker, **changes: dict[str, Any]) -> Campaign:
    config = toy_config(campaign={"id": "toy", "name": "tracked", "seed": 7, "plugins": ["watch"]}, **changes)
    with Campaign(folder, registry=toy_registry(observer__watch=tracker), config_text=config) as campaign:
        campaign.run()
        return campaign


def test_every_model_is_told_with_its_round(tmp_path: Path) -> None:
    tracker = Tracker()
    campaign = run(tmp_path / "campaign", tracker)
    rewards = [(step, told) for _, step, told in tracker.told if "reward/votes" in told]
    assert [step for step, _ in rewards] == [1, 2, 3]
    assert [told["reward/votes"] for _, told in rewards] == sorted(told["reward/votes"] for _, told in rewards)
    assert "reward/holdout/accuracy/value" in rewards[-1][1]
    assert any("policy/votes" in told for _, _, told in tracker.told)
    assert {info for info, _, _ in tracker.told} == {CampaignInfo("toy", "tracked", campaign.folder)}


def test_nothing_is_told_twice_by_a_second_run(tmp_path: Path) -> None:
    tracker = Tracker()
    run(tmp_path / "campaign", tracker, round={"size": 10, "max_rounds": 2})
    before = len(tracker.told)
    run(tmp_path / "campaign", tracker, round={"size": 10, "max_rounds": 3})
    steps = [step for _, step, told in tracker.told if "reward/votes" in told]
    assert steps == [1, 2, 3]
    assert len(tracker.told) > before


def test_a_tracker_that_was_away_is_told_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = Tracker()
    tracker.fails = 1
    with caplog.at_level(logging.ERROR, logger="pairloop"):
        run(tmp_path / "campaign", tracker)
    assert [step for _, step, told in tracker.told if "reward/votes" in told] == [1, 2, 3]
    assert "they are given again with the next" in caplog.text


def test_numbers_of_a_report() -> None:
    report = {
        "a": 1, "b": {"c": 0.5, "d": None, "e": float("nan"), "f": "text", "g": [1, 2]},
        "annotators": {"anna": {"flip_rate": 0.2}}, "ok": True,
    }  # fmt: skip
    assert numbers(report) == {"a": 1.0, "b/c": 0.5, "ok": 1.0}


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs tensorboardX")
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard")
    from pairloop_plugins.tracking import tensorboard

    info = CampaignInfo("c1", "one", tmp_path)
    tensorboard.pairloop_metrics(info, 1, {"reward/holdout/accuracy/value": 0.5})
    tensorboard.pairloop_metrics(info, 2, {"reward/holdout/accuracy/value": 0.75})
    events = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("reward/holdout/accuracy/value")]
    assert found == [(1, 0.5), (2, 0.75)]


def test_mlflow_finds_its_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="needs mlflow-skinny")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    import mlflow as library

    from pairloop_plugins.tracking import mlflow

    library.set_tracking_uri((tmp_path / "mlruns").as_uri())
    info = CampaignInfo("c1", "one", tmp_path)
    mlflow.pairloop_metrics(info, 1, {"reward/holdout/accuracy/value": 0.5, "reward/fit/σ": 1.0})
    mlflow.pairloop_metrics(info, 2, {"reward/holdout/accuracy/value": 0.75})
    client = library.tracking.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("one").experiment_id])
    history = client.get_metric_history(run.info.run_id, "reward/holdout/accuracy/value")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.75)]


def test_wandb_keeps_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="needs wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    from pairloop_plugins.tracking import wandb

    info = CampaignInfo("c1", "one", tmp_path)
    wandb.pairloop_metrics(info, 1, {"reward/holdout/accuracy/value": 0.5})
    files = list((tmp_path / "wandb").rglob("*.wandb"))
    assert len(files) == 1
    assert "c1" in files[0].name
