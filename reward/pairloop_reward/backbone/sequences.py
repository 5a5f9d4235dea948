"""Texts as token sequences: joined with their prompt by the one tokenisation of `pairloop.kit.tokens`, or alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pairloop.kit.text import plain
from pairloop.kit.tokens import encode
from pairloop.records import PromptContent, ResponseView


@dataclass(frozen=True, slots=True)
class Tokens:
    """What goes through the model.

    Attributes:
        ids: at least one token. start: the first one that the mean is taken over. cut: tokens that were cut away.
    """

    ids: tuple[int, ...]
    start: int = 0
    cut: int = 0


def joined(tokenizer: Any, response: ResponseView, max_length: int) -> Tokens:
    """Prompt and response in one sequence; the mean is over the response's tokens, which have seen the prompt.

    Longer ones lose the beginning of the prompt first. A conversation goes through the tokenizer's chat template;
    where it has none, as encoders do not, it is plain text with the roles in it.
    """
    prompt: PromptContent = response.prompt
    if not isinstance(prompt, str) and not getattr(tokenizer, "chat_template", None):
        prompt = plain(prompt)
    found = encode(tokenizer, prompt, response.text, max_length)
    ids = found.prompt + found.response
    return _filled(tokenizer, ids, len(found.prompt) if found.response else 0, found.truncated)


def alone(tokenizer: Any, texts: Sequence[str], max_length: int, *, end: bool) -> list[Tokens]:
    """Each text by itself with the tokenizer's special tokens; longer ones lose their end.

    Args:
        end: append the end-of-sequence token where the tokenizer does not: causal models are read there.
    """
    if not texts:
        return []
    ends = tokenizer.eos_token_id if end else None
    out = []
    for text, full in zip(texts, tokenizer(list(texts), add_special_tokens=True)["input_ids"], strict=True):
        ids = list(full)
        room = max_length - (ends is not None and ids[-1:] != [ends])
        cut = max(len(ids) - room, 0)
        if cut:
            ids = list(tokenizer(text, add_special_tokens=True, truncation=True, max_length=max(room, 1))["input_ids"])
        if ends is not None and ids[-1:] != [ends]:
            ids.append(ends)
        out.append(_filled(tokenizer, ids, 0, cut))
    return out


def _filled(tokenizer: Any, ids: Sequence[int], start: int, cut: int) -> Tokens:
    """An empty text, to a tokenizer without special tokens, is one token that says nothing."""
    nothing = (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id, 0)
    return Tokens(tuple(ids) or (next(i for i in nothing if i is not None),), start, cut)
