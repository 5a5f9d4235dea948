"""Verdicts: one line a pair for people and exports. Learning uses the votes themselves."""

from collections import Counter
from collections.abc import Iterable

from pairloop.records import Choice, Verdict, Vote


def verdicts(votes: Iterable[Vote]) -> list[Verdict]:
    """Aggregate votes by pair, in order of first appearance; a tie counts half.

    Skips do not count, and neither do votes of excluded annotators.
    """
    by_pair: dict[str, list[Choice]] = {}
    for vote in votes:
        if vote.choice is not Choice.SKIP and not vote.excluded:
            choice = vote.choice.mirrored() if vote.flipped else vote.choice
            by_pair.setdefault(vote.pair_id, []).append(choice)
    return [_verdict(pair, choices) for pair, choices in by_pair.items()]


def _verdict(pair: str, choices: list[Choice]) -> Verdict:
    for_first = sum({Choice.LEFT: 1.0, Choice.RIGHT: 0.0}.get(choice, 0.5) for choice in choices)
    most = Counter(choices).most_common(1)[0][1]
    return Verdict(pair, for_first / len(choices), len(choices), 1.0 - most / len(choices))
