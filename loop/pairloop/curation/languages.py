"""Which language a text is in, by lingua (extra ``languages``); nothing is said of short or unclear texts."""

from functools import lru_cache
from typing import Any

from pairloop.kit.extras import require

_LETTERS = 40  # of a text, below which languages are guesses
_SURE = 0.9
_SAMPLE = 2_000  # characters


@lru_cache(maxsize=1)
def _detector() -> Any:
    lingua = require("lingua", "languages", "curation.languages")
    return lingua.LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build()


@lru_cache(maxsize=4096)
def language(text: str) -> str | None:
    """Its name in English, or None where the text is short or no language is likely enough.

    Raises:
        MissingExtra: lingua is not installed.
    """
    detector = _detector()
    sample = text[:_SAMPLE]
    if sum(char.isalpha() for char in sample) < _LETTERS:
        return None
    found = detector.compute_language_confidence_values(sample)
    return found[0].language.name.title() if found and found[0].value >= _SURE else None


def another_language(text: str, prompt: str) -> str | None:
    """Why the text is in another language than the prompt, or None."""
    wanted, found = language(prompt), language(text)
    if wanted is None or found is None or wanted == found:
        return None
    return f"written in {found}, the prompt in {wanted}"
