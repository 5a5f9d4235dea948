"""EPIG: votes that say most about the votes on the pairs that matter (expected predictive information gain).

Bickford Smith et al. 2023: the mean over target inputs of the mutual information between the answer here and the answer
there. BALD pays for learning anything about the reward, EPIG only for what changes predictions on the targets. A
context names no targets, so they are a random sample of the candidates: the pool stands for the use.

Votes are linearised as for log-det: a vote on a pair with margin variance q and information I is a Gaussian observation
of the margin with noise 1/I, and so is one on a target. The mutual information of two such observations is
``−½ log(1 − ρ²)``, ``ρ² = I c² / (1 + I q) · I* / (1 + I* q*)`` with c their margins' covariance. Picks (and pairs in
flight) condition the covariance, so a batch does not ask the same thing twice.

All candidates are scored once; the greedy search then runs on a short list of the best, exact within it.
"""

from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from pairloop.acquisition import request
from pairloop.acquisition.batch import best, on_grid
from pairloop.acquisition.functions import expected_information, used_in_flight
from pairloop.acquisition.geometry import Float64Array, chunks, differences, squared_lengths
from pairloop.acquisition.keys import canonical, pair_keys
from pairloop.acquisition.picking import CLOSED, TIED, Room, with_rest
from pairloop.kit.options import Options
from pairloop.kit.seeds import derive_seed
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import Selection, SelectionContext


class EpigOptions(Options):
    """Options of EPIG."""

    targets: int = Field(default=256, ge=1)
    """Pairs, drawn at random from the candidates, whose predictions should improve."""

    short_list: int = Field(default=4096, ge=1)
    """Candidates among which the batch is searched; four times the batch where that is more."""


@dataclass(frozen=True, slots=True)
class EpigStrategy:
    """A score is the mean information about a target's vote, in nats, over cost."""

    options: EpigOptions = field(default_factory=EpigOptions)

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; see `pairloop.protocols.BatchStrategy`."""
        request.check(context, n)
        if not n or not len(context.candidates):
            return request.empty()
        with numeric_threads(), np.errstate(invalid="ignore", over="ignore"):
            pool = Pool(context, self.options.targets)
            worth = pool.worth()
            width = max(self.options.short_list, 4 * n)
            listed = best(worth, context, width)
            listed = listed[np.isfinite(worth[listed])]
            picks, scores = Search(pool, context, listed).run(n)
        picks = _then(context, picks, worth, n)
        return request.selection(picks, np.r_[scores, worth[picks[len(scores) :]]])


class Pool:
    """Candidates and targets given the pairs in flight.

    Attributes:
        targets: (M, D) target directions S z* given the pairs in flight.
        target_variance: (M,) q*; ``target_information``: (M,) I*.
    """

    def __init__(self, context: SelectionContext, count: int) -> None:
        self.context, self.pairs = context, canonical(context.candidates)
        self.used = used_in_flight(context.posterior, context.pending)
        length = squared_lengths(context.posterior.whitened, self.pairs)
        self.information = self._information(self.pairs, length)
        self.usable = np.isfinite(length * self.information)
        keys = pair_keys(self.pairs, derive_seed(context.seed, "targets"))
        open_ = np.flatnonzero(self.usable)
        drawn = open_[np.argsort(keys[open_], kind="stable")[:count]]
        self.targets = self.given(differences(context.posterior.whitened, self.pairs[drawn]))
        self.target_information = self.information[drawn]
        self.target_variance = np.einsum("md,md->m", self.targets, self.raw(drawn))

    def raw(self, rows: IntArray) -> Float64Array:
        """Directions z (K, D) of candidates."""
        return differences(self.context.posterior.whitened, self.pairs[rows])

    def given(self, z: Float64Array) -> Float64Array:
        """S z for the covariance S given the pairs in flight: (K, D) → (K, D)."""
        return np.asarray(z - (z @ self.used.T) @ self.used)

    def worth(self) -> Float64Array:
        """Score of every candidate by itself → (N,); NaN where it has no finite coordinates."""
        out = np.full(len(self.pairs), np.nan)
        rows = np.flatnonzero(self.usable)
        for part in chunks(len(rows), max(len(self.targets), self.targets.shape[1])):
            block = rows[part]
            z = self.raw(block)
            variance = np.einsum("nd,nd->n", z, self.given(z))
            gains = gain(z @ self.targets.T, variance, self.information[block], self.target_variance, self)
            out[block] = gains / self.context.cost[block]
        return out

    def _information(self, pairs: IntArray, variance: FloatArray) -> FloatArray:
        posterior = self.context.posterior
        return expected_information(posterior, posterior.margin(pairs), variance)


def gain(
    covariance: Float64Array, variance: FloatArray, information: FloatArray, target_variance: FloatArray, pool: Pool
) -> Float64Array:
    """Mean over targets of −½ log(1 − ρ²): covariances (K, M), variances and information (K,), (M,) → (K,)."""
    if not len(target_variance):
        return np.zeros(len(variance))
    here = information / (1.0 + information * np.maximum(variance, 0.0))
    there = pool.target_information / (1.0 + pool.target_information * np.maximum(target_variance, 0.0))
    correlation = np.square(covariance) * here[:, None] * there
    return np.asarray(-0.5 * np.mean(np.log1p(-np.minimum(correlation, 1.0 - 1e-12)), axis=1))


class Search:
    """Best first among ``rows``, every pick conditioning what comes after it."""

    def __init__(self, pool: Pool, context: SelectionContext, rows: IntArray) -> None:
        self.pool, self.room, self.rows, self.cost = pool, Room(context, rows), rows, context.cost[rows]
        self.z, self.information = pool.raw(rows), pool.information[rows]
        self.projected = pool.given(self.z)
        self.variance = np.einsum("nd,nd->n", self.z, self.projected)
        self.covariance, self.target_variance = self.z @ pool.targets.T, pool.target_variance.copy()
        self.past = np.empty((0, self.z.shape[1]))
        self.is_open = np.ones(len(rows), dtype=bool)

    def run(self, n: int) -> tuple[IntArray, Float64Array]:
        """Up to ``n`` candidates in order, and the score of each when it was picked."""
        picks: list[int] = []
        scores: list[float] = []
        while len(picks) < n and self.is_open.any():
            gains = gain(self.covariance, self.variance, self.information, self.target_variance, self.pool)
            worth = np.where(self.is_open, gains / self.cost, CLOSED)
            level = worth.max() - TIED * abs(worth.max())
            winner = self.room.by_key(np.flatnonzero(self.is_open & (worth >= level)))
            picks.append(winner)
            scores.append(float(worth[winner]))
            self.is_open[self.room.shut(winner)] = False
            self._condition(winner)
        return self.rows[np.array(picks, dtype=np.int64)], np.array(scores)

    def _condition(self, winner: int) -> None:
        """Take what a vote on the winner will tell from all variances and covariances."""
        information = self.information[winner]
        weight = np.sqrt(information / (1.0 + information * max(self.variance[winner], 0.0)))
        along_winner = self.past @ self.z[winner]
        direction = weight * (self.projected[winner] - along_winner @ self.past)
        self.past = np.vstack([self.past, direction])
        here, there = self.z @ direction, weight * self.covariance[winner]
        self.variance -= here**2
        self.target_variance -= there**2
        self.covariance -= here[:, None] * there


def _then(context: SelectionContext, picks: IntArray, worth: Float64Array, n: int) -> IntArray:
    """What the short list could not fill, because prompts were full, goes by the first scores."""
    if len(picks) >= n:
        return picks
    others = np.setdiff1d(np.arange(len(worth)), picks)
    keys = pair_keys(context.candidates[others], context.seed)
    others = others[np.lexsort((keys, -on_grid(worth[others])))]
    both = np.r_[picks, others]
    kept = both[request.capped(request.prompt_of(context)[both], context.per_prompt)]
    return with_rest(context, kept[:n], n)
