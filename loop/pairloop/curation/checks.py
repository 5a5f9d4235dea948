"""What can be wrong with one response, seen beside its prompt and its siblings. Pure functions; no model, no lists.

Every check returns why it found something, or None. They are heuristics: that is why none removes by default.
"""

import re
import unicodedata
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
_FOREIGN_RUN = re.compile(r"[\u0080-\uffff]{2,}")
_ENDS_OPEN = re.compile(r"[\w,;:(\[{\-–—]\s*$")
_UNSEEN = "".join(map(chr, (*range(0x09, 0x0E), 0x20, 0x85, 0xA0, *range(0x2000, 0x2010), 0x2028, 0x2029, 0x202F,
                           0x205F, 0x2060, 0x3000, 0xFEFF)))  # fmt: skip
_SCRIPT_SAMPLE = 2000  # characters
_SCRIPT_LETTERS = 20
_SCRIPT_SHARE = 0.6
_LONG_ENOUGH = 12  # words of a response that may be called cut off
_REPEATS = 20  # n-grams of a text that may be called repeated


def empty(text: str) -> str | None:
    """Nothing that can be seen: blanks, and characters without width."""
    return None if text.strip(_UNSEEN) else "the response is empty"


def too_short(text: str, least: int) -> str | None:
    """Fewer than ``least`` characters, and not empty."""
    said = len(text.strip(_UNSEEN))
    return f"{said} characters, fewer than {least}" if 0 < said < least else None


def repeated(text: str, most: float) -> str | None:
    """More than the share ``most`` of its word 4-grams repeat others; without blanks between words, character 8-grams.

    After the repetition filters of Rae et al. 2021 (Gopher, appendix A), over n-grams of one width.
    """
    words = text.split()
    if len(words) * 15 < len(text):  # a script without blanks, or one endless word
        units: Sequence[str] = text
        width = 8
    else:
        units, width = words, 4
    total = len(units) - width + 1
    # Every different unit but the last ones begins an n-gram of its own: most texts need no more than this.
    if total < _REPEATS or 1.0 - (len(set(units)) - width + 1) / total <= most:
        return None
    grams = {tuple(units[i : i + width]) for i in range(total)}
    share = 1.0 - len(grams) / total
    return f"{share:.0%} of its {width}-grams repeat others, more than {most:.0%}" if share > most else None


def cut_off(text: str, siblings: Sequence[str]) -> str | None:
    """Ends in the middle of a sentence or of a code block, where the other responses to the prompt all end properly."""
    others = [other for other in siblings if other.strip()]
    if len(_WORD.findall(text)) < _LONG_ENOUGH or not others or any(map(_open_end, others)):
        return None
    return _open_end(text)


def _open_end(text: str) -> str | None:
    if text.count("```") % 2:
        return "ends inside a code block"
    match = _ENDS_OPEN.search(text[-20:])
    if match is None or unicodedata.category(match[0][0]) == "Lo":  # scripts that need no full stop
        return None
    return "ends in the middle of a sentence"


def other_language(text: str, prompt: str) -> str | None:
    """Most letters are of another script than most letters of the prompt.

    Scripts only: English and German are the same to this check, and translations are expected to be found by it.
    """
    wanted, found = script(prompt), script(text)
    if wanted is None or found is None or wanted == found:
        return None
    return f"written in {found}, the prompt in {wanted}"


def script(text: str) -> str | None:
    """The script of most letters at the beginning of the text; None where there are few, or no script has most."""
    counts: dict[str, int] = {}
    letters = [char for char in text[:_SCRIPT_SAMPLE] if char.isalpha()]
    if len(letters) < _SCRIPT_LETTERS:
        return None
    if text.isascii():
        return "Latin"
    for char in letters:
        name = unicodedata.name(char, "unknown").split(" ")[0].split("-")[0]
        key = "Japanese" if name in ("HIRAGANA", "KATAKANA") else "Chinese" if name == "CJK" else name.title()
        counts[key] = counts.get(key, 0) + 1
    if "Japanese" in counts and "Chinese" in counts:  # Japanese is written with both
        counts["Japanese"] += counts.pop("Chinese")
    best = max(sorted(counts), key=counts.__getitem__)
    return best if counts[best] >= _SCRIPT_SHARE * len(letters) else None


def wrong_encoding(text: str) -> str | None:
    """Replacement characters, or runs of letters that are UTF-8 read as cp1252."""
    if text.isascii():
        return None
    if "\ufffd" in text:
        return f"{text.count(chr(0xFFFD))} replacement characters"
    for match in _FOREIGN_RUN.finditer(text):
        if _misread(match[0]):
            return f'"{match[0][:10]}" is UTF-8 read as cp1252'
    return None


def _misread(run: str) -> bool:
    """True when the cp1252 bytes of the run are UTF-8; the five bytes without a character are taken from Latin-1.

    One letter alone must be a usual one: the bytes of "É»", which ends many a French title, are UTF-8 too.
    """
    try:
        data = b"".join(char.encode("latin-1" if char in "\x81\x8d\x8f\x90\x9d" else "cp1252") for char in run)
        meant = data.decode("utf-8")
    except UnicodeError:
        return False
    return len(meant) > 1 or "\u00a0" <= meant <= "\u017f" or "\u2000" <= meant <= "\u22ff"
