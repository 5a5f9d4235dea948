"""A whole campaign with a fine-tuned reward model, killed anywhere and resumed; its model leaves with a card."""

import os
import random
import signal

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import transformers
from click.testing import CliRunner
from support.projection import differences, projection
from tiny_models import Killer
from tiny_models import options as quick

from pairloop.campaign import Campaign
from pairloop.cli.app import cli
from pairloop.exports.models import load_reward_model
from pairloop.kit import failpoints
from pairloop.testing.campaigns import toy_config, toy_registry
from pairloop.testing.reward_models import toy_responses

pytestmark = pytest.mark.torch


def config(model, **changes):
    options = quick(model, epochs=1, **changes).model_dump(mode="json", exclude_none=True)
    return toy_config(
        backend={
            "kind": "simulated", "gold": "toy",
            "options": {"teacher": "noisy", "pool": [{"name": "a", "count": 3, "latency": 0.5}]},
        },
        reward={"model": "finetuned", "options": options},
        round={"size": 30, "max_rounds": 2},
        policy={"tuner": None},
    )  # fmt: skip


def run(place, text, progress=None, kill=None):
    """Run to the end; ``kill`` names a failpoint at which the process dies."""
    if kill is not None:
        failpoints.set_handler(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == kill else None)
    place.mkdir(exist_ok=True)
    with Campaign(place, registry=toy_registry(), config_text=text, progress=progress) as campaign:
        return campaign.run()


def killed(place, text, progress=None, kill=None):
    child = os.fork()
    if child == 0:
        try:
            run(place, text, progress, kill)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


@pytest.fixture(scope="module")
def whole(bert, tmp_path_factory):
    place, watch = tmp_path_factory.mktemp("whole") / "campaign", Killer(0)
    run(place, config(bert), watch)
    (place / "campaign.toml").write_text(config(bert), encoding="utf-8")
    return place, watch.seen, projection(place)


@pytest.mark.parametrize("kill", ["train.before_save", "artifact.after_rename", "train.before_commit"])
def test_killed_between_checkpoint_and_artifact_it_ends_the_same(bert, whole, tmp_path, kill):
    place = tmp_path / "campaign"
    assert killed(place, config(bert), kill=kill) == signal.SIGKILL
    watch = Killer(0)
    run(place, config(bert), watch)
    assert differences(whole[2], projection(place)) == []
    assert watch.seen < whole[1]


def test_killed_twice_at_random_reports_it_ends_the_same(bert, whole, tmp_path):
    place = tmp_path / "campaign"
    hits = sorted(random.SystemRandom().sample(range(2, whole[1] - 2), 2))
    for hit in (hits[0], hits[1] - hits[0]):
        killed(place, config(bert), Killer(hit))
    run(place, config(bert))
    assert differences(whole[2], projection(place)) == [], hits


def test_its_model_leaves_for_transformers_with_a_card(whole, tmp_path):
    out = tmp_path / "model"
    done = CliRunner().invoke(cli, ["export-model", str(whole[0]), "--out", str(out), "--form", "transformers"])
    assert done.exit_code == 0, done.output
    transformers.AutoModelForSequenceClassification.from_pretrained(out)
    model = load_reward_model(out)
    assert np.isfinite(model.score(toy_responses())[0]).all()
    card = (out / "README.md").read_text()
    for part in (
        "AutoModelForSequenceClassification",
        "load_reward_model",
        "pairloop.kit.tokens.encode",
        "Temperature",
    ):
        assert part in card
