"""Options of the backends ``csv`` and ``jsonl``."""

import codecs
from typing import Literal

from pydantic import Field, field_validator

from pairloop.kit.options import Options
from pairloop.kit.text import normalised
from pairloop.records import Choice
from pairloop_plugins.exchange.words import WORDS, spoken

_NAME = 100


class ExchangeOptions(Options):
    """What both backends have in common."""

    outbox: str = "outbox"
    """Folder into which questions are written, relative to the campaign's; files saved in place are read from there."""
    inbox: str = "inbox"
    """Folder into which filled-in files are put, under any name."""
    annotators: tuple[str, ...] = ()
    """One file for each of these people, replicas to different ones; none: one file for whoever has time."""
    unnamed: str = Field(default="unnamed", min_length=1, max_length=_NAME)
    """Who answered where a line names no annotator."""
    words: dict[str, Choice] = Field(default_factory=dict)
    """More words for answers, such as ``links = "left"``."""
    encoding: str | None = None
    """Encoding of files that say nothing about it and are not UTF-8; unset: cp1252 where that is unambiguous."""
    max_file_mb: float = Field(default=64.0, gt=0)
    """Larger files are refused."""
    max_rows: int = Field(default=1_000_000, ge=1)
    """Files with more lines are refused."""

    @field_validator("annotators")
    @classmethod
    def _different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name.strip() or len(name) > _NAME or not name.isprintable():
                raise ValueError(f"{name!r} is no name of an annotator: 1 to {_NAME} printable characters")
        if len({normalised(name) for name in names}) != len(names):
            raise ValueError("two annotators have the same name")
        return names

    @field_validator("words")
    @classmethod
    def _unambiguous(cls, words: dict[str, Choice]) -> dict[str, Choice]:
        for word, choice in words.items():
            if not spoken(word):
                raise ValueError(f"{word!r} is no word")
            if WORDS.get(spoken(word), choice) is not choice:
                raise ValueError(f"{word!r} means {WORDS[spoken(word)]!r} already")
        return words

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        try:
            if name is not None and not codecs.lookup(name)._is_text_encoding:
                raise LookupError(name)
        except LookupError as error:
            raise ValueError(f"there is no text encoding {name!r}; for example: cp1252, mac_roman, cp1251") from error
        return name


class CsvOptions(ExchangeOptions):
    """``[backend.options]`` of ``csv``."""

    separator: Literal["comma", "semicolon", "tab"] = "comma"
    """Between cells of what is written; Excel expects a semicolon where the decimal sign is a comma. All are read."""


class JsonlExchangeOptions(ExchangeOptions):
    """``[backend.options]`` of ``jsonl``."""

    shape: Literal["plain", "prodigy", "argilla"] = "plain"
    """What is written: a line a question, tasks of Prodigy's ``choice`` view, or records of Argilla. All are read."""
