"""The cache of derived data: used when intact, rebuilt when not, never in the way."""

import logging

import numpy as np
import pytest

from pairloop_reward.cache import DiskCache, content_keys
from pairloop_reward.features import Featurizer
from pairloop_reward.options import TfidfOptions
from pairloop_reward.store import FeatureStore, fitted_featurizer

ALL = TfidfOptions()


@pytest.fixture
def transforms(monkeypatch):
    """How many responses each call of `Featurizer.transform` computed."""
    calls, original = [], Featurizer.transform

    def counted(self, responses, *, remember=True):
        calls.append(len(responses))
        return original(self, responses)

    monkeypatch.setattr(Featurizer, "transform", counted)
    return calls


def store(responses, folder):
    cache = DiskCache(folder)
    return FeatureStore(fitted_featurizer(responses, np.ones(len(responses), dtype=bool), ALL, cache), cache)


def test_features_are_computed_once(pool, tmp_path, transforms):
    responses = pool(10)
    first = store(responses, tmp_path).features(responses)
    second = store(responses, tmp_path).features(responses)
    assert transforms == [40]
    assert np.array_equal(first, second)


def test_only_new_responses_are_computed(pool, tmp_path, transforms):
    responses = pool(10)
    features = store(responses, tmp_path)
    features.features(responses[:30])
    features.features(responses)
    assert transforms == [30, 10]


def test_the_same_content_counts_once_and_ids_do_not_matter(pool, tmp_path, transforms):
    responses = pool(5)
    assert store(responses, tmp_path).features([*responses, *responses]).shape[0] == 40
    assert transforms == [20]


def test_what_is_not_to_be_remembered_is_computed_again(pool, tmp_path, transforms):
    responses = pool(10)
    features = store(responses, tmp_path)
    once = features.features(responses[:8], remember=False)
    assert np.array_equal(features.features([*responses[4:8], *responses[:4]]), once[[4, 5, 6, 7, 0, 1, 2, 3]])
    assert transforms == [8, 8]


def test_keys_see_prompt_and_text(pool):
    one, two = pool(2)[:2]
    assert len(set(content_keys(pool(2)))) == 8
    assert content_keys([one])[0] != content_keys([two])[0]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "delete"])
def test_damaged_files_are_rebuilt(pool, tmp_path, transforms, damage, caplog):
    responses = pool(10)
    expected = store(responses, tmp_path).features(responses)
    for path in tmp_path.glob("*.cache"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        changed = {"truncate": data[: len(data) // 2], "flip": data, "empty": b"", "delete": None}[damage]
        path.unlink() if changed is None else path.write_bytes(changed)
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(store(responses, tmp_path).features(responses), expected)
    assert transforms == [40, 40]
    assert ("damaged" in caplog.text) == (damage != "delete")
    assert np.array_equal(store(responses, tmp_path).features(responses), expected)
    assert transforms == [40, 40]


def test_no_folder_and_a_folder_that_cannot_be_written_only_cost_time(pool, tmp_path, caplog):
    responses = pool(5)
    expected = store(responses, None).features(responses)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(store(responses, blocked / "cache").features(responses), expected)
    assert "cannot be written" in caplog.text


def test_old_files_are_dropped(pool, tmp_path):
    for prompts in range(3, 11):
        responses = pool(prompts)
        store(responses, tmp_path).features(responses)
    assert len(list(tmp_path.glob("featurizer-*"))) <= 4
    assert len(list(tmp_path.glob("features-*"))) <= 4
