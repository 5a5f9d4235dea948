"""Content hashes as ids, and assignment keys that survive spreadsheets and typing.

Ids of prompts, responses and pairs are hashes of canonical JSON (joining strings with a separator would let
``["a-b"]`` and ``["a", "b"]`` collide). Assignment keys start with a letter, hold no character that is easily
misread, never look like a number, date, formula or cell, and end in a check character that catches every
single-character typo and every swap of neighbours.
"""

import hashlib

from pairloop.kit.canonical import digest
from pairloop.records import Message, Pair, PromptContent, ResponseView

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # 31 characters, a prime: no 0/o, 1/l/i
_BASE = len(_ALPHABET)
_KEY_BODY = 16


def content_json(content: PromptContent) -> object:
    """A prompt as a JSON value: a string, or a list of ``{"role", "content"}``."""
    if isinstance(content, str):
        return content
    return [{"role": message.role, "content": message.content} for message in content]


def content_from_json(value: object) -> PromptContent:
    """The inverse of `content_json`.

    Raises:
        ValueError: neither a string nor a non-empty list of messages.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise ValueError("a prompt is a string or a non-empty list of messages")
    messages = []
    for turn in value:
        if (
            not isinstance(turn, dict)
            or not isinstance(turn.get("role"), str)
            or not isinstance(turn.get("content"), str)
        ):
            raise ValueError('each message is an object with the strings "role" and "content"')
        messages.append(Message(turn["role"], turn["content"]))
    return tuple(messages)


def prompt_id(content: PromptContent) -> str:
    """Id of a prompt: "p" and 20 hex digits."""
    return "p" + digest(["prompt", content_json(content)])[:20]


def response_id(prompt: str, text: str) -> str:
    """Id of a response text to the prompt with this id: "r" and 20 hex digits."""
    return "r" + digest(["response", prompt, text])[:20]


def lone_view(prompt: PromptContent, text: str) -> ResponseView:
    """A response that may be in no pool, as models see it: its prompt is a group of its own."""
    number = prompt_id(prompt)
    return ResponseView(response_id(number, text), number, prompt, text, number)


def make_pair(prompt: str, one: str, other: str) -> Pair:
    """The unordered pair of two response ids.

    Raises:
        ValueError: both are the same response.
    """
    if one == other:
        raise ValueError("a pair needs two different responses")
    first, second = sorted((one, other))
    return Pair("q" + digest(["pair", first, second])[:20], prompt, first, second)


def assignment_key(campaign: str, round_number: int, pair: str, replica: int) -> str:
    """Idempotency key of an assignment: "k", 16 letters and digits, one check character."""
    number = int.from_bytes(
        hashlib.sha256(digest([campaign, round_number, pair, replica]).encode()).digest()[:12], "big"
    )
    body = []
    for _ in range(_KEY_BODY):
        number, rest = divmod(number, _BASE)
        body.append(_ALPHABET[rest])
    return "k" + "".join(body) + _check_character(body)


def is_key(text: str) -> bool:
    """True when the text has the form of a key and its check character fits."""
    if len(text) != _KEY_BODY + 2 or not text.startswith("k") or any(c not in _ALPHABET for c in text[1:]):
        return False
    return _check_character(list(text[1:-1])) == text[-1]


def _check_character(body: list[str]) -> str:
    # Weights 1..16 modulo the prime 31: distinct and non-zero, as are their neighbouring differences.
    total = sum((position + 1) * _ALPHABET.index(c) for position, c in enumerate(body))
    return _ALPHABET[total % _BASE]
