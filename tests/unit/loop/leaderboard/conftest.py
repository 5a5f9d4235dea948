"""Votes between models, written by hand or drawn."""

from collections.abc import Iterable

import numpy as np

from pairloop.leaderboard import Ballots, collect
from pairloop.leaderboard.ballots import Judgement
from pairloop.records import AnnotatorKind, Choice

OUTCOMES = {">": Choice.LEFT, "<": Choice.RIGHT, "=": Choice.TIE}


def judgement(one: str, outcome: str, other: str, annotator: str = "ann", prompt: str = "p") -> Judgement:
    return Judgement(
        ((one,), (other,)), (f"{one} says", f"{other} says"), annotator, AnnotatorKind.HUMAN, OUTCOMES[outcome], prompt
    )


def ballots(*votes: str, annotators: int = 3, prompts: int = 4) -> Ballots:
    """From ``"a > b"``, ``"a = b"`` …, spread over annotators and prompts."""
    return collect(
        judgement(*vote.split(), annotator=f"w{i % annotators}", prompt=f"p{i % prompts}")
        for i, vote in enumerate(votes)
    )


def drawn(
    theta: Iterable[float], n: int, seed: int, *, annotators: int = 12, prompts: int = 15, nu: float = 0.5,
    liked: float = 0.0,
) -> Ballots:  # fmt: skip
    """Votes of Davidson's model; ``liked``: standard deviation of what each annotator adds to a model."""
    rng, values = np.random.default_rng(seed), np.array(list(theta))
    m = len(values)
    a = rng.integers(0, m, n)
    b = (a + rng.integers(1, m, n)) % m
    annotator, prompt = rng.integers(0, annotators, n), rng.integers(0, prompts, n)
    taste = values + liked * rng.normal(size=(annotators, m))
    d = taste[annotator, a] - taste[annotator, b]
    weights = np.stack([np.exp(d / 2), np.full(n, nu), np.exp(-d / 2)], axis=1)
    outcome = (rng.random(n)[:, None] > np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)).sum(axis=1)
    return collect(
        judgement(f"m{a[i]}", ">=<"[outcome[i]], f"m{b[i]}", f"w{annotator[i]}", f"p{prompt[i]}") for i in range(n)
    )
