"""Tiny models with a word tokenizer, and a progress that kills."""

import os
import signal
from pathlib import Path
from typing import Any

from pairloop.protocols import ModelContext
from pairloop.testing.reward_models import toy_responses, toy_votes
from pairloop_reward.finetuned.options import FinetunedOptions

SPECIAL = ("<unk>", "<s>", "</s>", "<pad>", "[CLS]", "[SEP]", "[MASK]")
WIDTH = 16


def words() -> list[str]:
    """The vocabulary of the toy pool."""
    found = {word for view in toy_responses() for word in f"{view.prompt} {view.text}".lower().split()}
    return [*SPECIAL, *sorted(found), "\n"]


def _tokenizer(**special: Any) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words()))}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.normalizer = normalizers.Lowercase()
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if "cls_token" in special:
        ids = [(word, vocabulary[word]) for word in ("[CLS]", "[SEP]")]
        raw.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ids)
    return PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", model_max_length=64, **special)


def _seeded(make: Any, config: Any) -> Any:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make(config)


def tiny_bert(folder: Path, **changes: Any) -> Path:
    """A BERT of three layers without a classifier."""
    from transformers import BertConfig, BertModel

    tokenizer = _tokenizer(cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]", pad_token="<pad>")
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=64, pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2, **changes,
    )  # fmt: skip
    _seeded(BertModel, config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_llama(folder: Path, *, pad: str | None = "</s>", eos: str | None = "</s>") -> Path:
    """A Llama of three layers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    named = {"bos_token": "<s>"} | ({"eos_token": eos} if eos else {}) | ({"pad_token": pad} if pad else {})
    tokenizer = _tokenizer(**named)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=24, max_position_embeddings=64, initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=True,
    )  # fmt: skip
    _seeded(LlamaForCausalLM, config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def options(model: Path, **changes: Any) -> FinetunedOptions:
    """Quick options."""
    settings: dict[str, Any] = {
        "model": str(model), "epochs": 2, "learning_rate": 5e-3, "dimensions": 4, "checkpoint_every": 2,
        "batch_size": 8, "max_length": 48,
    }  # fmt: skip
    return FinetunedOptions(**settings | changes)


class Killer:
    """A progress that kills the process at the n-th report."""

    def __init__(self, at: int, number: int = signal.SIGKILL) -> None:
        self.at, self.number, self.seen, self.labels = at, number, 0, list[str]()

    def start(self, label: str, total: int | None = None) -> None:
        """Noted."""
        self.labels.append(label)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Counted."""
        self.seen += 1
        if self.seen == self.at:
            os.kill(os.getpid(), self.number)

    def finish(self) -> None:
        """Nothing."""


def fit(model: Path, cache: Path, into: Path, progress: Any, **changes: Any) -> None:
    """Fit on the toy votes and save."""
    from pairloop_reward.finetuned.model import FinetunedRewardModel

    fitted = FinetunedRewardModel(options(model, **changes), ModelContext(cache, progress=progress))
    fitted.fit(toy_votes(toy_responses()), seed=1)
    into.mkdir()
    fitted.save(into)
