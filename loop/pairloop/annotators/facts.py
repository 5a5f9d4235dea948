"""The quality of a campaign's annotators, from a store that is only read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pairloop.annotators.alpha import krippendorff_alpha
from pairloop.annotators.flags import Flag, flags
from pairloop.annotators.judged import FIRST, NOT_GOLD, SECOND, SKIP, TIE, Judged, matches
from pairloop.annotators.numbers import Numbers, measure, share
from pairloop.metrics import Estimate
from pairloop.records import AnnotatorKind, Arm, Choice, Vote
from pairloop.store import Store
from pairloop.store.quality import Decision

_PREFERENCE = {Choice.TIE: TIE, Choice.BOTH_BAD: TIE, Choice.SKIP: SKIP}
_ANSWER = {"first": FIRST, "second": SECOND, "tie": TIE}
_SUSPECT_VOTES = 5
FEWEST_PAIRS = 20


@dataclass(frozen=True, slots=True)
class Annotator:
    """One annotator.

    Attributes:
        kind: "human", "model" or "simulated". decision: who excluded them, where somebody did.
        fit: what the current reward model found out (flip rate, spammer probability, position bias …), by name.
        flags: significant tests.
    """

    name: str
    kind: str
    numbers: Numbers
    decision: Decision | None
    fit: Mapping[str, float]
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class GoldFacts:
    """How a gold item fared: share of right answers, and whether most people give another answer."""

    pair_id: str
    line: int
    active: bool
    right: Estimate | None
    suspect: bool


@dataclass(frozen=True, slots=True)
class Quality:
    """All annotators, most votes first.

    Attributes:
        shared: pairs with votes of two people or more, gold items apart.
        alpha: Krippendorff's alpha of people on those, with a bootstrap interval over pairs; None below
            `FEWEST_PAIRS`, or where everybody always said the same. alpha_random: the same on pairs that were drawn at
            random (control arm and holdout): there, selection has not chosen what is easy or hard.
        tests: how many tests were made.
    """

    annotators: tuple[Annotator, ...]
    shared: int
    alpha: Estimate | None
    alpha_random: Estimate | None
    gold: tuple[GoldFacts, ...]
    tests: int

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        found: dict[str, Any] = asdict(self)
        return found


def quality(store: Store) -> Quality:
    """Everything that is known about the annotators of a campaign."""
    votes = first_judgements(store.annotations.votes())
    judged = read_judged(store, votes)
    found, made = flags(judged)
    row = store.models.current("reward")
    fit: Mapping[str, Mapping[str, float]] = {} if row is None else row.report.get("annotators") or {}
    kinds = {vote.annotator: vote.kind for vote in votes}
    decided = store.quality.excluded()
    people = [
        Annotator(
            name=name,
            kind=kinds[name].value,
            numbers=numbers,
            decision=decided.get(name),
            fit=dict(fit.get(name, {})),
            flags=tuple(flag for flag in found if flag.annotator == number),
        )
        for number, (name, numbers) in enumerate(zip(judged.names, measure(judged), strict=True))
    ]
    random = np.array([vote.arm in (Arm.RANDOM, Arm.HOLDOUT) for vote in votes], dtype=bool)
    shared, alpha = _alpha(judged, judged.compared)
    return Quality(
        annotators=tuple(sorted(people, key=lambda person: (-person.numbers.votes, person.name))),
        shared=shared,
        alpha=alpha,
        alpha_random=_alpha(judged, judged.compared & random)[1],
        gold=_gold_facts(store, judged, votes),
        tests=made,
    )


def first_judgements(votes: list[Vote]) -> list[Vote]:
    """One vote of each person on each pair: the first judgement; a skip counts where nothing else came."""
    found: dict[tuple[str, str], Vote] = {}
    for vote in votes:
        person = (vote.pair_id, vote.annotator)
        if person not in found or found[person].choice is Choice.SKIP:
            found[person] = vote
    return sorted(found.values(), key=lambda vote: vote.seq)


def read_judged(store: Store, votes: list[Vote]) -> Judged:
    """These votes as columns."""
    names = tuple(sorted({vote.annotator for vote in votes}))
    number = {name: i for i, name in enumerate(names)}
    item = {pair: i for i, pair in enumerate(dict.fromkeys(vote.pair_id for vote in votes))}
    kind = {vote.annotator: vote.kind for vote in votes}
    excluded = {vote.annotator for vote in votes if vote.excluded}
    answers = {row.pair_id: _ANSWER[row.answer] for row in store.quality.gold()}
    words = {response.id: len(response.text.split()) for response in store.pool.responses()}
    predicted = store.models.predictions()
    return Judged(
        names=names,
        machine=np.array([kind[name] is AnnotatorKind.MODEL for name in names], dtype=bool),
        excluded=np.array([name in excluded for name in names], dtype=bool),
        annotator=np.array([number[vote.annotator] for vote in votes], dtype=np.int64),
        item=np.array([item[vote.pair_id] for vote in votes], dtype=np.int64),
        round=np.array([vote.round for vote in votes], dtype=np.int64),
        preferred=np.array([_preferred(vote) for vote in votes], dtype=np.int64),
        left=np.array([vote.choice is Choice.LEFT for vote in votes], dtype=bool),
        answer=np.array([answers.get(vote.pair_id, NOT_GOLD) for vote in votes], dtype=np.int64),
        seconds=np.array([np.nan if v.seconds is None else v.seconds for v in votes], dtype=np.float64),
        words=np.array([words[vote.left] + words[vote.right] for vote in votes], dtype=np.float64),
        p_chosen=np.array([_p_chosen(vote, predicted.get(vote.seq)) for vote in votes], dtype=np.float64),
    )


def _preferred(vote: Vote) -> int:
    if vote.choice in _PREFERENCE:
        return _PREFERENCE[vote.choice]
    return SECOND if (vote.choice is Choice.LEFT) == vote.flipped else FIRST


def _p_chosen(vote: Vote, p_left: float | None) -> float:
    if p_left is None or not vote.choice.is_decisive:
        return float("nan")
    return p_left if vote.choice is Choice.LEFT else 1.0 - p_left


def _alpha(judged: Judged, rows: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[int, Estimate | None]:
    """(pairs with two votes or more, alpha over them)."""
    if not rows.any():
        return 0, None
    counts = np.zeros((int(judged.item.max()) + 1, SKIP), dtype=np.int64)
    np.add.at(counts, (judged.item[rows], judged.preferred[rows]), 1)
    counts = counts[counts.sum(axis=1) >= 2]
    if len(counts) < FEWEST_PAIRS:
        return len(counts), None
    return len(counts), krippendorff_alpha(counts, np.arange(len(counts)))


def _gold_facts(store: Store, judged: Judged, votes: list[Vote]) -> tuple[GoldFacts, ...]:
    right = matches(judged, np.where(judged.gold, judged.answer, -1))
    excluded = judged.excluded[judged.annotator] if len(judged) else np.zeros(0, dtype=bool)
    by_pair: dict[str, list[float]] = {}
    for row, vote in enumerate(votes):
        if not np.isnan(right[row]) and not excluded[row]:
            by_pair.setdefault(vote.pair_id, []).append(float(right[row]))
    out = []
    for item in store.quality.gold():
        found = by_pair.get(item.pair_id, [])
        suspect = len(found) >= _SUSPECT_VOTES and sum(found) < len(found) / 2
        out.append(GoldFacts(item.pair_id, item.line, item.active, share(np.array(found)), suspect))
    return tuple(out)
