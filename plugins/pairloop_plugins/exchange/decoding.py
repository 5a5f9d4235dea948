"""From bytes to text: what kind of file it is, by its first bytes, and in which encoding, by all of them."""

import codecs
from dataclasses import dataclass

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAVE = "Save it as CSV (UTF-8) and put it here again."
_FOREIGN = (
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"{\\rtf", "a rich-text document"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3", "a database"),
)
_MARKUP = (b"<!doctype", b"<html", b"<table", b"<?xml")
ZIP = b"PK\x03\x04"


class Unreadable(ValueError):
    """The file as a whole cannot be read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text of a file; ``guessed``: nothing in the file says that it is in cp1252."""

    text: str
    guessed: bool = False


def refuse_foreign(data: bytes) -> None:
    """Raise for files that are no tables, by their first bytes.

    Raises:
        Unreadable: names what it is.
    """
    for magic, what in _FOREIGN:
        if data.startswith(magic):
            raise Unreadable(f"this is {what}, not CSV. {_SAVE}")
    if data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
        raise Unreadable(f"this is a web page or XML, not CSV. {_SAVE}")


def decode(data: bytes, encoding: str | None) -> Decoded:
    """The text: by its byte order mark, by the NULs of UTF-16, as UTF-8, else in ``encoding`` or cp1252.

    Damaged characters become U+FFFD: they matter only in the cells that are read, and are refused there.

    Raises:
        Unreadable: it is not in ``encoding``, or not in the one that it announces.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return Decoded(_decoded(data[len(mark) :], name))
    wide = _wide(data)
    if wide is not None:
        return Decoded(_decoded(data, wide))
    try:
        return Decoded(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3:  # cut in the middle of its last character
            return Decoded(data.decode("utf-8", "replace"))
    if encoding is None:
        return Decoded(data.decode("cp1252", "replace"), guessed=True)
    try:
        return Decoded(data.decode(encoding))
    except UnicodeError as error:
        raise Unreadable(f"it is neither UTF-8 nor {encoding} (backend.options.encoding): {error}. {_SAVE}") from error


def _decoded(data: bytes, name: str) -> str:
    """In UTF-8 damage stays where it is; in the wide encodings one lost byte changes all that follows."""
    try:
        return data.decode(name, "replace" if name == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise Unreadable(f"damaged at byte {error.start}: not {name} as its beginning says. {_SAVE}") from error


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: in its Latin letters every second byte is NUL."""
    start = data[:2000]
    odd, even = start[1::2].count(0), start[0::2].count(0)
    if max(odd, even) * 3 < len(start):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def recoded(cell: str, *, letters_only: bool) -> str | None:
    """A cell of a file whose encoding was guessed, or None where it may mean something else in another encoding.

    ASCII is the same everywhere; UTF-8 in the midst of other bytes is recognised; of the rest only the letters that
    cp1252 shares with Latin-1 are believed, and in free text its quotation marks and dashes too.
    """
    if cell.isascii():
        return cell
    try:
        return cell.encode("cp1252").decode("utf-8")
    except UnicodeError:
        pass
    believed = set(map(chr, range(0xC0, 0x100))) | (set() if letters_only else set("€…‘’“”„–—«»\xa0£°·¡¿"))
    return cell if all(char.isascii() or char in believed for char in cell) else None
