"""The reward model ``encoder``: the contract, its ways of reading, and what happens when its model changes."""

import dataclasses
import shutil

import numpy as np
import pytest

from pairloop.errors import ConfigError, DataError
from pairloop.protocols import Checkable, ModelContext, RewardModelSpec
from pairloop.testing.reward_models import RewardModelContract, same_posterior, toy_responses, toy_votes
from pairloop_reward.encoder_options import EncoderOptions
from pairloop_reward.plugin import load_encoder, make_encoder


class TestEncoder(RewardModelContract):
    @pytest.fixture
    def spec(self):
        return RewardModelSpec("encoder", make_encoder, load_encoder, EncoderOptions)

    @pytest.fixture
    def options(self, bert):
        return EncoderOptions(model=str(bert), dimensions=16)


class TestEncoderOfACausalModel(RewardModelContract):
    @pytest.fixture
    def spec(self):
        return RewardModelSpec("encoder", make_encoder, load_encoder, EncoderOptions)

    @pytest.fixture
    def options(self, llama):
        return EncoderOptions(model=str(llama), input="separate", dimensions=16)


@pytest.fixture(scope="module")
def votes():
    return toy_votes(toy_responses(prompts=24))


def fitted(votes, folder, context=None, **options):
    model = make_encoder(EncoderOptions(model=str(folder), dimensions=8, **options), context or ModelContext())
    return model, model.fit(votes, seed=1)


@pytest.mark.parametrize("way", ["joined", "separate", "response"])
def test_blocks_have_priors_of_their_own(votes, bert, way):
    _, report = fitted(votes, bert, input=way)
    names = {name.removeprefix("prior_margin_") for name in report.numbers if name.startswith("prior_margin_")}
    assert names == {"surface", "embedding"} | ({"product"} if way == "separate" else set())


def test_what_was_cut_is_counted_and_told(votes, bert):
    _, report = fitted(votes, bert, max_length=8)
    assert report.numbers["responses_truncated"] > 0
    assert any("longer than the model takes" in note for note in report.notes)
    _, whole = fitted(votes, bert)
    assert whole.numbers["responses_truncated"] == 0
    assert not any("longer than" in note for note in whole.notes)


def test_texts_of_the_holdout_teach_nothing(votes, bert):
    other = tuple(
        view if use else dataclasses.replace(view, text=f"quite another text {i} !")
        for i, (view, use) in enumerate(zip(votes.responses, votes.trainable, strict=True))
    )
    one, _ = fitted(votes, bert)
    two, _ = fitted(dataclasses.replace(votes, responses=other), bert)
    train = [view for view, use in zip(votes.responses, votes.trainable, strict=True) if use]
    assert same_posterior(one.posterior(train), two.posterior(train))


def test_with_a_cache_without_and_after_a_restart_the_model_is_the_same(votes, bert, tmp_path):
    plain, report = fitted(votes, bert)
    for _ in range(2):
        cached, again = fitted(votes, bert, ModelContext(tmp_path))
        assert same_posterior(plain.posterior(votes.responses), cached.posterior(votes.responses))
        assert again == report

    assert np.array_equal(cached._store.features(votes.responses[5:6]), plain._store.features(votes.responses)[5:6])


def test_the_embedding_says_more_than_the_surface(votes, bert):
    """Without surface features the model learns all the same: the embeddings are in use."""
    model, report = fitted(votes, bert, surface=False)
    decisive = votes.outcome < 2
    p = model.posterior(votes.responses).probability(votes.pairs[decisive])
    assert np.mean((p > 0.5) == (votes.outcome[decisive] == 0)) > 0.7
    assert "prior_margin_surface" in report.numbers


def test_a_model_whose_files_changed_is_refused(votes, bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "model")
    model, _ = fitted(votes, folder)
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    assert same_posterior(
        load_encoder(tmp_path / "saved", ModelContext()).posterior(votes.responses), model.posterior(votes.responses)
    )
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(DataError, match="not those that the reward model was trained on"):
        load_encoder(tmp_path / "saved", ModelContext())


def test_embeddings_of_a_changed_model_are_not_taken_from_the_cache(votes, bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "model")
    cache = tmp_path / "cache"
    cache.mkdir()
    before, _ = fitted(votes, folder, ModelContext(cache))
    shutil.rmtree(folder)
    from backbone_models import make_bert

    make_bert(folder, seed=1)
    after, _ = fitted(votes, folder, ModelContext(cache))
    assert not same_posterior(before.posterior(votes.responses), after.posterior(votes.responses))


def test_it_says_what_it_is(bert):
    model = make_encoder(EncoderOptions(model=str(bert)), ModelContext())
    assert isinstance(model, Checkable)
    assert "BertModel" in model.check()
    assert "32 dimensions, float32, packed" in model.check()


def test_a_missing_model_is_an_error_at_once(tmp_path):
    with pytest.raises(ConfigError, match="there is no folder"):
        make_encoder(EncoderOptions(model="./none"), ModelContext(base=tmp_path))
