"""The one tokenisation of (prompt, response), for reward training, scoring and RL alike.

Trainers that tokenise in three places disagree about the end of sequence and special tokens, so that the model is
scored on token sequences that it never saw. Everything here goes through `encode`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pairloop.errors import DataError
from pairloop.kit.ids import content_json
from pairloop.records import PromptContent


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used."""

    eos_token_id: int | None
    chat_template: Any

    def __call__(self, text: str, *, add_special_tokens: bool) -> Any: ...  # noqa: D102

    def apply_chat_template(self, conversation: Any, **kwargs: Any) -> Any: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of a prompt and of its response; ``truncated`` counts the tokens that were cut away."""

    prompt: tuple[int, ...]
    response: tuple[int, ...]
    truncated: int = 0


def encode_prompt(tokenizer: Tokenizer, prompt: PromptContent) -> list[int]:
    """Ids of the prompt up to where the response begins.

    A conversation goes through the tokenizer's chat template with the generation prompt; plain text is tokenised
    with the tokenizer's own special tokens in front, and a newline behind.

    Raises:
        DataError: the prompt is a conversation and the tokenizer has no chat template.
    """
    if isinstance(prompt, str):
        ids = list(tokenizer(prompt + "\n", add_special_tokens=True)["input_ids"])
        # Some tokenizers append their end-of-sequence token to every text: the response has not even begun.
        if ids and tokenizer.eos_token_id is not None and ids[-1] == tokenizer.eos_token_id and len(ids) > 1:
            ids.pop()
        return ids
    if not tokenizer.chat_template:
        raise DataError(
            "the prompt is a conversation, but the model's tokenizer has no chat template",
            "Use a chat model, or write the prompts as plain text.",
        )
    out = tokenizer.apply_chat_template(
        content_json(prompt), add_generation_prompt=True, tokenize=True, return_dict=True
    )
    return list(out["input_ids"])


def encode(tokenizer: Tokenizer, prompt: PromptContent, response: str, max_length: int | None = None) -> Encoded:
    """Ids of prompt and response; the response ends in the end-of-sequence token where the tokenizer has one.

    Longer than ``max_length``: the beginning of the prompt is cut first, then the end of the response. Nothing is
    ever dropped.
    """
    head = encode_prompt(tokenizer, prompt)
    tail = list(tokenizer(response, add_special_tokens=False)["input_ids"])
    if tokenizer.eos_token_id is not None:
        tail.append(tokenizer.eos_token_id)
    return truncate(head, tail, max_length)


def truncate(prompt: Sequence[int], response: Sequence[int], max_length: int | None) -> Encoded:
    """Cut the beginning of the prompt, then the end of the response, to ``max_length`` tokens in all."""
    excess = 0 if max_length is None else max(len(prompt) + len(response) - max_length, 0)
    from_prompt = min(excess, max(len(prompt) - 1, 0))
    kept_prompt = tuple(prompt[from_prompt:])
    kept_response = (
        tuple(response[: len(response) - (excess - from_prompt)]) if excess > from_prompt else tuple(response)
    )
    return Encoded(kept_prompt, kept_response, excess)
