"""Texts of others, safe and honest on a page: escaped, and with nothing that cannot be seen.

Bidi overrides can make a text read as another one, zero-width and tag characters can hide instructions in it
(Boucher and Anderson 2021, "Trojan Source"). They are shown by their code points. Joiners (U+200C, U+200D) and
variation selectors belong to scripts and emoji and are left alone.
"""

import re
import unicodedata

from markupsafe import Markup, escape

SHOWN = 700  # characters before the fold
LIMIT = 20_000  # characters of a text that the page holds at all

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> Markup:
    """The text as HTML, invisible characters as marked code points."""
    out, start = [], 0
    for match in _INVISIBLE.finditer(text):
        out += [escape(text[start : match.start()]), _marked(match[0])]
        start = match.end()
    return Markup("").join([*out, escape(text[start:])])


def folded(text: str) -> tuple[str, str, int]:
    """(what is shown, what is folded, characters that were cut off): broken at a blank where there is one."""
    kept, cut = text[:LIMIT], max(len(text) - LIMIT, 0)
    if len(kept) <= SHOWN * 5 // 4:
        return kept, "", cut
    at = max(kept.rfind(" ", SHOWN // 2, SHOWN), kept.rfind("\n", SHOWN // 2, SHOWN))
    at = SHOWN if at < 0 else at + 1
    while at < len(kept) and unicodedata.combining(kept[at]):
        at += 1
    return kept[:at], kept[at:], cut


def one_line(text: str, limit: int = 80) -> Markup:
    """A name or a reason: cut to ``limit`` characters."""
    return visible(text if len(text) <= limit else text[: limit - 1] + "…")


def _marked(character: str) -> Markup:
    name = unicodedata.name(character, "control character").lower()
    return Markup('<span class="ctl" title="{}">U+{:04X}</span>').format(name, ord(character))
