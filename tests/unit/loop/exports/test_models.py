"""Models out of a campaign: the same bytes, the same predictions, a card that says what they saw."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from pairloop import Campaign
from pairloop.errors import CorruptionDetected, DataError
from pairloop.exports.models import load_reward_model
from pairloop.pool import load_pool
from pairloop.protocols import ModelContext
from pairloop.store import Store
from pairloop_reward.model import TfidfRewardModel

Invoke = Callable[..., Result]


@pytest.fixture
def exported(finished: Path, invoke: Invoke, tmp_path: Path) -> Path:
    result = invoke("export-model", finished, "--out", tmp_path / "model", "--license", "MIT")
    assert result.exit_code == 0, result.output
    return tmp_path / "model"


def test_the_model_loads_without_the_campaign_and_predicts_the_same(finished: Path, exported: Path) -> None:
    with Store.open_readonly(finished) as store:
        row = store.models.current("reward")
        assert row is not None
        responses = load_pool(store).responses
        stored = TfidfRewardModel.load(store.artifacts.path(str(row.artifact)), ModelContext()).posterior(responses)
    moved = exported.rename(exported.parent / "elsewhere")
    found = load_reward_model(moved).posterior(responses)
    assert np.array_equal(found.mean, stored.mean)
    assert np.array_equal(found.whitened, stored.whitened)


def test_the_card_says_what_was_seen_and_how_good_it_is(finished: Path, exported: Path) -> None:
    card = (exported / "README.md").read_text("utf-8")
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "mit"
    with Store.open_readonly(finished) as store:
        row = store.models.current("reward")
        assert row is not None
        assert f"`{store.annotations.row_hash(row.last_seq)}`" in body
        assert f"Rows 1 to {row.last_seq} of" in body
        assert str(row.artifact) in body
        accuracy = row.report["holdout"]["accuracy"]
    line = next(line for line in body.splitlines() if line.startswith("| Accuracy"))
    assert f"{accuracy['low']:.3f}, {accuracy['high']:.3f}" in line
    assert "Calibration error (ECE)" in body
    assert "Temperature" in body
    assert "names of 2 annotators" in body


def test_a_changed_an_extra_and_a_missing_file_are_found(exported: Path) -> None:
    extra = exported / "extra.bin"
    extra.write_bytes(b"x")
    with pytest.raises(CorruptionDetected):
        load_reward_model(exported)
    extra.unlink()
    load_reward_model(exported)
    arrays = exported / "model.safetensors"
    data = bytearray(arrays.read_bytes())
    data[-1] ^= 1
    arrays.write_bytes(data)
    with pytest.raises(CorruptionDetected):
        load_reward_model(exported)


def test_a_folder_without_manifest_is_no_exported_model(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        load_reward_model(tmp_path)


def test_an_earlier_round_can_be_had(finished: Path, invoke: Invoke, tmp_path: Path) -> None:
    facts = json.loads(invoke("export-model", finished, "--out", tmp_path / "m", "--round", "1", "--json").stdout)
    with Store.open_readonly(finished) as store:
        wanted = next(row for row in store.models.all("reward") if row.round == 1)
    assert (facts["artifact"], facts["written"]) == (wanted.artifact, True)
    assert json.loads((tmp_path / "m" / "pairloop.json").read_text())["artifact"] == wanted.artifact


def test_what_transformers_cannot_express_is_refused(finished: Path, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("export-model", finished, "--out", tmp_path / "m", "--form", "transformers")
    assert result.exit_code == 2
    assert "AutoModelForSequenceClassification" in result.stderr
    assert not (tmp_path / "m").exists()


def test_without_a_model_there_is_nothing_to_export(mixed: Path, invoke: Invoke, tmp_path: Path) -> None:
    for options in ([], ["--role", "policy"]):
        result = invoke("export-model", mixed, "--out", tmp_path / "m", *options)
        assert result.exit_code == 2
        assert "no usable" in result.stderr


def test_dry_run_writes_nothing(finished: Path, invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("export-model", finished, "--out", tmp_path / "m", "--dry-run").exit_code == 0
    assert not (tmp_path / "m").exists()


def test_a_damaged_artifact_is_not_copied(finished: Path, invoke: Invoke, tmp_path: Path) -> None:
    for path in (finished / "artifacts" / "reward").rglob("model.json"):
        path.write_text(path.read_text().replace("1", "2", 1))
    result = invoke("export-model", finished, "--out", tmp_path / "m")
    assert result.exit_code != 0
    assert "does not match its hash" in result.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.torch
def test_a_policy_is_a_folder_for_transformers(mixed: Path, invoke: Invoke, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the torch extra")
    transformers = pytest.importorskip("transformers", reason="needs the torch extra")
    config = transformers.LlamaConfig(
        vocab_size=9, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    policy = transformers.LlamaForCausalLM(config)
    with Campaign(mixed) as campaign:
        sha256, size = campaign.store.artifacts.store_bytes("policy", policy.save_pretrained)
        with campaign.store.transaction():
            campaign.store.artifacts.add_row(sha256, "policy", size, {})
            campaign.store.models.add("policy", 1, sha256, votes=3, last_seq=3, report={})
    options = ("--role", "policy", "--form", "transformers", "--out", tmp_path / "policy")
    result = invoke("export-model", mixed, *options)
    assert result.exit_code == 0, result.output
    found = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "policy")
    words = torch.arange(9)[None]
    assert torch.equal(found(words).logits, policy(words).logits)
    assert "AutoModelForCausalLM" in (tmp_path / "policy" / "README.md").read_text()
