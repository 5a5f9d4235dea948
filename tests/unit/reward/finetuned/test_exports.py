"""The folder that ``save`` writes is one for transformers, with the same scores; what it cannot hold is beside it."""

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers
from tiny_models import options as quick
from tiny_models import tiny_llama

from pairloop.errors import CorruptionDetected, DataError
from pairloop.kit.tokens import encode
from pairloop.protocols import ModelContext
from pairloop.testing.reward_models import same_posterior, toy_responses, toy_votes
from pairloop_reward.finetuned.model import FinetunedRewardModel

pytestmark = pytest.mark.torch


def fitted(model, **changes):
    out = FinetunedRewardModel(quick(model, epochs=1, **changes), ModelContext())
    out.fit(toy_votes(toy_responses()), seed=1)
    return out


def scores_by_transformers(folder, responses, batch):
    """As somebody does it who has only transformers and the one tokenisation."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = [encode(tokenizer, view.prompt, view.text, 48) for view in responses]
    ids = [[*each.prompt, *each.response] for each in found]
    out = []
    with torch.inference_mode():
        for start in range(0, len(ids), batch):
            part = tokenizer.pad({"input_ids": ids[start : start + batch]}, return_tensors="pt", padding_side="right")
            out += model(input_ids=part["input_ids"], attention_mask=part["attention_mask"]).logits[:, 0].tolist()
    return np.array(out)


@pytest.mark.parametrize(
    ("kind", "mode"), [("bert", "full"), ("bert", "frozen"), ("bert", "lora"), ("llama", "full"), ("llama", "lora")]
)
def test_transformers_gives_the_same_scores(request, tmp_path, kind, mode):
    if mode == "lora":
        pytest.importorskip("peft")
    changes = {"frozen_layers": 2} if mode == "frozen" else {}
    model = fitted(request.getfixturevalue(kind), mode=mode, **changes)
    model.save(tmp_path)
    responses = toy_responses()[:12]
    wanted = model.score(responses)[0]
    assert wanted.std() > 1e-3
    for batch in (1, 5):
        np.testing.assert_allclose(scores_by_transformers(tmp_path, responses, batch), wanted, atol=1e-5)
    names = json.loads((tmp_path / "config.json").read_text())["architectures"]
    assert all(name.endswith("ForSequenceClassification") for name in names)
    assert not list(tmp_path.glob("adapter*"))


@pytest.mark.parametrize(
    ("pad", "eos"), [("</s>", "</s>"), (None, "</s>"), ("<pad>", "</s>"), ("<pad>", None), (None, None)]
)
def test_the_last_token_is_found_whatever_pads(tmp_path, pad, eos):
    """Padding that is the end of sequence, that is missing, and models whose sequences do not end."""
    (tmp_path / "base").mkdir()
    model = fitted(tiny_llama(tmp_path / "base", pad=pad, eos=eos))
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    responses = toy_responses()[:9]
    wanted = model.score(responses)[0]
    np.testing.assert_allclose(scores_by_transformers(tmp_path / "saved", responses, 4), wanted, atol=1e-5)
    loaded = FinetunedRewardModel.load(tmp_path / "saved", ModelContext())
    assert same_posterior(loaded.posterior(responses), model.posterior(responses))


def test_frozen_layers_stay_and_all_train_otherwise(bert, tmp_path):
    before = transformers.AutoModel.from_pretrained(bert).state_dict()
    for mode, moved in (("frozen", {2}), ("full", {0, 1, 2})):
        place = tmp_path / mode
        place.mkdir()
        fitted(bert, mode=mode, frozen_layers=2, left_out=0.0).save(place)
        after = transformers.AutoModelForSequenceClassification.from_pretrained(place).bert.state_dict()
        changed = {name for name, value in before.items() if name in after and not torch.equal(value, after[name])}
        layers = {int(name.split(".")[2]) for name in changed if name.startswith("encoder.layer.")}
        assert layers == moved, mode
        assert any(name.startswith("embeddings") for name in changed) == (mode == "full")


def test_an_ensemble_is_no_single_transformers_model(bert, tmp_path):
    model = fitted(bert, members=2)
    model.save(tmp_path)
    assert not (tmp_path / "config.json").exists()
    assert (tmp_path / "member-1/config.json").is_file()
    loaded = FinetunedRewardModel.load(tmp_path, ModelContext())
    responses = toy_responses()
    assert same_posterior(loaded.posterior(responses), model.posterior(responses))


def test_members_differ_and_their_disagreement_is_in_the_posterior(bert):
    model = fitted(bert, members=3, left_out=0.0)
    responses = toy_responses()
    posterior = model.posterior(responses)
    means = np.stack([member.predict(responses, remember=True)[0] for member in model._members])
    assert np.std(means, axis=0).max() > 1e-3
    np.testing.assert_allclose(posterior.mean, means.mean(axis=0), rtol=1e-9)
    pairs = np.array([[0, 1], [4, 6], [9, 11]])
    margins = means[:, pairs[:, 0]] - means[:, pairs[:, 1]]
    within = np.mean(
        [
            np.square(rows[pairs[:, 0]] - rows[pairs[:, 1]]).sum(axis=1)
            for rows in (member.predict(responses, remember=True)[1] for member in model._members)
        ],
        axis=0,
    )
    np.testing.assert_allclose(posterior.variance(pairs), within + margins.var(axis=0, ddof=1), rtol=1e-6)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "posterior/model.safetensors"])
def test_a_changed_or_missing_file_is_named(bert, tmp_path, name):
    saved = tmp_path / "saved"
    saved.mkdir()
    fitted(bert).save(saved)
    data = bytearray((saved / name).read_bytes())
    data[len(data) // 2] ^= 1
    (saved / name).write_bytes(bytes(data))
    with pytest.raises(CorruptionDetected, match=name):
        FinetunedRewardModel.load(saved, ModelContext())
    (saved / name).unlink()
    with pytest.raises(CorruptionDetected, match=name):
        FinetunedRewardModel.load(saved, ModelContext())


def test_a_folder_of_another_model_is_refused(bert, tmp_path):
    shutil.copytree(bert, tmp_path / "base")
    with pytest.raises((CorruptionDetected, DataError)):
        FinetunedRewardModel.load(tmp_path / "base", ModelContext())
