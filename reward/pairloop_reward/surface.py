"""Surface features of a response: what a text looks like, whatever its language and topic.

Every feature is bounded or a logarithm of a count, so that one odd response cannot dominate a linear model.
"""

import math
import re
from collections.abc import Callable

_WORD = re.compile(r"\w+")
_MARK = re.compile(r"[^\w\s]")
_SENTENCE_END = re.compile(r"[.!?。！？…]+(?:\s|$)|\n{2,}")
_LIST_ITEM = re.compile(r"^\s*(?:[-*•+]|\d{1,3}[.)])\s+", re.MULTILINE)
_HEADING_OR_BOLD = re.compile(r"^#{1,6}\s|\*\*[^*\n]+\*\*", re.MULTILINE)
_CODE = re.compile(r"```|`[^`\n]+`")
_URL = re.compile(r"https?://|www\.")
_LONG_WORD = 7  # letters


class Look:
    """One (prompt, response) with the counts that several features share.

    Attributes:
        text: the response, already cut; words: its words in lower case, in order.
    """

    __slots__ = ("letters", "prompt_words", "sentences", "text", "words")

    def __init__(self, prompt: str, text: str) -> None:
        self.text = text.strip()
        self.words = _WORD.findall(self.text.lower())
        self.prompt_words = frozenset(_WORD.findall(prompt.lower()))
        self.sentences = max(len(_SENTENCE_END.findall(self.text)), 1)
        self.letters = sum(map(len, self.words))

    def share_of_characters(self, hits: int) -> float:
        """``hits`` over the number of characters, in [0, 1]; 0 for an empty text."""
        return hits / len(self.text) if self.text else 0.0

    def share_of_words(self, hits: int) -> float:
        """``hits`` over the number of words, 0 without words."""
        return hits / len(self.words) if self.words else 0.0

    def log_matches(self, pattern: re.Pattern[str]) -> float:
        """log(1 + number of matches)."""
        return math.log1p(len(pattern.findall(self.text)))


def _not_ascii(text: str) -> int:
    return 0 if text.isascii() else len(text) - sum(map(str.isascii, text))


def _prompt_covered(look: Look) -> float:
    return len(look.prompt_words.intersection(look.words)) / len(look.prompt_words) if look.prompt_words else 0.0


def _repeated_pairs(look: Look) -> float:
    pairs = list(zip(look.words, look.words[1:], strict=False))
    return 1.0 - len(set(pairs)) / len(pairs) if pairs else 0.0


FEATURES: dict[str, Callable[[Look], float]] = {
    "log_characters": lambda look: math.log1p(len(look.text)),
    "log_words": lambda look: math.log1p(len(look.words)),
    "log_different_words": lambda look: math.log1p(len(set(look.words))),
    "log_sentences": lambda look: math.log1p(look.sentences),
    "log_paragraphs": lambda look: math.log1p(look.text.count("\n")),
    "log_sentence_length": lambda look: math.log1p(len(look.words) / look.sentences),
    "word_length": lambda look: math.log1p(look.share_of_words(look.letters)),
    "long_words": lambda look: look.share_of_words(sum(len(word) >= _LONG_WORD for word in look.words)),
    "different_words": lambda look: look.share_of_words(len(set(look.words))),
    "repeated_word_pairs": _repeated_pairs,
    "punctuation": lambda look: look.share_of_characters(len(_MARK.findall(look.text))),
    "upper_case": lambda look: look.share_of_characters(sum(map(str.isupper, look.text))),
    "digits": lambda look: look.share_of_characters(sum(map(str.isdigit, look.text))),
    "not_ascii": lambda look: look.share_of_characters(_not_ascii(look.text)),
    "log_commas": lambda look: math.log1p(look.text.count(",")),
    "log_questions": lambda look: math.log1p(look.text.count("?")),
    "log_exclamations": lambda look: math.log1p(look.text.count("!")),
    "log_quotes": lambda look: math.log1p(look.text.count('"') + look.text.count("“")),
    "log_list_items": lambda look: look.log_matches(_LIST_ITEM),
    "log_headings": lambda look: look.log_matches(_HEADING_OR_BOLD),
    "log_code": lambda look: look.log_matches(_CODE),
    "log_urls": lambda look: look.log_matches(_URL),
    "words_of_prompt": lambda look: look.share_of_words(sum(word in look.prompt_words for word in look.words)),
    "prompt_covered": _prompt_covered,
    "starts_upper": lambda look: float(look.text[:1].isupper()),
    "ends_sentence": lambda look: float(look.text[-1:] in tuple(".!?。！？…\"'”)`")),
    "empty": lambda look: float(not look.text),
}
"""Name → feature, in the order of the columns."""


def surface_row(prompt: str, text: str) -> list[float]:
    """The surface features of one response, in the order of `FEATURES`; all finite."""
    look = Look(prompt, text)
    return [feature(look) for feature in FEATURES.values()]
