"""What people write into cells, understood or refused: never guessed.

Everything is compared after NFKC, case folding and the removal of quotation marks and blanks.
"""

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from pairloop.kit.text import clean
from pairloop.records import Choice

RETRACT = "retract"
"""The word in the choice column that takes an earlier answer back."""

WORDS: Mapping[str, Choice] = MappingProxyType(
    dict.fromkeys(("left", "l", "a", "1", "left is better"), Choice.LEFT)
    | dict.fromkeys(("right", "r", "b", "2", "right is better"), Choice.RIGHT)
    | dict.fromkeys(("same", "tie", "equal", "draw", "=", "==", "about the same", "the same"), Choice.TIE)
    | dict.fromkeys(("both bad", "bothbad", "neither", "both are bad"), Choice.BOTH_BAD)
    | dict.fromkeys(("skip", "skipped"), Choice.SKIP)
)
ALLOWED = "left, right, same, both bad or skip"

_QUOTES = "\"'`´‘’‚‛“”„‟«»‹›"
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:[.,]\d{1,9})?")
_DATE = re.compile(r"\d{1,4}[-./ ]\s?(?:\d{1,2}|[^\W\d_]{3,})\.?(?:[-./ ]\d{1,4})?(?:[t ].*)?|[^\W\d_]{3,}[-. ]\d{1,4}")


class Unclear(ValueError):
    """A cell that cannot be understood; the message says what is wrong and what to do."""


def bare(cell: str) -> str:
    """A cell without the blanks and quotation marks around it."""
    text = unicodedata.normalize("NFKC", cell).replace("\ufeff", "").replace("\u200b", "")
    return text.strip().strip(_QUOTES).strip()


def spoken(cell: str) -> str:
    """A word as it is looked up: lower case, one blank between words, no final full stop."""
    return " ".join(bare(cell).casefold().replace("_", " ").replace("-", " ").rstrip(".!").split())


def quoted(cell: str) -> str:
    """A cell as messages show it."""
    text = " ".join(clean(cell).split())
    return f'"{text[:40]}…"' if len(text) > 40 else f'"{text}"'


def choice_of(cell: str, more: Mapping[str, Choice]) -> Choice | None:
    """The answer; None is `RETRACT`.

    Raises:
        Unclear: it is none of the known words.
    """
    word = spoken(cell)
    if re.fullmatch(r"[12][.,]0+", word):
        word = word[0]
    if word == RETRACT:
        return None
    found = more.get(word) or WORDS.get(word)
    if found is None:
        raise Unclear(f"{quoted(cell)} is no answer: write {ALLOWED}")
    return found


def number_of(cell: str, low: float, high: float, *, whole: bool) -> float:
    """A number between two bounds; 3, 3.0 and 3,0 are the same.

    Raises:
        Unclear: it is no number, no whole one, or out of bounds.
    """
    text = bare(cell).replace("\u2212", "-")
    kind = "a whole number" if whole else "a number"
    if not _NUMBER.fullmatch(text):
        date = " (it looks as if the spreadsheet made a date of it: format the cell as text)"
        made_date = date if _DATE.fullmatch(text.casefold()) else ""
        raise Unclear(f"{quoted(cell)} is not {kind}{made_date}: write {kind} from {low:g} to {high:g}, or nothing")
    value = float(text.replace(",", "."))
    if not low <= value <= high or (whole and value != int(value)):
        raise Unclear(f"{quoted(cell)} is not {kind} from {low:g} to {high:g}: correct it, or leave it empty")
    return value


def name_of(cell: str, known: Mapping[str, str]) -> str:
    """The annotator; ``known`` names by their `spoken` form give the spelling.

    Raises:
        Unclear: damaged, too long, or with control characters.
    """
    text = " ".join(bare(clean(cell)).split())
    if "\ufffd" in text or not text.isprintable() or len(text) > 100:
        raise Unclear(f"{quoted(cell)} is no name: write the annotator's name again, at most 100 characters")
    return known.get(spoken(text), unicodedata.normalize("NFC", text))
