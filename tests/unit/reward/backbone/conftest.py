"""Torch or nothing. The models are untrained ones of a few thousand weights, made here; nothing is downloaded."""

import json
import sys
from pathlib import Path

import pytest

WORDS = (
    "the a quick brown fox dog jumps over lazy why nobody knows yes no better worse answer question hello world".split()
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    sys.modules["torch"].set_num_threads(1)


def word_tokenizer(folder: Path, *, special: bool) -> None:
    """Words, then letters; with [CLS] and [SEP] around a text, or with nothing but an end of sequence."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *"abcdefghijklmnopqrstuvwxyz0123456789.,;?!:"]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(names))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace()])
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
    if special:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        names |= {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    else:
        names |= {"eos_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(str(folder))


def save(folder: Path, model, *, special: bool) -> Path:
    """Weights, configuration and tokenizer in one folder."""
    model.eval().save_pretrained(str(folder))
    word_tokenizer(folder, special=special)
    return folder


def make_bert(folder: Path, seed: int = 0, kind: str = "Bert") -> Path:
    """Two layers of 32 dimensions. With weights this large, attention differs from token to token."""
    import torch
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = getattr(transformers, f"{kind}Config")(
            vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=140, pad_token_id=0, initializer_range=0.3,
        )  # fmt: skip
        return save(folder, getattr(transformers, f"{kind}Model")(config), special=True)


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
