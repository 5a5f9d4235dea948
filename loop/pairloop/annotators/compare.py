"""What methods of the literature say about the same annotators."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from pairloop.annotators.facts import Quality, first_judgements
from pairloop.errors import UsageError
from pairloop.protocols import Aggregator, Labels
from pairloop.records import AnnotatorKind, Arm, Choice, Vote
from pairloop.store import Store

FEWEST = 10  # votes of an annotator who takes part in the rank correlation


@dataclass(frozen=True, slots=True)
class Comparison:
    """One method.

    Attributes:
        skill: by annotator, in the method's own unit (bigger is better); without those it says nothing about.
        correlation: Spearman's, with 1 − flip rate of the reward model's fit, over those with `FEWEST` votes or more;
            None with fewer than five of them, or where the method has no skills.
    """

    skill: dict[str, float]
    correlation: float | None


def compare(store: Store, found: Quality, method: Aggregator) -> Comparison:
    """Aggregate the votes of people on pairs without a known answer.

    Raises:
        UsageError: there is no such vote.
    """
    votes = [vote for vote in first_judgements(store.annotations.votes()) if _counts(vote)]
    if not votes:
        raise UsageError("there are no votes of people to aggregate", "Collect some: pairloop run")
    names = sorted({vote.annotator for vote in votes})
    skill = method(labels_of(votes, names)).skill
    by_name = {name: float(skill[i]) for i, name in enumerate(names) if i < len(skill) and not np.isnan(skill[i])}
    rows = [
        (by_name[person.name], 1.0 - person.fit["flip_rate"])
        for person in found.annotators
        if person.name in by_name and "flip_rate" in person.fit and person.numbers.votes >= FEWEST
    ]
    if len(rows) < 5 or any(np.ptp(column) == 0 for column in zip(*rows, strict=True)):
        return Comparison(by_name, None)
    skills, fitted = (list(column) for column in zip(*rows, strict=True))
    return Comparison(by_name, float(spearmanr(skills, fitted).statistic))


def labels_of(votes: list[Vote], names: list[str]) -> Labels:
    """These votes as methods want them."""
    people = {name: i for i, name in enumerate(names)}
    pairs = {pair: i for i, pair in enumerate(dict.fromkeys(vote.pair_id for vote in votes))}
    ends = {vote.pair_id: (vote.right, vote.left) if vote.flipped else (vote.left, vote.right) for vote in votes}
    response = {name: i for i, name in enumerate(dict.fromkeys(end for pair in pairs for end in ends[pair]))}
    return Labels(
        pair=np.array([pairs[vote.pair_id] for vote in votes], dtype=np.int64),
        annotator=np.array([people[vote.annotator] for vote in votes], dtype=np.int64),
        choice=np.array([_choice(vote) for vote in votes], dtype=np.int64),
        flipped=np.array([vote.flipped for vote in votes], dtype=bool),
        first=np.array([response[ends[pair][0]] for pair in pairs], dtype=np.int64),
        second=np.array([response[ends[pair][1]] for pair in pairs], dtype=np.int64),
    )


def _counts(vote: Vote) -> bool:
    person = vote.kind is not AnnotatorKind.MODEL and not vote.excluded
    return person and vote.choice is not Choice.SKIP and vote.arm is not Arm.GOLD


def _choice(vote: Vote) -> int:
    if not vote.choice.is_decisive:
        return 2
    return int((vote.choice is Choice.LEFT) == vote.flipped)
