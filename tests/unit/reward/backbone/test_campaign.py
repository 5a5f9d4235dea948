"""Whole campaigns on embeddings: interrupted, without their cache, and with a model that changes under them."""

import shutil

import pytest
from backbone_models import make_bert

from pairloop.campaign import Campaign
from pairloop.errors import DataError
from pairloop.kit.progress import Silent
from pairloop.testing.campaigns import toy_config, toy_registry


class Interrupting(Silent):
    """Stops the work at the n-th report of encoding."""

    def __init__(self, at):
        self.at, self.encoding, self.seen = at, False, 0

    def start(self, label, total=None):
        self.encoding = label.startswith("encoding")

    def advance(self, n=1, note=""):
        self.seen += self.encoding
        if self.seen == self.at:
            raise KeyboardInterrupt


def campaign(folder, model, progress=None, rounds=2):
    folder.mkdir(exist_ok=True)
    options = {"model": str(model), "dimensions": 8, "token_budget": 128}
    config = toy_config(
        reward={"model": "encoder", "options": options},
        round={"max_rounds": rounds},
        policy={"tuner": None},
        backend={"kind": "simulated", "gold": "toy", "options": {}},
    )
    return Campaign(folder, registry=toy_registry(), config_text=config, progress=progress)


def outcome(folder, model, **options):
    with campaign(folder, model, **options) as opened:
        opened.run()
        return [(row.artifact, row.report) for row in opened.store.models.all("reward")]


def test_an_interrupted_campaign_ends_like_one_that_was_not(bert, tmp_path):
    whole = outcome(tmp_path / "whole", bert)
    assert all(artifact is not None for artifact, _ in whole)
    for at in (1, 3):
        with campaign(tmp_path / f"cut{at}", bert, Interrupting(at)) as opened, pytest.raises(KeyboardInterrupt):
            opened.run()
        assert list((tmp_path / f"cut{at}" / "cache").glob("vectors-*/*.cache"))
        assert outcome(tmp_path / f"cut{at}", bert) == whole


def test_a_campaign_without_its_cache_goes_on_the_same(bert, tmp_path):
    whole = outcome(tmp_path / "whole", bert)
    outcome(tmp_path / "other", bert, rounds=1)
    shutil.rmtree(tmp_path / "other" / "cache")
    assert outcome(tmp_path / "other", bert) == whole


def test_a_model_that_changes_under_a_campaign_is_named(bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "model")
    outcome(tmp_path / "campaign", folder, rounds=1)
    shutil.rmtree(folder)
    make_bert(folder, seed=1)
    with campaign(tmp_path / "campaign", folder) as opened, pytest.raises(DataError, match="not those that the reward"):
        opened.run()
    shutil.rmtree(folder)
    shutil.copytree(bert, folder)
    assert outcome(tmp_path / "campaign", folder)[-1][0] is not None
