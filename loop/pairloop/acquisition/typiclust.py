"""TypiClust: typical prompts of many clusters, for the first rounds, when no model is worth asking.

Hacohen, Dekel & Weinshall 2022: cluster the points into as many clusters as there are labelled points and picks to make
(at most 500), go round the clusters, those with fewest labelled points first and then the largest, and take from each
the most typical point that is left: the one with the smallest mean distance to its 20 nearest neighbours in the
cluster. The points are prompts here (`prompts`), labelled when a pair of theirs was asked, now or in an earlier round;
of a prompt, the pairs of widest whitened distance over cost are asked.
"""

from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from pairloop.acquisition import request
from pairloop.acquisition.batch import on_grid
from pairloop.acquisition.geometry import Float64Array, squared_lengths
from pairloop.acquisition.keys import canonical, pair_keys, uniforms
from pairloop.acquisition.prompts import Prompts, distances, prompts_of
from pairloop.kit.options import Options
from pairloop.kit.seeds import derive_seed
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import Selection, SelectionContext


class TypiclustOptions(Options):
    """Options of TypiClust."""

    neighbours: int = Field(default=20, ge=1)
    """Nearest neighbours within the cluster over which typicality is averaged."""

    clusters: int = Field(default=500, ge=1)
    """At most this many clusters."""

    iterations: int = Field(default=20, ge=1)
    """Iterations of k-means."""


@dataclass(frozen=True, slots=True)
class TypiclustStrategy:
    """A score is the typicality of the pick's prompt: 1 / (mean distance + 1e-5). Rewards are not looked at."""

    options: TypiclustOptions = field(default_factory=TypiclustOptions)

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; see `pairloop.protocols.BatchStrategy`."""
        request.check(context, n)
        if not n or not len(context.candidates):
            return request.empty()
        with numeric_threads(), np.errstate(invalid="ignore", over="ignore"):
            prompts = prompts_of(context)
            place, typical = self._order(prompts, context, n)
            return _widest_of_each(context, prompts, place, typical, n)

    def _order(self, prompts: Prompts, context: SelectionContext, n: int) -> tuple[IntArray, Float64Array]:
        """Place of each prompt in the order of asking, and its typicality → (P,), (P,)."""
        count = min(n + int(np.count_nonzero(prompts.asked)), self.options.clusters, len(prompts.index))
        if not count:
            return np.empty(0, dtype=np.int64), np.empty(0)
        cluster = kmeans(prompts, count, self.options.iterations, context.seed)
        typical = typicality(prompts.coordinates, cluster, self.options.neighbours)
        size = np.bincount(cluster, minlength=count)
        covered = np.bincount(cluster[prompts.asked > 0], minlength=count)
        # A prompt that was asked about has had its turn, and its cluster as many as there are such prompts in it.
        within = np.lexsort((prompts.keys, -on_grid(typical), prompts.asked > 0, cluster))
        turn = np.empty(len(within), dtype=np.int64)
        turn[within] = np.arange(len(within)) - np.repeat(np.cumsum(size) - size, size)
        turn += np.where(prompts.asked > 0, len(turn), covered[cluster])
        order = np.lexsort((prompts.keys, -size[cluster], turn))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        return place, typical


def kmeans(prompts: Prompts, count: int, iterations: int, seed: int) -> IntArray:
    """Cluster (P,) of each prompt: Lloyd's algorithm from k-means++ seeds, deterministic; clusters may be empty."""
    points = prompts.coordinates
    centres = points[_seeds(prompts, count, seed)].astype(np.float64)
    cluster = np.zeros(len(points), dtype=np.int64)
    for _ in range(iterations):
        before = cluster.copy()
        for part, apart in distances(points, centres):
            cluster[part] = np.argmin(apart, axis=1)
        if np.array_equal(before, cluster):
            break
        for k in np.unique(cluster):
            centres[k] = points[cluster == k].mean(axis=0, dtype=np.float64)
    return cluster


def _seeds(prompts: Prompts, count: int, seed: int) -> IntArray:
    """k-means++: each seed is drawn with odds of the squared distance to the nearest earlier one."""
    index = np.stack([prompts.index, prompts.index], axis=1)
    square = np.ones(len(prompts.index))
    seeds = np.empty(count, dtype=np.int64)
    for k in range(count):
        with np.errstate(divide="ignore"):
            wait = -np.log(uniforms(index, derive_seed(seed, "k-means", k))) / square
        seeds[k] = np.argmin(wait)
        new = np.concatenate(
            [apart[:, 0] ** 2 for _, apart in distances(prompts.coordinates, prompts.coordinates[seeds[k]][None])]
        )
        square = np.minimum(square, new) if k else new
    return seeds


def typicality(points: FloatArray, cluster: IntArray, neighbours: int) -> Float64Array:
    """1 / (mean distance to the nearest neighbours within the cluster + 1e-5): (P, D), (P,) → (P,); 0 when alone."""
    out = np.zeros(len(points))
    for k in np.unique(cluster):
        rows = np.flatnonzero(cluster == k)
        near = min(neighbours, len(rows) - 1)
        if not near:
            continue
        for part, apart in distances(points[rows], points[rows]):
            apart[np.arange(len(apart)), np.arange(part.start, part.stop)] = -1.0  # oneself, sorted away
            nearest = np.partition(apart, near, axis=1)[:, : near + 1]
            out[rows[part]] = 1.0 / ((nearest.sum(axis=1) + 1.0) / near + 1e-5)
    return out


def _widest_of_each(
    context: SelectionContext, prompts: Prompts, place: IntArray, typical: Float64Array, n: int
) -> Selection:
    """Every prompt's best pair in the order of the prompts, then every prompt's second, and so on."""
    width = np.sqrt(squared_lengths(context.posterior.whitened, canonical(context.candidates))) / context.cost
    keys, prompt = pair_keys(context.candidates, context.seed), request.prompt_of(context)
    by_prompt = np.lexsort((keys, -on_grid(width), prompt))
    sizes = np.unique(prompt, return_counts=True)[1]
    rank = np.empty(len(prompt), dtype=np.int64)
    rank[by_prompt] = np.arange(len(prompt)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    at = np.minimum(np.searchsorted(prompts.index, prompt), max(0, len(prompts.index) - 1))
    known = prompts.index[at] == prompt if len(prompts.index) else np.zeros(len(prompt), dtype=bool)
    turn, score = np.full(len(prompt), len(prompts.index)), np.full(len(prompt), np.nan)
    turn[known], score[known] = place[at[known]], typical[at[known]]
    open_ = np.flatnonzero(rank < context.per_prompt) if context.per_prompt > 0 else np.arange(len(prompt))
    picks = open_[np.lexsort((keys[open_], turn[open_], rank[open_]))][:n]
    return request.selection(picks, score[picks])
