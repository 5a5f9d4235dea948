"""What people do by accident: wrong folders, rates that blow up, silent votes, texts of a megabyte."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers
from tiny_models import options as quick
from tiny_models import tiny_bert

from pairloop.errors import ConfigError, CorruptionDetected, Diverged, MissingExtra, NoSignal
from pairloop.protocols import ModelContext
from pairloop.records import Message
from pairloop.testing.reward_models import toy_responses, toy_votes
from pairloop_reward.finetuned import modes
from pairloop_reward.finetuned.lastlayer import fit_last_layer
from pairloop_reward.finetuned.model import FinetunedRewardModel
from pairloop_reward.finetuned.training import learning_rate
from pairloop_reward.finetuned.trust import vote_weights

pytestmark = pytest.mark.torch


def fit(model, data=None, **changes):
    fitted = FinetunedRewardModel(quick(model, epochs=1, **changes), ModelContext())
    return fitted, fitted.fit(toy_votes(toy_responses()) if data is None else data, seed=1)


def test_a_folder_that_is_no_model_is_named(tmp_path):
    for name in (tmp_path / "absent", tmp_path):
        with pytest.raises(ConfigError, match=r"reward\.options\.model"):
            fit(name)


def test_a_tokenizer_of_another_model_is_refused(bert, tmp_path):
    shutil.copytree(bert, tmp_path / "mixed")
    path = tmp_path / "mixed/config.json"
    config = json.loads(path.read_text())
    small = transformers.BertModel(transformers.BertConfig(**{**config, "vocab_size": 8, "pad_token_id": 0}))
    small.save_pretrained(tmp_path / "mixed")
    with pytest.raises(ConfigError, match="tokenizer has ids up to"):
        fit(tmp_path / "mixed")


def test_pickled_and_damaged_weights_are_refused(bert, tmp_path):
    shutil.copytree(bert, tmp_path / "cut")
    weights = tmp_path / "cut/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises((CorruptionDetected, ConfigError)):
        fit(tmp_path / "cut")
    weights.rename(tmp_path / "cut/pytorch_model.bin")
    with pytest.raises(ConfigError, match="pickled"):
        fit(tmp_path / "cut")


def test_an_encoder_decoder_is_refused(bert, tmp_path):
    config = transformers.T5Config(vocab_size=300, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    transformers.T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    for path in bert.glob("tokenizer*"):
        shutil.copy(path, tmp_path)
    with pytest.raises(ConfigError, match="encoder-decoder"):
        fit(tmp_path)


@pytest.mark.parametrize("rate", [1e30, 1e8])
def test_a_rate_that_blows_up_is_an_error_that_names_it(bert, rate):
    with pytest.raises(Diverged, match=r"diverged|not finite"):
        fit(bert, learning_rate=rate, left_out=0.0)


def test_weights_that_are_not_finite_are_an_error(tmp_path):
    folder = tiny_bert(tmp_path)
    model = transformers.AutoModel.from_pretrained(folder)
    with torch.no_grad():
        model.encoder.layer[0].output.dense.weight[0, 0] = float("nan")
    model.save_pretrained(folder)
    with pytest.raises(Diverged):
        fit(folder)


@pytest.mark.parametrize("outcome", [0, 1, 2])
def test_votes_that_say_nothing_are_refused_before_any_network_is_read(tmp_path, outcome):
    data = toy_votes(toy_responses())
    silent = dataclasses.replace(data, outcome=np.full(len(data), outcome, dtype=np.int8))
    with pytest.raises(NoSignal):
        fit(tmp_path / "absent", silent)


def test_overlong_texts_are_cut_counted_and_kept(bert):
    responses = list(toy_responses())
    responses[0] = dataclasses.replace(responses[0], text=responses[0].text + " word" * 200_000)
    responses[5] = dataclasses.replace(responses[5], text="")
    data = dataclasses.replace(toy_votes(toy_responses()), responses=tuple(responses))
    model, report = fit(bert, data)
    touched = int(((data.left == 0) | (data.right == 0)).sum())
    assert touched > 0
    assert report.numbers["responses_truncated"] == 1
    assert report.numbers["votes_truncated"] == touched
    assert report.numbers["tokens_cut"] > 199_000
    assert report.n_votes == len(data)
    assert any("tokens were cut, no vote was dropped" in note for note in report.notes)
    assert np.isfinite(model.posterior(responses).mean).all()


def test_conversations_are_read_by_models_without_a_chat_template(bert):
    talk = (Message("user", "Describe bread"), Message("assistant", "How?"))
    data = toy_votes(toy_responses())
    views = [dataclasses.replace(view, prompt=talk) if i % 4 == 0 else view for i, view in enumerate(data.responses)]
    model, _ = fit(bert, dataclasses.replace(data, responses=tuple(views)))
    assert np.isfinite(model.posterior(views).mean).all()


def test_weights_and_ties_and_shown_prelabels_matter(bert):
    data = toy_votes(toy_responses())
    data = dataclasses.replace(data, prelabel_shown=np.arange(len(data)) % 5 == 0)
    weights = vote_weights(data, quick(bert, prelabel_shown_weight=0.25, ties="drop"))
    assert set(weights[data.outcome == 2].tolist()) <= {0.0}
    assert set(weights[(data.outcome < 2) & data.prelabel_shown].tolist()) == {0.25}
    half = dataclasses.replace(data, weight=np.where(np.arange(len(data)) % 2, 0.0, 1.0))
    kept, weightless = fit(bert, data.subset(np.arange(len(data)) % 2 == 0))[0], fit(bert, half)[0]
    means = [model.posterior(data.responses).mean for model in (kept, weightless, fit(bert, data)[0])]
    alike, other = np.corrcoef(means)[0, 1:]
    assert alike > 0.95
    assert alike > other


def test_a_reward_model_keeps_its_head_where_training_goes_on(bert, tmp_path):
    """Ten votes cannot teach what a model knows that was trained on a hundred."""
    first, _ = fit(bert, left_out=0.0)
    first.save(tmp_path)
    data = toy_votes(toy_responses())
    few = data.subset(np.flatnonzero(data.outcome < 2)[:10])
    kept = FinetunedRewardModel(quick(tmp_path, epochs=0, dimensions=0), ModelContext())
    kept.fit(few, seed=1)
    before, after = (model.posterior(data.responses).mean for model in (first, kept))
    assert np.corrcoef(before, after)[0, 1] > 0.8
    anew = FinetunedRewardModel(quick(bert, epochs=0, dimensions=0), ModelContext())
    anew.fit(few, seed=1)
    assert np.corrcoef(before, anew.posterior(data.responses).mean)[0, 1] < np.corrcoef(before, after)[0, 1]


def test_one_group_leaves_nothing_out_and_says_that_it_is_not_calibrated(bert):
    data = toy_votes(toy_responses())
    _, report = fit(bert, dataclasses.replace(data, group=np.zeros(len(data), dtype=np.int32)))
    assert report.numbers["left_out_votes"] == 0
    assert any(note.startswith("not calibrated: 0 decisive votes were left out") for note in report.notes)


def test_lora_without_peft_names_the_extra(bert, monkeypatch):
    def absent(module, extra, purpose):
        raise MissingExtra(f"{purpose} needs {module}", f"pip install 'pairloop[{extra}]'")

    monkeypatch.setattr(modes, "require", absent)
    with pytest.raises(MissingExtra, match="peft"):
        fit(bert, mode="lora")


def test_too_many_frozen_layers_are_refused(bert):
    with pytest.raises(ConfigError, match="frozen_layers is 3, but the model has 3 blocks"):
        fit(bert, mode="frozen", frozen_layers=3)


@pytest.mark.parametrize(("changes", "share"), [({}, 1.0), ({"mode": "frozen", "frozen_layers": 2}, 0.5)])
def test_a_check_says_what_would_train(bert, changes, share):
    said = FinetunedRewardModel(quick(bert, **changes), ModelContext()).check()
    found = re.search(
        r"BertForSequenceClassification .* encoder of ([\d,]+) weights, ([\d,]+) train, up to 48 tokens", said
    )
    assert found, said
    total, trains = (int(number.replace(",", "")) for number in found.groups())
    assert 0 < trains < total
    assert (trains > total / 2) == (share == 1.0)


def test_the_rate_climbs_and_falls():
    rates = [learning_rate(step, 20, 1.0) for step in range(20)]
    assert rates[1] == 1.0
    assert rates[:2] == sorted(rates[:2])
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert 0 < rates[-1] < 0.1


def test_the_last_layer_keeps_the_networks_own_reward_first():
    rng = np.random.default_rng(0)
    responses = toy_responses()
    hidden, own = rng.normal(size=(len(responses), 6)), rng.normal(size=6)
    layer = fit_last_layer(hidden, responses, np.ones(len(responses), dtype=bool), own, 3)
    assert layer.blocks == (1, 3)
    features = layer.features(hidden)
    np.testing.assert_allclose(np.corrcoef(features[:, 0], hidden @ own)[0, 1], 1.0)
    head = rng.normal(size=4)
    scores = hidden @ layer.weights(head)
    np.testing.assert_allclose(scores - scores.mean(), features @ head - (features @ head).mean(), atol=1e-9)
