"""How well annotators agree on the same pair.

Raw agreement is the probability that two different people who judged the same pair said the same (first, second or
tie; both-bad counts as a tie). Krippendorff's alpha corrects it for chance: ``α = 1 − D_o/D_e`` with observed and
expected disagreement (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", nominal data). 1 is perfect, 0
is what chance would give. Its interval is a seeded percentile bootstrap over groups.
"""

from dataclasses import dataclass

import numpy as np

from pairloop import metrics
from pairloop.annotators.alpha import krippendorff_alpha
from pairloop.metrics import Estimate
from pairloop.posterior import FloatArray, IntArray
from pairloop.report.estimates import share
from pairloop.report.table import SKIP, TIE, VoteTable
from pairloop.stopping import best_guess

FEWEST = 20  # pairs with two votes or more; fewer say nothing


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement between annotators.

    Attributes:
        pairs: pairs that two or more people judged; annotators: people among them.
        raw: agreement of two people, ties included; decisive: of two people who both chose a side.
        alpha: Krippendorff's alpha; None when everybody always said the same.
        ceiling: upper bound of the accuracy that any model can reach on single decisive votes of random pairs.
    """

    pairs: int
    annotators: int
    raw: Estimate | None
    decisive: Estimate | None
    alpha: Estimate | None
    ceiling: Estimate | None


def agreement(table: VoteTable) -> Agreement:
    """Agreement over all pairs with two votes or more."""
    rows = one_vote_each(table)
    counts, cluster = _counts(table, rows, SKIP)
    several = counts.sum(axis=1) >= 2
    counts, cluster = counts[several], cluster[several]
    shared = np.isin(table.pair[rows], np.unique(table.pair[rows])[several]) if len(rows) else rows
    people = len(np.unique(table.annotator[rows][shared])) if len(rows) else 0
    if len(counts) < FEWEST:
        return Agreement(len(counts), people, None, None, None, None)
    at_random = rows[table.uniform[rows]]
    bound = _agreed(*_counts(table, at_random, TIE))
    return Agreement(
        pairs=len(counts),
        annotators=people,
        raw=_agreed(counts, cluster),
        decisive=_agreed(*_counts(table, rows, TIE)),
        alpha=krippendorff_alpha(counts, cluster),
        ceiling=None if bound is None or bound.n < FEWEST else ceiling(bound),
    )


def one_vote_each(table: VoteTable) -> IntArray:
    """Rows of the votes that count: by people, not skipped, no gold item; the last one of each person on each pair."""
    rows = np.flatnonzero((table.outcome < SKIP) & table.counts)
    code = table.pair[rows] * max(len(table.annotators), 1) + table.annotator[rows]
    _, last = np.unique(code[::-1], return_index=True)
    return np.sort(rows[::-1][last])


def agreement_by_vote(table: VoteTable) -> FloatArray:
    """(N,) share of the other people on the same pair who said the same; NaN where there is nobody to compare with."""
    rows = one_vote_each(table)
    out = np.full(len(table), np.nan)
    if not len(rows):
        return out
    unit, index = np.unique(table.pair[rows], return_inverse=True)
    counts = np.zeros((len(unit), SKIP))
    np.add.at(counts, (index, table.preferred[rows]), 1)
    others = counts.sum(axis=1)[index] - 1
    same = counts[index, table.preferred[rows]] - 1
    kept = others > 0
    out[rows[kept]] = same[kept] / others[kept]
    return out


def ceiling(decisive: Estimate) -> Estimate:
    """Best possible accuracy on single decisive votes, from the agreement A of two people: at most (1 + √(2A − 1))/2.

    With q the share that prefers one side of a pair, A = E[q² + (1−q)²] and the best guess is right with probability
    E[max(q, 1−q)] = (1 + E|2q−1|)/2, which by Jensen's inequality is at most (1 + √E(2q−1)²)/2.
    """

    low, high = (None if a is None else best_guess(a) for a in (decisive.low, decisive.high))
    return Estimate(best_guess(decisive.value), low, high, decisive.n, decisive.clusters)


def _counts(table: VoteTable, rows: IntArray, categories: int) -> tuple[IntArray, IntArray]:
    """(U, categories) votes of each pair by what was preferred, and (U,) group; other categories are left out."""
    rows = rows[table.preferred[rows] < categories]
    if not len(rows):
        return np.zeros((0, categories), dtype=np.int64), np.zeros(0, dtype=np.int64)
    _, first, index = np.unique(table.pair[rows], return_index=True, return_inverse=True)
    counts = np.zeros((len(first), categories), dtype=np.int64)
    np.add.at(counts, (index, table.preferred[rows]), 1)
    return counts, np.asarray(table.group[rows][first])


def _agreed(counts: IntArray, cluster: IntArray) -> Estimate | None:
    """Probability that two votes on the same unit agree; units weigh by their votes, as in alpha. n counts units."""
    size = counts.sum(axis=1)
    kept = size >= 2
    if not kept.any():
        return None
    counts, size, cluster = counts[kept], size[kept], cluster[kept]
    agreed = (counts * (counts - 1)).sum(axis=1) / (size * (size - 1))
    found = metrics.clustered_mean(agreed, cluster, np.asarray(size, dtype=np.float64))
    plain = share(agreed, cluster)
    if found.low is None or found.high is None or plain is None or found.high - found.low < 1e-12:
        return plain
    return Estimate(found.value, max(found.low, 0.0), min(found.high, 1.0), found.n, found.clusters)
