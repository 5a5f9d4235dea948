"""What the prompts are about: clusters of common cases, and prompts that are like no other.

Prompts become TF-IDF vectors of their words, reduced to their leading singular vectors (latent semantic analysis:
Deerwester et al. 1990) and scaled to unit length; k-means with k-means++ seeding from SciPy finds the clusters. How
usual a prompt is, is its mean distance to its nearest neighbours (as in TypiClust: Hacohen, Dekel & Weinshall 2022); an
outlier is one whose distance lies more than 3.5 robust standard deviations above the median (the modified z-score of
Iglewicz & Hoaglin 1993), or that shares no word with any other. Both say what words say: paraphrases without a common
word are strangers here.
"""

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pairloop.kit.threads import numeric_threads

Floats = NDArray[np.float64]
FEWEST = 30  # prompts, below which nothing is clustered
_WORD = re.compile(r"[^\W\d_]{2,}")
_VOCABULARY = 20_000
_DIMENSIONS = 50
_NEIGHBOURS = 20
_REFERENCES = 5_000  # prompts among which neighbours are looked for: bounds the time at n · 5,000 distances
_MOST_CLUSTERS = 30
_FAR = 3.5
_BLOCK = 2_000


@dataclass(frozen=True, slots=True)
class Cluster:
    """Prompts that share words.

    Attributes:
        size: prompts. words: what sets them apart from the others, most telling first.
        typical: numbers of the prompts nearest to all others of the cluster, most typical first.
    """

    size: int
    words: tuple[str, ...]
    typical: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """Clusters, largest first, and the numbers of the prompts that are like no other, strangest first."""

    clusters: tuple[Cluster, ...]
    outliers: tuple[int, ...]


def overview(prompts: Sequence[str], *, typical: int = 3, words: int = 5) -> Overview | None:
    """Cluster the prompts; the same prompts in the same order give the same answer. None for fewer than `FEWEST`."""
    if len(prompts) < FEWEST:
        return None
    with numeric_threads():
        weights, vocabulary = _tfidf(prompts)
        worded = np.flatnonzero(np.diff(weights.indptr))
        if len(worded) < FEWEST:
            return None
        points = _reduced(weights[worded])
        label = _kmeans(points, _clusters_for(len(points)))
        distance = _neighbour_distance(points)
        order = np.argsort(-np.bincount(label), kind="stable")
        clusters = [_cluster(np.flatnonzero(label == c), weights[worded], points, worded, vocabulary, typical, words)
                    for c in order if (label == c).any()]  # fmt: skip
    strange = np.flatnonzero(_robust_z(distance) > _FAR)
    far = worded[strange[np.argsort(-distance[strange], kind="stable")]]
    lonely = [i for i in map(int, np.flatnonzero(np.diff(weights.indptr) == 0)) if _WORD.search(prompts[i])]
    return Overview(tuple(clusters), (*lonely, *map(int, far)))


def _clusters_for(n: int) -> int:
    return int(np.clip(round((n / 2) ** 0.5), 2, _MOST_CLUSTERS))


def _tfidf(prompts: Sequence[str]) -> tuple[sparse.csr_array, list[str]]:
    """(n, V) rows of unit length over the words of two prompts or more, the rarest of too many words left out."""
    counted = [Counter(_WORD.findall(prompt.casefold())) for prompt in prompts]
    documents: Counter[str] = Counter(word for counts in counted for word in counts)
    kept = [word for word, n in documents.most_common(_VOCABULARY) if n > 1]
    vocabulary = sorted(kept)
    column = {word: i for i, word in enumerate(vocabulary)}
    idf = np.array([np.log((1 + len(prompts)) / (1 + documents[word])) + 1 for word in vocabulary])
    rows, columns, values = [], [], []
    for row, counts in enumerate(counted):
        for word, n in sorted(counts.items()):
            if word in column:
                rows.append(row)
                columns.append(column[word])
                values.append((1 + np.log(n)) * idf[column[word]])
    matrix = sparse.csr_array((values, (rows, columns)), (len(prompts), len(vocabulary)), dtype=np.float64)
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sparse.csr_array(sparse.diags_array(1 / np.maximum(length, 1e-12)) @ matrix), vocabulary


def _reduced(weights: sparse.csr_array) -> Floats:
    """(n, d) leading coordinates, of unit length."""
    from scipy.sparse.linalg import svds

    k = min(_DIMENSIONS, min(weights.shape) - 1)
    if k < 2:
        dense = weights.toarray()
    else:
        start = np.random.default_rng(0).standard_normal(min(weights.shape))
        left, values, _ = svds(weights, k=k, v0=start)
        dense = left * values
    return np.asarray(dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-12))


def _kmeans(points: Floats, k: int) -> NDArray[np.int64]:
    from scipy.cluster.vq import kmeans2

    k = min(k, len(np.unique(points.round(6), axis=0)))
    if k < 2:
        return np.zeros(len(points), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty", UserWarning)  # it is left out
        _, label = kmeans2(points, k, iter=30, minit="++", seed=np.random.default_rng(0))
    return np.asarray(label, dtype=np.int64)


def _neighbour_distance(points: Floats) -> Floats:
    """(n,) mean distance to the nearest neighbours, itself left out."""
    n = len(points)
    chosen = np.sort(np.random.default_rng(0).choice(n, min(n, _REFERENCES), replace=False))
    k = min(_NEIGHBOURS, len(chosen) - 1)
    out = np.empty(n)
    for start in range(0, n, _BLOCK):
        block = points[start : start + _BLOCK]
        squared = np.maximum(2.0 - 2.0 * block @ points[chosen].T, 0.0)
        squared[np.arange(start, start + len(block))[:, None] == chosen[None, :]] = np.inf
        out[start : start + len(block)] = np.sqrt(np.partition(squared, k - 1, axis=1)[:, :k]).mean(axis=1)
    return out


def _robust_z(distance: Floats) -> Floats:
    middle = np.median(distance)
    spread = 1.4826 * np.median(np.abs(distance - middle))
    return np.asarray((distance - middle) / spread) if spread > 0 else np.zeros(len(distance))


def _cluster(
    members: NDArray[np.int64], weights: sparse.csr_array, points: Floats, number: NDArray[np.int64],
    vocabulary: Sequence[str], typical: int, words: int,
) -> Cluster:  # fmt: skip
    centre = points[members].mean(axis=0)
    near = members[np.argsort(-(points[members] @ centre), kind="stable")[:typical]]
    inside = np.asarray(weights[members].mean(axis=0)).ravel()
    telling = inside - np.asarray(weights.mean(axis=0)).ravel()
    top = [vocabulary[i] for i in np.argsort(-telling, kind="stable")[:words] if telling[i] > 0]
    return Cluster(len(members), tuple(top), tuple(int(number[i]) for i in near))
