"""Which models can be compared: the conditions under which maximum likelihood has an answer.

Models in different connected components were never compared, not even by way of others. Within a component the
likelihood has a finite maximum if and only if every model can be reached from every other by a chain of wins, a tie
being a win of both (Ford 1957, "Solution of a ranking problem from binary comparisons").
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray


@dataclass(frozen=True, slots=True)
class Part:
    """A connected component.

    Attributes:
        models: (m,) numbers of its models.
        anchored: (m,) True for those whose scores the votes determine. The others won or lost every comparison that
            links them with these: as far as the likelihood goes they are infinitely far away.
    """

    models: IntArray
    anchored: BoolArray


def parts(a: IntArray, b: IntArray, points: FloatArray, weight: FloatArray, models: int) -> Iterator[Part]:
    """The connected components that have votes, most votes first."""
    used = weight > 0
    _, label = _components(a[used], b[used], models, "weak")
    votes = np.bincount(label[a[used]], weights=weight[used], minlength=models)
    winner = np.concatenate([a[used & (points > 0)], b[used & (points < 1)]])
    loser = np.concatenate([b[used & (points > 0)], a[used & (points < 1)]])
    _, strong = _components(winner, loser, models, "strong")
    played = np.bincount(np.concatenate([a[used], b[used]]), np.tile(weight[used], 2), models).astype(np.float64)
    for number in sorted(np.unique(label[a[used]]).tolist(), key=lambda i: (-votes[i], i)):
        members = np.flatnonzero(label == number)
        yield Part(members, _anchored(strong[members], played[members]))


def _anchored(strong: IntArray, played: FloatArray) -> BoolArray:
    """The strong component with the most models (then votes); everybody where none has two."""
    names, index = np.unique(strong, return_inverse=True)
    size, votes = np.bincount(index), np.bincount(index, weights=played)
    if len(names) == 1:
        return np.ones(len(strong), dtype=bool)
    best = max(range(len(names)), key=lambda i: (size[i], votes[i], -i))
    return np.asarray(index == best) if size[best] > 1 else np.zeros(len(strong), dtype=bool)


def _components(start: IntArray, end: IntArray, models: int, kind: Literal["weak", "strong"]) -> tuple[int, IntArray]:
    ones = np.ones(len(start))
    found, label = connected_components(
        coo_array((ones, (start, end)), shape=(models, models)), directed=True, connection=kind
    )
    return int(found), np.asarray(label, dtype=np.int64)


def linked(a: IntArray, b: IntArray, models: int) -> BoolArray:
    """(M,) True for the models of the largest connected component."""
    _, label = _components(a, b, models, "weak")
    return np.asarray(label == np.bincount(label).argmax())
