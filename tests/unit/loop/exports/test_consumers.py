"""The next tools load what is exported: executed where they are installed."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pairloop import Choice

Invoke = Callable[..., Result]
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "</s>"}


@pytest.fixture
def campaign(told: Callable[..., Path]) -> Callable[..., Path]:
    """Ties among preferences; a reason of train and none of test would break a loader that guesses types."""
    choices = [Choice.TIE, Choice.LEFT, Choice.RIGHT]
    return lambda **options: told(lambda n, task: [("Ann É", choices[n % 3]), ("bob", Choice.LEFT)], **options)


@pytest.fixture
def folder(campaign: Callable[..., Path], invoke: Invoke, tmp_path: Path) -> Callable[..., Path]:
    def make(*options: str, **data: Any) -> Path:
        result = invoke("export", campaign(**data), "--format", "trl", "--out", tmp_path / "out", *options)
        assert result.exit_code == 0, result.output
        return tmp_path / "out"

    return make


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    return lambda folder, *name: datasets.load_dataset(str(folder), *name, cache_dir=str(tmp_path / "cache"))


@pytest.mark.parametrize("talk", [False, True])
@pytest.mark.parametrize("files", ["jsonl", "parquet"])
def test_datasets_loads_the_folder(
    folder: Callable[..., Path], load: Callable[..., Any], files: str, talk: bool
) -> None:
    if files == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    out = folder("--files", files, talk=talk)
    whole, ties = load(out), load(out, "ties")
    assert list(whole) == ["train", "test"]
    assert whole["train"].features == whole["test"].features
    assert set(ties["train"].features) >= {"response_a", "response_b", "annotations"}
    row = whole["train"][0]
    assert [vote["annotator"] for vote in row["annotations"]] == ["annotator-1", "annotator-2"]
    assert row["annotations"][0]["reason"].endswith("ü")
    assert row["annotations"][0]["seconds"] is None
    assert isinstance(row["prompt"], list) is talk
    assert whole["train"].features["margin"].dtype == "float64"


def test_both_kinds_of_files_have_the_same_rows(
    campaign: Callable[..., Path], invoke: Invoke, load: Callable[..., Any], tmp_path: Path
) -> None:
    source = campaign(talk=True)
    for files in ("jsonl", "parquet"):
        assert invoke("export", source, "--format", "trl", "--out", tmp_path / files, "--files", files).exit_code == 0
    one, other = load(tmp_path / "jsonl"), load(tmp_path / "parquet")
    assert one["train"].features == other["train"].features
    assert one["train"].to_list() == other["train"].to_list()


@pytest.mark.parametrize("what", [[], ["--votes"], ["--verdicts"], ["--pairs"], ["--disagreements"]])
def test_parquet_has_the_rows_of_jsonl(
    campaign: Callable[..., Path], invoke: Invoke, tmp_path: Path, what: list[str]
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    source = campaign(talk=True)
    for form in ("jsonl", "parquet"):
        result = invoke("export", source, *what, "--format", form, "--out", tmp_path / form)
        assert result.exit_code == 0, result.output
    expected = [json.loads(line) for line in (tmp_path / "jsonl").read_text("utf-8").splitlines()]
    found = parquet.read_table(tmp_path / "parquet").to_pylist()
    assert len(found) == len(expected) > 0
    for row, wanted in zip(found, expected, strict=True):
        for name in ("votes", "metadata", "metadata_a", "metadata_b"):
            if name in row:
                row[name] = json.loads(row[name])
        if isinstance(wanted["prompt"], str):
            wanted["prompt"] = [{"role": "user", "content": wanted["prompt"]}]
        assert row == wanted


def test_parquet_without_rows_still_has_typed_columns(
    told: Callable[..., Path], invoke: Invoke, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    campaign = told(lambda number, task: [])
    assert invoke("export", campaign, "--format", "parquet", "--out", tmp_path / "out").exit_code == 0
    schema = parquet.read_schema(tmp_path / "out")
    assert str(schema.field("p").type) == "double"


def test_argilla_reads_the_records(campaign: Callable[..., Path], invoke: Invoke, tmp_path: Path) -> None:
    argilla_io = pytest.importorskip("argilla.records._io", reason="Argilla's SDK is not installed")
    assert invoke("export", campaign(talk=True), "--format", "argilla", "--out", tmp_path / "out.json").exit_code == 0
    records = argilla_io.JsonIO._records_from_json(tmp_path / "out.json")
    assert len(records) == 12
    said = [response.value for record in records for response in record.responses if response.question_name == "choice"]
    assert len(said) == 24
    assert said.count("tie") == 4


@pytest.fixture
def tokenizer() -> Any:
    """Words of the test campaigns, with a chat template."""
    tokenizers = pytest.importorskip("tokenizers", reason="needs the torch extra")
    transformers = pytest.importorskip("transformers", reason="needs the torch extra")
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "</s>", "one", "two", "@", "=", "ü", "user"])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, SPECIAL["unk_token"]))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **SPECIAL)
    fast.chat_template = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} </s> {% endfor %}"
    return fast


def tiny(kind: str, **more: Any) -> Any:
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=9, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        pad_token_id=0, eos_token_id=2, bos_token_id=2, **more,
    )  # fmt: skip
    return getattr(transformers, kind)(config)


def settings(trl: Any, kind: str, path: Path) -> Any:
    return getattr(trl, kind)(
        output_dir=str(path), max_steps=2, per_device_train_batch_size=2, per_device_eval_batch_size=2, report_to=[],
        use_cpu=True, bf16=False, logging_steps=1, save_strategy="no", disable_tqdm=True,
        seed=0,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("talk", [False, True])
def test_trl_trains_a_policy(
    folder: Callable[..., Path], load: Callable[..., Any], tokenizer: Any, tmp_path: Path, talk: bool
) -> None:
    trl = pytest.importorskip("trl", reason="TRL is not installed")
    data = load(folder(talk=talk))
    model = tiny("LlamaForCausalLM")
    trainer = trl.DPOTrainer(
        model=model, ref_model=copy.deepcopy(model), args=settings(trl, "DPOConfig", tmp_path / "dpo"),
        train_dataset=data["train"], eval_dataset=data["test"], processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    assert trainer.state.global_step == 2
    assert 0 < trainer.evaluate()["eval_loss"] < 5


@pytest.mark.slow
@pytest.mark.parametrize("talk", [False, True])
def test_trl_trains_a_reward_model_with_margins(
    folder: Callable[..., Path], load: Callable[..., Any], tokenizer: Any, tmp_path: Path, talk: bool
) -> None:
    trl = pytest.importorskip("trl", reason="TRL is not installed")
    data = load(folder("--margin", "strength", talk=talk))
    trainer = trl.RewardTrainer(
        model=tiny("LlamaForSequenceClassification", num_labels=1), args=settings(trl, "RewardConfig", tmp_path / "rm"),
        train_dataset=data["train"], eval_dataset=data["test"], processing_class=tokenizer,
    )  # fmt: skip
    batch = next(iter(trainer.get_train_dataloader()))
    assert {round(margin, 6) for margin in batch["margin"].tolist()} <= {0.6, 0.3}
    trainer.train()
    assert trainer.state.global_step == 2


@pytest.mark.parametrize("talk", [False, True])
def test_no_trainer_takes_a_tie_for_a_preference(
    folder: Callable[..., Path], load: Callable[..., Any], talk: bool
) -> None:
    assert not {"chosen", "rejected"} & set(load(folder(talk=talk), "ties")["train"].column_names)
