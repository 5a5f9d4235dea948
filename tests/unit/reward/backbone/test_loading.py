"""Finding and loading backbones: what is refused, and with which words."""

import json
import shutil

import pytest

from pairloop.errors import ConfigError, CorruptionDetected, DataError, MissingExtra
from pairloop_reward.backbone import location as places
from pairloop_reward.backbone.loading import (
    check_vocabulary,
    context_length,
    is_causal,
    load_config,
    load_model,
    load_tokenizer,
)
from pairloop_reward.backbone.location import Location, locate

HERE = "reward.options.model"


def copied(folder, to):
    return shutil.copytree(folder, to)


def test_a_folder_is_found_relative_to_the_campaign(bert):
    assert locate(bert.name, where=HERE, base=bert.parent).key == locate(str(bert), where=HERE).key


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no folder '\./nothing'") as caught:
        locate("./nothing", where=HERE, base=tmp_path)
    assert caught.value.exit_code == 2


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(ConfigError, match=r"neither config\.json nor modules\.json"):
        locate(str(tmp_path), where=HERE)


def test_a_file_is_no_folder(bert):
    with pytest.raises(ConfigError, match="is a file"):
        locate(str(bert / "config.json"), where=HERE)


def test_pickled_weights_are_not_opened(bert, tmp_path):
    folder = copied(bert, tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="pickled") as caught:
        locate(str(folder), where=HERE)
    assert "save_pretrained" in str(caught.value.hint)


def test_the_key_is_that_of_the_content(bert, tmp_path):
    folder = copied(bert, tmp_path / "copy")
    key = locate(str(folder), where=HERE).key
    assert key == locate(str(bert), where=HERE).key
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert locate(str(folder), where=HERE).key != key


def test_a_name_that_the_hub_does_not_have_is_an_error_and_no_trace(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")

    def offline(*_, **__):
        raise hub.errors.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(DataError, match="cannot be had from the Hugging Face hub: no connection"):
        locate("nobody/nothing", where=HERE)


def test_what_was_downloaded_before_is_not_asked_for_again(monkeypatch, bert):
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def download(name, **arguments):
        asked.append(arguments.get("local_files_only", False))
        return str(bert)

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert locate("somebody/model", where=HERE).folder == bert
    assert asked == [True]


def test_the_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(places, "MINILM_PACKAGE", "no_such_package_here")
    with pytest.raises(MissingExtra, match="minilm"):
        locate("minilm", where=HERE)


def edited(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return locate(str(folder), where=HERE)


def test_code_of_its_own_is_not_run(bert, tmp_path):
    folder = copied(bert, tmp_path / "code")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    place = edited(folder, model_type="own", auto_map={"AutoConfig": "own.C", "AutoModel": "own.M"})
    with pytest.raises(ConfigError) as caught:
        load_model(place)
    assert "trust_remote_code" in str(caught.value.hint)
    assert not (tmp_path / "ran").exists()


def test_an_unknown_architecture_is_refused(bert, tmp_path):
    with pytest.raises(ConfigError, match="cannot be used"):
        load_config(edited(copied(bert, tmp_path / "unknown"), model_type="hovercraft"))


def test_weights_that_are_not_there_are_not_made_up(bert, tmp_path):
    with pytest.raises(ConfigError, match="lack 16 of the model's tensors"):
        load_model(edited(copied(bert, tmp_path / "deeper"), num_hidden_layers=3))


def test_weights_of_another_shape_are_refused(bert, tmp_path):
    with pytest.raises(ConfigError):
        load_model(edited(copied(bert, tmp_path / "wider"), intermediate_size=128))


def test_damaged_weights_are_corruption(bert, tmp_path):
    folder = copied(bert, tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(CorruptionDetected, match="damaged"):
        load_model(locate(str(folder), where=HERE))


def test_a_folder_without_tokenizer_says_so(bert, tmp_path):
    folder = copied(bert, tmp_path / "mute")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match="no tokenizer"):
        load_tokenizer(locate(str(folder), where=HERE))


def test_a_tokenizer_of_another_model_is_refused(bert):
    place = locate(str(bert), where=HERE)
    model, tokenizer = load_model(place), load_tokenizer(place)
    check_vocabulary(place, model, tokenizer)
    tokenizer.add_tokens([f"new{i}" for i in range(100)])
    with pytest.raises(ConfigError, match="only 100 embeddings"):
        check_vocabulary(Location("x", bert, ""), model, tokenizer)


def test_loading_leaves_torch_s_generator_alone(bert):
    import torch

    before = torch.get_rng_state()
    load_model(locate(str(bert), where=HERE))
    assert torch.equal(before, torch.get_rng_state())


def test_what_kind_of_model_it_is(bert, roberta, llama):
    configs = {path: load_config(locate(str(path), where=HERE)) for path in (bert, roberta, llama)}
    assert [is_causal(config) for config in configs.values()] == [False, False, True]
    lengths = [
        context_length(config, load_tokenizer(locate(str(path), where=HERE))) for path, config in configs.items()
    ]
    assert lengths == [140, 139, 128]
