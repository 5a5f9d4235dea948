"""Reads the hand-written sentences that the demo is made of (``sentences/*.txt``, the format is explained there)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_TOPIC_FILES = ("topics_a.txt", "topics_b.txt", "topics_c.txt")
_MARKS = {"?": "questions", "=": "facts", ">": "steps", ".": "curt", "~": "vague", "!": "rude"}


@dataclass(frozen=True, slots=True)
class Topic:
    """What visitors ask about one thing, and what can be answered.

    Attributes:
        name: also the group of its prompts; thing: a noun phrase; terms: beginnings of key words ("x=": exactly x).
        questions, facts, steps, curt, vague, rude: whole sentences.
    """

    name: str
    thing: str
    terms: tuple[str, ...]
    questions: tuple[str, ...]
    facts: tuple[str, ...]
    steps: tuple[str, ...]
    curt: tuple[str, ...]
    vague: tuple[str, ...]
    rude: tuple[str, ...]


def _lines(name: str) -> Iterator[str]:
    text = files(__package__).joinpath("sentences", name).read_text(encoding="utf-8")
    return (line for line in text.splitlines() if line.strip() and not line.startswith("# "))


def _topic(header: str, body: Mapping[str, list[str]]) -> Topic:
    name, thing, terms = (part.strip() for part in header.split("|"))
    return Topic(name, thing, tuple(terms.split()), **{kind: tuple(body[kind]) for kind in _MARKS.values()})


@cache
def topics() -> tuple[Topic, ...]:
    """All topics in file order."""
    blocks: list[tuple[str, dict[str, list[str]]]] = []
    for name in _TOPIC_FILES:
        for line in _lines(name):
            if line.startswith("## "):
                blocks.append((line[3:], {kind: [] for kind in _MARKS.values()}))
            else:
                blocks[-1][1][_MARKS[line[0]]].append(line[2:].strip())
    return tuple(_topic(header, body) for header, body in blocks)


@cache
def phrases() -> Mapping[str, tuple[str, ...]]:
    """Sentences that fit every topic, by kind; ``{thing}`` stands for the topic's noun phrase."""
    kinds: dict[str, list[str]] = {}
    current: list[str] = []
    for line in _lines("phrases.txt"):
        if line.startswith("["):
            current = kinds.setdefault(line.strip("[]"), [])
        else:
            current.append(line)
    return {kind: tuple(lines) for kind, lines in kinds.items()}
