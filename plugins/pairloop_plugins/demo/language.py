"""What the gold score knows about the demo's language, all of it computed from the hand-written sentences."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from pairloop_plugins.demo.written import Topic, phrases, topics

_TOKEN = re.compile(r"[\w']+|[.!?]")
_RARE = 6  # topics
_SURE = 0.2  # one key term that ten topics share
_ASKED = 0.15  # of the word pairs of a prompt that makes sense
_START, _STOP = "^", "$"

Pair = tuple[str, str]
Triple = tuple[str, str, str]


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


NUMBERS = _listed(
    """two three four five six seven eight nine ten eleven twelve fourteen fifteen sixteen twenty thirty forty fifty
    sixty eighty ninety hundred half once twice noon midnight morning evening monday tuesday wednesday thursday friday
    saturday sunday easter january march may june july august september october november spring summer autumn minute
    minutes hour hours euro euros cents free"""
)
PLACES = _listed(
    """desk floor door room street shelf table entrance hall basement stairs garden website app machine bar box corner
    window office page button rack garage station stop market roof wall locker lockers kitchen drawers column van
    newspapers copier lift scanner socket school form card mail account"""
)
ACTIONS = _listed(
    """ask book bring buy call check choose come count fetch fill follow get give go hand hang keep lay leave let load
    lock look move pick press push put read reserve save send show sign sit start step take tell tie try turn type use
    walk wash wait write"""
)
COURTESY = _listed(
    """thank thanks please welcome glad happy sorry pleasure hope enjoy wish regards look forward kind best nice dear
    hello"""
)
_CLARIFYING = _listed("understand question message once ask again need mean write name call")
_FUNCTION = _listed(
    """the a an of and but if or so then when why what which who how where is are was do does did i my me you your we it
    in on at to for from with more than most now this that not no yes there have has can may must would hello please
    thank thanks"""
)
_COMMON = _FUNCTION | _listed(
    """after again ahead also always another any anyone anything been before but does done each else enough
    every everyone everything get gets goes gone got had he her here him his how into its itself just keeps like much
    must nearly never nobody none nothing off only other others our ours over own same say says she should some somebody
    someone soon still such than their them then there these they thing things third those through too under unless
    until very was well were what whatever when where whether which while whole will within without would yourself"""
)


def sentences(text: str) -> list[tuple[list[str], str]]:
    """Words of each sentence in lower case, with the mark that ends it ("" for none)."""
    found: list[tuple[list[str], str]] = []
    words: list[str] = []
    for piece in _TOKEN.findall(text.lower()):
        if piece in ".!?":
            if words:
                found.append((words, piece))
                words = []
        else:
            words.append(piece)
    if words:
        found.append((words, ""))
    return found


def pairs_of(words: list[str]) -> list[Pair]:
    """Neighbouring words of a sentence and its two ends."""
    return list(pairwise([_START, *words, _STOP]))


def triples_of(words: list[str]) -> list[Triple]:
    """Three words in a row of a sentence and its two ends."""
    marked = [_START, *words, _STOP]
    return list(zip(marked, marked[1:], marked[2:], strict=False))


def _all_words(lines: Iterable[str]) -> set[str]:
    return {word for line in lines for words, _ in sentences(line) for word in words}


def _answers(topic: Topic) -> tuple[str, ...]:
    return topic.facts + topic.steps + topic.curt


def _clean_lines() -> Iterator[str]:
    general = [line for kind, lines in phrases().items() if kind != "bad-prompt" for line in lines]
    for topic in topics():
        yield from _answers(topic) + topic.vague + topic.rude
        yield from (line.format(thing=topic.thing) for line in general)


def _begins(word: str, term: str) -> bool:
    return word == term[:-1] if term.endswith("=") else word.startswith(term)


@dataclass(frozen=True, slots=True)
class Subject:
    """A topic as the gold score sees it: ``weights`` says how much each word of an answer is to the point."""

    name: str
    weights: dict[str, float]


@dataclass(frozen=True, slots=True)
class Language:
    """Tables over the demo's language.

    Attributes:
        pairs, triples: neighbouring words in the hand-written sentences, "^" and "$" standing for their ends.
        rude, rude_triples: words and triples that are found in rude sentences only.
        evasive: words that are found in vague or over-promising sentences only.
        asked: word pairs of visitors' questions.
        cues: topic index → word → weight, to find the topic of a prompt; function words have no weight.
        subjects: the topics, in the same order; puzzled: what a reply to a meaningless prompt should be about.
    """

    pairs: frozenset[Pair]
    triples: frozenset[Triple]
    rude: frozenset[str]
    rude_triples: frozenset[Triple]
    evasive: frozenset[str]
    asked: frozenset[Pair]
    cues: tuple[dict[str, float], ...]
    subjects: tuple[Subject, ...]
    puzzled: Subject

    def subject(self, prompt: str) -> Subject:
        """The topic of a prompt; a prompt that belongs to none has to be asked about."""
        words = _all_words([prompt])
        scores = [sum(sorted(cue.get(word, 0.0) for word in words)) for cue in self.cues]
        best = max(range(len(scores)), key=scores.__getitem__)
        return self.subjects[best] if scores[best] >= _SURE and self._is_question(prompt) else self.puzzled

    def _is_question(self, prompt: str) -> bool:
        pairs = [pair for words, _ in sentences(prompt) for pair in pairs_of(words)]
        return sum(pair in self.asked for pair in pairs) >= _ASKED * len(pairs)


def _only_in(lines: Iterable[str], others: Iterable[str]) -> frozenset[str]:
    return frozenset(_all_words(lines) - _all_words(others))


def _weights(topic: Topic, spread: Counter[str]) -> dict[str, float]:
    """1 for a word that few topics share, ½ for a key term that many share."""
    weights: dict[str, float] = {}
    for word in sorted(_all_words(_answers(topic)) | _all_words([topic.thing])):
        key = any(_begins(word, term) for term in topic.terms)
        if spread[word] <= _RARE and len(word) > 2 and word not in _COMMON:
            weights[word] = 1.0
        elif key:
            weights[word] = 0.5
    return weights


def _cues(found: list[tuple[Topic, set[str]]]) -> tuple[dict[str, float], ...]:
    spread = Counter(word for _, words in found for word in words)
    return tuple(
        {
            word: (1.0 + any(_begins(word, term) for term in topic.terms)) / spread[word]
            for word in sorted(words)
            if word not in _FUNCTION
        }
        for topic, words in found
    )


def _pairs(lines: Iterable[str]) -> frozenset[Pair]:
    return frozenset(pair for line in lines for words, _ in sentences(line) for pair in pairs_of(words))


def _triples(lines: Iterable[str]) -> frozenset[Triple]:
    return frozenset(triple for line in lines for words, _ in sentences(line) for triple in triples_of(words))


@cache
def language() -> Language:
    """The tables; they take about a tenth of a second, once a process."""
    said = phrases()
    rude = [*said["rude"], *said["shout"], *(line for topic in topics() for line in topic.rude)]
    evasive = [*said["vague"], *said["promise"]]
    useful = [line for topic in topics() for line in (*_answers(topic), *topic.questions, topic.thing)]
    useful += [*said["open"], *said["soft"], *said["unclear"], *said["ramble"]]
    spread = Counter(word for topic in topics() for word in _all_words(_answers(topic)))
    lines = list(_clean_lines())
    decent = [*useful, *evasive]
    return Language(
        pairs=_pairs(lines),
        triples=_triples(lines),
        rude=_only_in(rude, decent),
        rude_triples=_triples(rude) - _triples(decent),
        evasive=_only_in(evasive, [*useful, *rude]),
        asked=_pairs(line for topic in topics() for line in topic.questions),
        cues=_cues([(topic, _all_words([*topic.questions, topic.thing])) for topic in topics()]),
        subjects=tuple(Subject(topic.name, _weights(topic, spread)) for topic in topics()),
        puzzled=Subject("", dict.fromkeys(sorted(_CLARIFYING), 1.0)),
    )
