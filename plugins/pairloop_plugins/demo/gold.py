"""The gold score of the demo: a stated formula that judges any reply to any prompt of the help desk.

With every letter a number in [0, 1] (see `Marks`)::

    raw   = F · (1.6·T + 1.0·P + 1.2·C·(1 + T)/2 + 0.7·E + 0.7·L) − 1.6·U − 1.2·R − 1.6·S − 0.8·V − 0.8·D − (1 − F)
    score = (raw − CENTRE) / SPREAD

It reads the prompt and the reply, nothing else; ``CENTRE`` and ``SPREAD`` make mean 0 and standard deviation 1 over the
responses that the demo ships. What it cannot see is in ``docs/demo-data.md``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pairloop.kit.text import plain
from pairloop.records import PromptContent
from pairloop_plugins.demo.language import (
    ACTIONS,
    COURTESY,
    NUMBERS,
    PLACES,
    Language,
    Subject,
    language,
    pairs_of,
    sentences,
    triples_of,
)

CENTRE = 2.757
SPREAD = 1.63
_LOUD = re.compile(r"\b[A-Z]{2,}\b")


@dataclass(frozen=True, slots=True)
class Marks:
    """What a reply gets marks for, each in [0, 1].

    Attributes:
        topic: T, words that belong to the prompt's topic; a word of the prompt itself counts only once in all.
        polite: P, two different words of courtesy make 1.
        concrete: C, a third each for a number or time, a place, a next step.
        ending: E, 1 if the last sentence ends as a sentence does and not everything is a question.
        length: L, 0 up to 3 words, 1 from 12 to 45, 0 from 80.
        fluent: F, (share of word pairs that were written) × (1 − half the share of word triples that were not).
        rude: U, two words or word triples that only rude people use make 1.
        shouted: S, half of the words in capitals make 1, and two exclamation marks in a row a quarter.
        evasive: V, two words that are only used to say nothing make 1.
        repeated: R, repeated word pairs: a quarter of all makes 1.
        empty: D, share of words in sentences without a topic word, a word of courtesy or a next step.
    """

    topic: float
    polite: float
    concrete: float
    ending: float
    length: float
    fluent: float
    rude: float
    shouted: float
    evasive: float
    repeated: float
    empty: float

    def raw(self) -> float:
        """The formula at the top of this file, before it is centred and scaled."""
        credit = 1.6 * self.topic + self.polite + 0.6 * self.concrete * (1.0 + self.topic) + 0.7 * self.ending
        credit = self.fluent * (credit + 0.7 * self.length)
        blame = 1.6 * self.rude + 1.2 * self.repeated + 1.6 * self.shouted + 0.8 * self.evasive + 0.8 * self.empty
        return credit - blame - (1.0 - self.fluent)


class _Reply:
    """Words of a reply, counted once for all marks."""

    __slots__ = ("language", "pairs", "sentences", "subject", "total", "triples", "words")

    def __init__(self, language: Language, subject: Subject, text: str) -> None:
        self.language = language
        self.subject = subject
        self.sentences = sentences(text)
        self.words = {word for words, _ in self.sentences for word in words}
        self.pairs = {pair for words, _ in self.sentences for pair in pairs_of(words)}
        self.triples = {triple for words, _ in self.sentences for triple in triples_of(words)}
        self.total = sum(len(words) for words, _ in self.sentences)


def _topic(reply: _Reply, asked: frozenset[str]) -> float:
    weights = reply.subject.weights
    hits = reply.words & weights.keys()  # weights are 1 and ½, so that sums do not depend on the order
    own = sum(weights[word] for word in hits - asked)
    echoed = sum(weights[word] for word in hits & asked)
    return min(1.0, (own + min(1.0, echoed)) / 3.0)


def _is_step(words: list[str]) -> bool:
    return words[0] in ACTIONS or (words[0] == "please" and len(words) > 1 and words[1] in ACTIONS)


def _concrete(reply: _Reply) -> float:
    number = not reply.words.isdisjoint(NUMBERS) or any(map(str.isdigit, reply.words))
    place = not reply.words.isdisjoint(PLACES)
    return (number + place + any(_is_step(words) for words, _ in reply.sentences)) / 3.0


def _ending(reply: _Reply) -> float:
    if not reply.sentences or all(mark == "?" for _, mark in reply.sentences):
        return 0.0
    words, mark = reply.sentences[-1]
    return float(bool(mark) and (words[-1], "$") in reply.language.pairs)


def _length(n: int) -> float:
    return max(0.0, min(1.0, (n - 3) / 9.0, (80 - n) / 35.0))


def _fluent(reply: _Reply) -> float:
    if not reply.total:
        return 0.0
    odd_pairs = len(reply.pairs - reply.language.pairs) / len(reply.pairs)
    odd_triples = len(reply.triples - reply.language.triples) / len(reply.triples)
    return (1.0 - odd_pairs) * (1.0 - odd_triples / 2.0)


def _repeated(reply: _Reply) -> float:
    share = 1.0 - len(reply.pairs) / (reply.total + len(reply.sentences)) if reply.total else 0.0
    return min(1.0, 4.0 * max(0.0, share - 0.05))


def _rude(reply: _Reply) -> float:
    hits = len(reply.words & reply.language.rude) + len(reply.triples & reply.language.rude_triples)
    return min(1.0, hits / 2.0)


def _empty(reply: _Reply) -> float:
    if not reply.total:
        return 1.0
    useful, idle = reply.subject.weights.keys(), 0
    for words, _ in reply.sentences:
        if useful.isdisjoint(words) and COURTESY.isdisjoint(words) and not _is_step(words):
            idle += len(words)
    return idle / reply.total


def marks(prompt: str, response: str) -> Marks:
    """All marks of a reply."""
    asked, subject = _prompt(prompt)
    reply = _Reply(language(), subject, response)
    loud = len(_LOUD.findall(response)) / max(reply.total, 1)
    return Marks(
        topic=_topic(reply, asked),
        polite=min(1.0, len(reply.words & COURTESY) / 2.0),
        concrete=_concrete(reply),
        ending=_ending(reply),
        length=_length(reply.total),
        fluent=_fluent(reply),
        rude=_rude(reply),
        shouted=min(1.0, 2.0 * loud + 0.25 * ("!!" in response)),
        evasive=min(1.0, len(reply.words & reply.language.evasive) / 2.0),
        repeated=_repeated(reply),
        empty=_empty(reply),
    )


@lru_cache(maxsize=4096)
def _prompt(prompt: str) -> tuple[frozenset[str], Subject]:
    words = frozenset(word for found, _ in sentences(prompt) for word in found)
    return words, language().subject(prompt)


@lru_cache(maxsize=16384)
def _score(prompt: str, response: str) -> float:
    """Annotators judge the same response many times."""
    return (marks(prompt, response).raw() - CENTRE) / SPREAD


class DemoGold:
    """Implements `pairloop.protocols.GoldScorer` by the formula at the top of this file."""

    def score(self, prompt: PromptContent, response: str, metadata: Mapping[str, Any]) -> float:
        """The gold score; about −3.5 (gibberish) to 1.5 (the best careful replies). ``metadata`` is not looked at."""
        return _score(plain(prompt), response)
