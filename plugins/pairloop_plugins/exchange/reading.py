"""From the bytes of a file to what people said in it, or to all that is wrong with it: never to a part."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pairloop.kit.ids import is_key
from pairloop.kit.text import clean
from pairloop.records import Choice
from pairloop_plugins.exchange.decoding import ZIP, Unreadable, decode, refuse_foreign
from pairloop_plugins.exchange.json_rows import looks_like_json, read_json
from pairloop_plugins.exchange.options import ExchangeOptions
from pairloop_plugins.exchange.rows import Row, fingerprint
from pairloop_plugins.exchange.tables import read_table
from pairloop_plugins.exchange.words import Unclear, bare, choice_of, name_of, number_of, quoted, spoken
from pairloop_plugins.exchange.workbooks import read_workbook

T = TypeVar("T")
STRENGTH = (0, 100)
RATING = (1, 5)
MINUTES = (0, 24 * 60)
REASON = 32_767
MOST_PROBLEMS = 1000
"""Problems of a file that are kept; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions that were published.

    Attributes:
        people: by key, who was asked; None: anybody.
        texts: keys by the `fingerprint` of the two responses, as they stand in cells.
    """

    people: Mapping[str, str | None]
    texts: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Statement:
    """What one person says about one question; ``choice`` None takes an earlier answer back."""

    key: str
    annotator: str
    choice: Choice | None
    strength: int | None = None
    prompt_rating: int | None = None
    reason: str | None = None
    seconds: float | None = None
    submitted_at: str | None = None

    def content(self) -> dict[str, object]:
        """All but the key and the person."""
        return {
            "choice": None if self.choice is None else self.choice.value, "strength": self.strength,
            "prompt_rating": self.prompt_rating, "reason": self.reason, "seconds": self.seconds,
            "submitted_at": self.submitted_at,
        }  # fmt: skip


class Refusal(Exception):
    """A file that is not taken; every problem is a sentence that begins with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = tuple(clean(problem) for problem in problems)


def read_file(data: bytes, options: ExchangeOptions, asked: Asked) -> list[Statement]:
    """Everything that people say in a file.

    Args:
        asked: the questions that were published.

    Raises:
        Refusal: the file, or any line of it, cannot be understood.
    """
    try:
        rows = list(_rows(data, options, asked))
    except Unreadable as error:
        raise Refusal([str(error)]) from error
    return _understood(rows, options, asked)


def _rows(data: bytes, options: ExchangeOptions, asked: Asked) -> Iterable[Row]:
    if not data.strip(b"\x00 \t\r\n"):
        raise Unreadable("the file is empty. Put the filled-in file here again, or delete this one.")
    if data.startswith(ZIP):
        return read_workbook(data, options.max_file_mb * 1e6, options.max_rows)
    refuse_foreign(data)
    decoded = decode(data, options.encoding)
    if looks_like_json(decoded.text):
        if decoded.guessed:
            raise Unreadable("JSON must be UTF-8")
        return read_json(decoded.text, options.max_rows)
    return read_table(decoded, options.max_rows, asked.people)


def _understood(rows: list[Row], options: ExchangeOptions, asked: Asked) -> list[Statement]:
    words = {spoken(word): choice for word, choice in options.words.items()}
    names = {spoken(name): name for name in options.annotators}
    problems: list[str] = []
    found: dict[tuple[str, str], tuple[Statement, str]] = {}
    for row in rows:
        try:
            said = _statement(row, options.unnamed, words, names, asked)
        except Unclear as unclear:
            problems += [f"{row.where}, {line}" for line in str(unclear).split("\n")]
            continue
        if said is None:
            continue
        person = (said.key, said.annotator)
        earlier, place = found.get(person, (said, row.where))
        try:
            found[person] = (merged(earlier, said), place)
        except Unclear as unclear:
            problems.append(f"{row.where}, {unclear} as in {place}: leave one answer to {said.key} by {said.annotator}")
    if problems:
        raise Refusal(problems)
    return [said for said, _ in found.values()]


def _statement(
    row: Row, unnamed: str, words: Mapping[str, Choice], names: Mapping[str, str], asked: Asked
) -> Statement | None:
    """What a row says; None when it says nothing.

    Raises:
        Unclear: everything that is wrong with it, a line each.
    """
    if row.problem is not None:
        raise Unclear(row.problem)
    if row.cell("key").lstrip().startswith("#"):
        return None
    key = _key(row, asked)
    if not bare(row.cell("choice")):
        return None
    _require_own_texts(key, row, asked)
    cells = _Cells(row)
    said = Statement(
        key=key,
        annotator=cells.read("annotator", lambda cell: name_of(cell, names)) or asked.people[key] or unnamed,
        choice=cells.read("choice", lambda cell: choice_of(cell, words)),
        strength=cells.whole("strength", *STRENGTH),
        prompt_rating=cells.whole("prompt_rating", *RATING),
        reason=cells.read("reason", _reason),
        seconds=_seconds(cells),
        submitted_at=row.submitted_at,
    )
    if cells.wrong:
        raise Unclear("\n".join(cells.wrong))
    return said


class _Cells:
    """The cells of a row, and what is wrong with them."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self.wrong: list[str] = []

    def read(self, column: str, reader: Callable[[str], T]) -> T | None:
        """What a cell says; None when it is empty or wrong."""
        cell = self._row.cell(column)
        try:
            return reader(cell) if bare(cell) else None
        except Unclear as unclear:
            self.wrong.append(f"{column}: {unclear}")
            return None

    def whole(self, column: str, low: int, high: int) -> int | None:
        """A whole number."""
        number = self.read(column, lambda cell: number_of(cell, low, high, whole=True))
        return None if number is None else int(number)


def _key(row: Row, asked: Asked) -> str:
    """The key of a row, which must be one that was published.

    Raises:
        Unclear: it is missing, damaged, or of another campaign.
    """
    cell = row.cell("key")
    key = bare(cell).casefold()
    if key in asked.people:
        return key
    if not key:
        raise Unclear("key: is missing. If this line belongs to the one above it, put the lines back as they were")
    if is_key(key):
        raise Unclear(f"key: {quoted(cell)} was never asked by this campaign: does this file belong to another one?")
    raise Unclear(f"key: {quoted(cell)} is damaged: copy the key from the file that was written")


def _require_own_texts(key: str, row: Row, asked: Asked) -> None:
    """Texts may be damaged or missing; but whole ones of another question mean that columns were sorted apart.

    Raises:
        Unclear: they belong to another key.
    """
    owners = asked.texts.get(fingerprint(row.cell("left"), row.cell("right")))
    if owners and key not in owners:
        raise Unclear(
            f"key: the texts beside {key} are those of {min(owners)}: was a column sorted without the others, or are"
            " lines run together? Answer in a fresh copy of the file"
        )


def _reason(cell: str) -> str:
    text = clean(cell).strip()
    if text.startswith("'"):
        text = text[1:]  # the apostrophe by which a spreadsheet marks text
    if len(text) > REASON:
        raise Unclear(f"has {len(text):,} characters; at most {REASON:,} are kept: shorten it")
    return text


def _seconds(cells: _Cells) -> float | None:
    minutes = cells.read("minutes", lambda cell: number_of(cell, *MINUTES, whole=False))
    seconds = cells.read("seconds", lambda cell: number_of(cell, 0, MINUTES[1] * 60, whole=False))
    if minutes is None:
        return seconds
    if seconds is not None and abs(60 * minutes - seconds) > 1:
        cells.wrong.append("minutes: do not agree with the seconds beside them: leave one of the two")
    return round(60 * minutes, 3) if seconds is None else seconds


def merged(one: Statement, other: Statement) -> Statement:
    """Both together; what only one of them says is kept.

    Raises:
        Unclear: they contradict each other.
    """
    if one.choice is not other.choice:
        raise Unclear(f"choice: {_said(other)} is not {_said(one)}")
    parts: dict[str, object] = {}
    for name in ("strength", "prompt_rating", "reason", "seconds"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine is not None and theirs is not None and mine != theirs:
            raise Unclear(f"{name}: {quoted(str(theirs))} is not {quoted(str(mine))}")
        parts[name] = mine if mine is not None else theirs
    moments = [moment for moment in (one.submitted_at, other.submitted_at) if moment is not None]
    return replace(one, submitted_at=max(moments, default=None), **parts)  # type: ignore[arg-type]


def _said(statement: Statement) -> str:
    return quoted("retract" if statement.choice is None else statement.choice.value.replace("_", " "))
