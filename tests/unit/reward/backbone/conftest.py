"""Torch or nothing; nothing is downloaded."""

import json
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))  # makes ``backbone_models`` importable

from backbone_models import make_bert, save  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """A folder with a BERT."""
    return make_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def roberta(tmp_path_factory):
    """A folder with a RoBERTa, which numbers positions from the padding on."""
    return make_bert(tmp_path_factory.mktemp("roberta"), kind="Roberta")


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    """A folder with a causal model."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=128, initializer_range=0.3, eos_token_id=3, bos_token_id=None, pad_token_id=0,
        )  # fmt: skip
        return save(tmp_path_factory.mktemp("llama"), LlamaForCausalLM(config), special=False)


@pytest.fixture
def sentence(tmp_path):
    """A function that makes a sentence-transformers folder around a BERT, with pooling and further modules."""

    def make(pooling, *more):
        folder = make_bert(tmp_path / f"st-{len(list(tmp_path.iterdir()))}")
        kinds = ["Transformer", "Pooling", *more]
        modules = [
            {
                "idx": i,
                "name": str(i),
                "path": f"{i}_{kind}" if i else "",
                "type": f"sentence_transformers.models.{kind}",
            }
            for i, kind in enumerate(kinds)
        ]
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 24, "do_lower_case": False}))
        for module in modules[1:]:
            (folder / module["path"]).mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **pooling}))
        return folder

    return make
