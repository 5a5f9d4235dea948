"""Flags: tests that an annotator does worse than can be explained by chance, with false alarms under control.

Every flag is a one-sided test with its own null hypothesis, written so that people who are merely a bit worse, faster
or fonder of one side than others are *within* the null:

=========  ============================================================================================================
gold       the annotator is right on gold items at least as often as others on the same items, or in 80 % of cases,
           whichever is less (Poisson–binomial); a wrong answer key, which everybody "fails", accuses nobody
chance     agreement with what can be known is at least halfway between chance and what others reach (likelihood ratio).
           Known is, vote by vote, the answer of a gold item, else what most others said, else a sure prediction that
           the model made before it learned from the vote
one-sided  neither side is chosen in more than 65 % of decisive votes (binomial, both sides)
fast       at most 40 % of the votes took less than a quarter of the time that others take (binomial)
copies     agreement with no other annotator is beyond halfway from what the two reach with others to perfect (binomial,
           times the number of partners); what two reach is λ_a λ_b, from a one-factor model of all signed agreements
           (Spearman 1904) that has not seen the two together
drift      agreement with what can be known does not fall over time, compared with others in the same rounds (score test
           of a trend in a logistic regression, Cox & Snell 1989)
=========  ============================================================================================================

Over all annotators and tests the false discovery rate is controlled at 5 % (Benjamini & Hochberg 1995). Where nobody is
guilty that bounds the chance of *any* flag; ``docs/annotators.md`` has what was measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.sparse import csr_matrix
from scipy.special import expit, logit
from scipy.stats import binom, false_discovery_control, norm

from pairloop.annotators.judged import FIRST, SKIP, Judged, matches, references, relative_seconds
from pairloop.annotators.numbers import FAST
from pairloop.posterior import FloatArray, IntArray

LEVEL = 0.05
"""False discovery rate over all annotators and tests."""
FEWEST = 8
"""Votes below which a test is not made; it could hardly ever be significant."""
_GOLD_FLOOR, _ONE_SIDED, _FAST_ALLOWED = 0.8, 0.65, 0.4
_PRIOR_VOTES = 4.0  # of everybody's accuracy in an item's, 10 of mean agreement in an annotator's
_PRIOR_AGREEMENT = 10.0
_LEAST_AGREEMENT = 0.05  # above chance: where people agree no more than this, disagreeing proves nothing
_DRIFT_FEWEST = 20
_SWEEPS = 30
_MOST_PARTNERS = 3_000  # annotators for whom all partners are looked at


@dataclass(frozen=True, slots=True)
class Flag:
    """One significant test.

    Attributes:
        annotator: number. test: its name. p: p-value; adjusted: p-value adjusted over all tests.
        evidence: a sentence with the numbers.
    """

    annotator: int
    test: str
    p: float
    adjusted: float
    evidence: str


@dataclass(frozen=True, slots=True)
class Test:
    """A test that was made."""

    annotator: int
    name: str
    p: float
    evidence: str


def flags(votes: Judged, level: float = LEVEL) -> tuple[list[Flag], int]:
    """(the significant tests, smallest p first; how many tests were made)."""
    made = tests(votes)
    if not made:
        return [], 0
    adjusted = false_discovery_control([test.p for test in made], method="bh")
    found = [
        Flag(test.annotator, test.name, test.p, float(a), test.evidence)
        for test, a in zip(made, adjusted, strict=True)
        if a <= level
    ]
    return sorted(found, key=lambda flag: (flag.p, flag.annotator, flag.test)), len(made)


def tests(votes: Judged) -> list[Test]:
    """All tests that there are enough votes for."""
    gold = matches(votes, references(votes)[0])
    known = best_known(votes)
    made: list[Test] = []
    for number, rows in enumerate(_rows(votes)):
        made += _gold(votes, gold, number, rows)
        made += _chance(votes, known, number, rows)
        made += _one_sided(votes, number, rows)
        made += _drift(votes, known, number, rows)
    return made + _fast(votes) + _copies(votes)


@dataclass(frozen=True, slots=True)
class Known:
    """What can be known about each vote.

    Attributes:
        reference: (N,) gold answer, else the others' consensus, else the sure model's side; −1 where nothing is known.
        kind: (N,) which of the three, 0 to 2. hit: (N,) 1, 0 or NaN.
    """

    reference: IntArray
    kind: IntArray
    hit: FloatArray


def best_known(votes: Judged) -> Known:
    """The best reference of each vote."""
    found = references(votes)
    reference, kind = np.full(len(votes), -1, dtype=np.int64), np.zeros(len(votes), dtype=np.int64)
    for number in (2, 1, 0):
        rows = found[number] >= 0
        reference[rows], kind[rows] = found[number][rows], number
    return Known(reference, kind, matches(votes, reference))


def _rows(votes: Judged) -> list[IntArray]:
    order = np.argsort(votes.annotator, kind="stable")
    starts = np.searchsorted(votes.annotator[order], np.arange(len(votes.names) + 1))
    return [order[starts[i] : starts[i + 1]] for i in range(len(votes.names))]


def _gold(votes: Judged, gold: FloatArray, number: int, rows: IntArray) -> list[Test]:
    mine = rows[~np.isnan(gold[rows])]
    if len(mine) < FEWEST:
        return []
    rest = np.flatnonzero(~np.isnan(gold) & (votes.annotator != number))
    overall = float(gold[rest].mean()) if len(rest) else _GOLD_FLOOR
    size = int(votes.item.max()) + 1
    n, right = np.bincount(votes.item[rest], minlength=size), np.bincount(votes.item[rest], gold[rest], size)
    expected = (right + _PRIOR_VOTES * overall) / (n + _PRIOR_VOTES)
    k = int(gold[mine].sum())
    p = poisson_binomial_cdf(np.minimum(expected[votes.item[mine]], _GOLD_FLOOR), k)
    return [Test(number, "gold", p, f"{k} of {len(mine)} gold items right; others: {100 * overall:.0f} %")]


def poisson_binomial_cdf(chances: FloatArray, k: int) -> float:
    """P(at most ``k`` of independent events with these (n,) probabilities happen)."""
    distribution = np.ones(1)
    for chance in chances:
        distribution = np.convolve(distribution, (1.0 - chance, chance))
    return float(min(distribution[: k + 1].sum(), 1.0))


def _chance(votes: Judged, known: Known, number: int, rows: IntArray) -> list[Test]:
    mine = rows[~np.isnan(known.hit[rows])]
    others = ~np.isnan(known.hit) & (votes.annotator != number) & ~(votes.machine | votes.excluded)[votes.annotator]
    counts: list[tuple[int, int, float, float]] = []  # of a kind: votes, hits, chance, what others reach
    for kind in range(3):
        own, theirs = mine[known.kind[mine] == kind], others & (known.kind == kind)
        if len(own) and theirs.any():
            reached, chance = float(known.hit[theirs].mean()), _blind(votes, known.reference, own)
            if reached - chance >= _LEAST_AGREEMENT:
                counts.append((len(own), int(known.hit[own].sum()), chance, reached))
    n = sum(each[0] for each in counts)
    if n < FEWEST:
        return []
    chance, reached = (sum(each[0] * each[i] for each in counts) / n for i in (2, 3))
    evidence = (
        f"{sum(each[1] for each in counts)} of {n} votes agree with gold, with most others or with a sure model;"
        f" chance: {100 * chance:.0f} %, others: {100 * reached:.0f} %"
    )
    return [Test(number, "chance", likelihood_ratio_p(counts), evidence)]


def likelihood_ratio_p(counts: Sequence[tuple[int, int, float, float]]) -> float:
    """p-value of "halfway" against "by chance", from hits of several kinds.

    ``counts``: of each kind the votes, the hits, and the chances of a hit blindly and by others. The null hypothesis is
    the middle of the two. The statistic is the log-likelihood ratio (Neyman & Pearson 1933): a hit counts by how much
    it tells. Its distribution under the null is exact, on a lattice of rounded weights.
    """
    halves = [(chance + reached) / 2.0 for _, _, chance, reached in counts]
    chances = [min(max(chance, 1e-6), 1.0 - 1e-6) for _, _, chance, _ in counts]
    weights = np.array([logit(half) - logit(chance) for half, chance in zip(halves, chances, strict=True)])
    units = max(min(100, 20_000 // sum(each[0] for each in counts)), 1)
    steps = np.maximum(np.round(weights / weights.max() * units), 1).astype(int)
    distribution, seen = np.ones(1), 0
    for (n, k, _, _), half, step in zip(counts, halves, steps.tolist(), strict=True):
        spaced = np.zeros(n * step + 1)
        spaced[::step] = binom.pmf(np.arange(n + 1), n, half)
        distribution = np.convolve(distribution, spaced)
        seen += k * step
    return float(min(distribution[: seen + 1].sum(), 1.0))


def _blind(votes: Judged, reference: IntArray, rows: IntArray) -> float:
    """Agreement by somebody with the same habits who does not look: Σ_c P(own = c) P(reference = c)."""
    shares = [np.bincount(each[rows], minlength=SKIP)[:SKIP] / len(rows) for each in (votes.preferred, reference)]
    return float(shares[0] @ shares[1])


def _one_sided(votes: Judged, number: int, rows: IntArray) -> list[Test]:
    mine = rows[votes.decisive[rows]]
    if len(mine) < FEWEST:
        return []
    left = int(votes.left[mine].sum())
    more, side = max((left, "left"), (len(mine) - left, "right"))
    p = min(2.0 * float(binom.sf(more - 1, len(mine), _ONE_SIDED)), 1.0)
    return [Test(number, "one-sided", p, f"{more} of {len(mine)} decisive votes for the {side} side")]


def _fast(votes: Judged) -> list[Test]:
    relative = relative_seconds(votes)
    out = []
    for number, rows in enumerate(_rows(votes)):
        mine = relative[rows][~np.isnan(relative[rows])]
        if len(mine) < FEWEST or votes.machine[number]:
            continue
        k = int((mine < FAST).sum())
        p = float(binom.sf(k - 1, len(mine), _FAST_ALLOWED))
        evidence = f"{k} of {len(mine)} votes took less than a quarter of the time that others take for as many words"
        out.append(Test(number, "fast", p, evidence))
    return out


def _drift(votes: Judged, known: Known, number: int, rows: IntArray) -> list[Test]:
    mine = rows[~np.isnan(known.hit[rows])]
    if len(mine) < _DRIFT_FEWEST:
        return []
    right = known.hit[mine]
    level = _shifted(_by_others(votes, known, number, mine), right)
    if level is None:
        return []
    spread = level * (1.0 - level)
    time = np.arange(len(mine), dtype=np.float64)
    time -= time @ spread / spread.sum()
    p = float(norm.cdf(time @ (right - level) / np.sqrt(time**2 @ spread)))
    half = len(mine) // 2
    evidence = f"agreement fell from {100 * right[:half].mean():.0f} % to {100 * right[half:].mean():.0f} % (halves)"
    return [Test(number, "drift", p, evidence)]


def _by_others(votes: Judged, known: Known, number: int, rows: IntArray) -> FloatArray:
    """(n,) how often others agree with the same kind of reference in the same round, shrunk to all rounds."""
    theirs = ~np.isnan(known.hit) & (votes.annotator != number)
    cell, size = votes.round * 3 + known.kind, 3 * int(votes.round.max()) + 3
    n = np.bincount(cell[theirs], minlength=size)
    right = np.bincount(cell[theirs], known.hit[theirs], size)
    all_n = np.bincount(known.kind[theirs], minlength=3)
    overall = (np.bincount(known.kind[theirs], known.hit[theirs], 3) + 1.0) / (all_n + 2.0)
    rate = (right + _PRIOR_VOTES * np.tile(overall, size // 3)) / (n + _PRIOR_VOTES)
    return np.asarray(rate[cell[rows]])


def _shifted(level: FloatArray, right: FloatArray) -> FloatArray | None:
    """The chances moved by the same log-odds, so that they add up to the right answers; None where that is all or none.

    It is the fit of the intercept in a logistic regression with offset.
    """
    if right.sum() in (0, len(right)):
        return None
    offset = logit(level)
    shift = brentq(lambda c: float((expit(offset + c) - right).sum()), -30.0, 30.0)
    return np.asarray(expit(offset + shift))


def _copies(votes: Judged) -> list[Test]:
    rows = np.flatnonzero(votes.compared & votes.decisive)
    count = len(votes.names)
    if not len(rows) or count > _MOST_PARTNERS:
        return []
    size = (count, int(votes.item.max()) + 1)
    sign = np.where(votes.preferred[rows] == FIRST, 1.0, -1.0)
    signs = csr_matrix((sign, (votes.annotator[rows], votes.item[rows])), shape=size)
    once = csr_matrix((np.ones(len(rows)), (votes.annotator[rows], votes.item[rows])), shape=size)
    shared, product = (once @ once.T).toarray(), (signs @ signs.T).toarray()
    np.fill_diagonal(shared, 0.0)
    np.fill_diagonal(product, 0.0)
    loading = _loadings(shared, product)
    return [test for number in range(count) if (test := _closest(votes, number, shared, product, loading)) is not None]


def _loadings(shared: FloatArray, product: FloatArray) -> FloatArray:
    """(A,) λ of the one-factor model c_ab = λ_a λ_b of signed agreement, by weighted alternating least squares."""
    mean = float(np.sqrt(np.clip(product.sum() / max(shared.sum(), 1.0), _LEAST_AGREEMENT, 1.0)))
    loading = np.full(len(shared), mean)
    for _ in range(_SWEEPS):
        loading = (loading + _solved(product @ loading, shared @ loading**2, mean)) / 2.0
    return loading


def _solved(signed: FloatArray, weight: FloatArray, mean: float) -> FloatArray:
    """λ from Σ n c λ_other and Σ n λ_other², shrunk to everybody's, in [0, 1]."""
    prior = _PRIOR_AGREEMENT * mean**2
    return np.asarray(np.clip((signed + prior * mean) / (weight + prior), 0.0, 1.0))


def _closest(votes: Judged, number: int, shared: FloatArray, product: FloatArray, loading: FloatArray) -> Test | None:
    """The partner whose answers are most surprisingly alike, by loadings that have not seen the two together."""
    partners = np.flatnonzero(shared[number] >= FEWEST)
    if not len(partners):
        return None
    n, signed, mean = shared[number, partners], product[number, partners], float(loading.mean())
    theirs, mine = loading[partners], loading[number]
    signed_sum, weight_sum = product @ loading, shared @ loading**2
    own = _solved(signed_sum[number] - signed * theirs, weight_sum[number] - n * theirs**2, mean)
    other = _solved(signed_sum[partners] - signed * mine, weight_sum[partners] - n * mine**2, mean)
    expected = (1.0 + np.minimum(own * other, 0.98)) / 2.0
    k = np.round((n + signed) / 2.0)
    p = np.asarray(binom.sf(k - 1, n, (1.0 + expected) / 2.0))
    best = int(np.argmin(p))
    evidence = (
        f"{int(k[best])} of {int(n[best])} answers are those of {votes.names[partners[best]]};"
        f" {100 * expected[best]:.0f} % would be expected"
    )
    return Test(number, "copies", min(float(p[best]) * len(partners), 1.0), evidence)
