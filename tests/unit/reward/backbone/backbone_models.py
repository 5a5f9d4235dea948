"""Untrained models of a few thousand weights."""

from pathlib import Path

WORDS = [
    "the",
    "a",
    "quick",
    "brown",
    "fox",
    "dog",
    "jumps",
    "over",
    "lazy",
    "why",
    "nobody",
    "knows",
    "yes",
    "no",
    "better",
    "worse",
    "answer",
    "question",
    "hello",
    "world",
]


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
