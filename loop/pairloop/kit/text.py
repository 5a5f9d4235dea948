"""Text from outside: cleaned on the way in, made harmless on the way to a terminal."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from pairloop.records import PromptContent

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """NUL and lone surrogates become U+FFFD, CRLF and CR become LF; everything else is kept byte for byte."""
    without = _SURROGATE.sub("\ufffd", text).replace("\x00", "\ufffd")
    return without.replace("\r\n", "\n").replace("\r", "\n")


def clean_json(value: Any) -> Any:
    """A JSON value with every string in it, keys included, made storable by `clean`."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): clean_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(item) for item in value]
    return value


def for_terminal(text: str, limit: int | None = None) -> str:
    """Control characters, escape sequences and bidi overrides made visible; cut to ``limit`` characters with …."""
    safe = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    if limit is not None and len(safe) > limit:
        safe = safe[: max(limit - 1, 0)] + "…"
    return safe


def normalised(text: str) -> str:
    """NFKC, case folded, blanks collapsed: what "the same text" means for duplicates."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def plain(content: PromptContent) -> str:
    """A prompt as one text: conversations as "role: content" paragraphs."""
    if isinstance(content, str):
        return content
    return "\n\n".join(f"{message.role}: {message.content}" for message in content)
