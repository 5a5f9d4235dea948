"""The pool as arrays: what models score and strategies choose from.

Row numbers follow the order of import, so they are the same in every run. Pairs are two int32 row numbers; the
n(n−1)/2 pairs of a prompt exist only as such, and when there are more than ``cap`` of them a uniform sample is drawn
by unranking, without listing the rest. The arrays are read-only: plugins see them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pairloop.kit.ids import make_pair
from pairloop.posterior import IntArray
from pairloop.protocols import BoolArray
from pairloop.records import Pair, Prompt, Response, ResponseView, Split
from pairloop.store import Store
from pairloop.store.pool import GOLD_SOURCE

A = TypeVar("A", bound=NDArray[Any])


@dataclass(frozen=True)
class Pool:
    """All responses, and which pairs of them may be asked.

    Attributes:
        responses: (R) in order of import.
        prompts: the prompts by id; ``row_of``: row number by response id.
        prompt: (R,) prompt number; ``group``: (R,) group number.
        holdout: (R,) True on the holdout side; ``excluded``: (R,) True where the prompt left the campaign.
        all_pairs: the rows of each prompt all of whose pairs may be asked.
        listed: (M, 2) rows of pairs that have a database row; ``fresh``: (M,) True where a policy brought the pair.
        listed_only: (P,) True where only pairs with a database row may be asked.
        source: (R,) number of the model that wrote the response, the first of several; −1 where no model is named.
        gold: (R,) True where only a gold file brought the text: it is asked as gold, and is no part of the pool else.
    """

    responses: tuple[ResponseView, ...]
    prompts: Mapping[str, Prompt]
    row_of: Mapping[str, int]
    prompt: IntArray
    group: IntArray
    holdout: BoolArray
    excluded: BoolArray
    all_pairs: tuple[IntArray, ...]
    listed: IntArray
    fresh: BoolArray
    listed_only: BoolArray
    source: IntArray
    gold: BoolArray

    @cached_property
    def trainable(self) -> BoolArray:
        """(R,) True where features and heads may learn from the text."""
        return read_only(~self.holdout & ~self.gold)

    def pair(self, row: IntArray) -> Pair:
        """The pair of two row numbers."""
        one, other = self.responses[int(row[0])], self.responses[int(row[1])]
        return make_pair(one.prompt_id, one.id, other.id)

    def code(self, pairs: IntArray) -> NDArray[np.int64]:
        """(N, 2) rows → (N,) one number a pair, the same for both orders."""
        low = np.minimum(pairs[:, 0], pairs[:, 1]).astype(np.int64)
        high = np.maximum(pairs[:, 0], pairs[:, 1]).astype(np.int64)
        return low * len(self.responses) + high

    def candidates(
        self, side: Split, *, without: IntArray, cap: int, rng: np.random.Generator, only: IntArray | None = None
    ) -> IntArray:
        """(N, 2) rows of the pairs of one side that may be asked, N ≤ cap; a uniform sample when there are more.

        ``without``: (M, 2) rows of pairs that were asked already. ``only``: (K, 2) rows of the pairs in question, where
        not all are.
        """
        usable = ~self.excluded & ~self.gold & (self.holdout if side is Split.HOLDOUT else ~self.holdout)
        if only is None:
            listed = self.listed[self.listed_only[self.prompt[self.listed[:, 0]]]]  # the others are implied
            blocks = [block for block in self.all_pairs if usable[block[0]]]
        else:
            listed, blocks = only, []
        found = _uniform(listed[usable[listed].all(axis=1)], blocks, cap + len(without), rng)
        found = found[~np.isin(self.code(found), self.code(without))]
        if len(found) > cap:
            found = found[np.sort(rng.choice(len(found), cap, replace=False))]
        return found.astype(np.int32)


def _uniform(listed: IntArray, blocks: list[IntArray], n: int, rng: np.random.Generator) -> IntArray:
    """The listed pairs and all pairs within each block, or ``n`` of them drawn uniformly without replacement."""
    sizes = np.array([len(block) for block in blocks], dtype=np.int64)
    ends = np.cumsum(sizes * (sizes - 1) // 2)
    implied = int(ends[-1]) if len(ends) else 0
    total = len(listed) + implied
    if total <= n:
        within = {size: np.stack(np.triu_indices(size, k=1), axis=1) for size in set(sizes.tolist())}
        return np.concatenate([listed, *(block[within[len(block)]] for block in blocks)])
    ranks = np.sort(rng.choice(total, n, replace=False))
    drawn = listed[ranks[ranks < len(listed)]]
    return np.concatenate([drawn, _unranked(blocks, ends, ranks[ranks >= len(listed)] - len(listed))])


def _unranked(blocks: list[IntArray], ends: NDArray[np.int64], ranks: NDArray[np.int64]) -> IntArray:
    """The pairs with these sorted ranks in the list of all pairs of all blocks; ``ends``: cumulated sizes."""
    which = np.searchsorted(ends, ranks, side="right")
    starts = np.concatenate([[0], ends[:-1]])
    within = ranks - starts[which]
    # Unrank k = j(j−1)/2 + i with i < j.
    j = np.floor((1.0 + np.sqrt(1.0 + 8.0 * within)) / 2.0).astype(np.int64)
    j -= (j * (j - 1) // 2) > within
    i = within - j * (j - 1) // 2
    out = np.empty((len(ranks), 2), dtype=np.int32)
    edges = np.searchsorted(which, np.arange(len(blocks) + 1))
    for number in np.unique(which):
        rows = slice(edges[number], edges[number + 1])
        out[rows, 0], out[rows, 1] = blocks[number][i[rows]], blocks[number][j[rows]]
    return out


@dataclass(frozen=True, slots=True)
class _Texts:
    """The part of a pool that changes only when a response comes in; attributes as in `Pool`."""

    responses: tuple[ResponseView, ...]
    row_of: dict[str, int]
    prompt: IntArray
    group: IntArray
    source: IntArray
    gold: BoolArray


def load_pool(store: Store) -> Pool:
    """Read the pool from the store; the texts only if they changed since the store was asked last."""
    prompts, sides = store.pool.prompts(), store.pool.groups()
    texts = store.pool.kept("texts of the pool", lambda: _texts(store, [prompt for prompt, _, _ in prompts], sides))
    prompt_of = texts.prompt
    excluded = np.array([reason is not None for _, _, reason in prompts], dtype=bool)
    held = np.array([sides[prompt.group] is Split.HOLDOUT for prompt, _, _ in prompts], dtype=bool)
    open_pairing = np.array([pairing == "all" for _, pairing, _ in prompts], dtype=bool)
    order = np.argsort(prompt_of, kind="stable")
    order = order[~texts.gold[order]]
    starts = np.searchsorted(prompt_of[order], np.arange(len(prompts) + 1))
    blocks = tuple(
        order[starts[p] : starts[p + 1]].astype(np.int32)
        for p in range(len(prompts))
        if open_pairing[p] and starts[p + 1] - starts[p] >= 2
    )
    rows, pairs = texts.row_of, store.pool.pairs()
    listed = np.array([(rows[p.first], rows[p.second]) for p, _ in pairs], dtype=np.int32).reshape(-1, 2)
    any_response = len(texts.responses) > 0
    return Pool(
        responses=texts.responses,
        prompts={prompt.id: prompt for prompt, _, _ in prompts},
        row_of=rows,
        prompt=prompt_of,
        group=texts.group,
        holdout=read_only(held[prompt_of] if any_response else np.zeros(0, dtype=bool)),
        excluded=read_only(excluded[prompt_of] if any_response else np.zeros(0, dtype=bool)),
        all_pairs=blocks,
        listed=read_only(listed),
        fresh=read_only(np.array([fresh is not None for _, fresh in pairs], dtype=bool)),
        listed_only=read_only(~open_pairing),
        source=texts.source,
        gold=texts.gold,
    )


def _texts(store: Store, prompts: Sequence[Prompt], sides: Mapping[str, Split]) -> _Texts:
    number = {prompt.id: i for i, prompt in enumerate(prompts)}
    group_number = {group: i for i, group in enumerate(sides)}
    stored = store.pool.responses()
    of = [number[r.prompt_id] for r in stored]
    responses = tuple(
        ResponseView(r.id, r.prompt_id, prompts[i].content, r.text, prompts[i].group, r.metadata)
        for r, i in zip(stored, of, strict=True)
    )
    gold = [[p.source for p in r.provenance] == [GOLD_SOURCE] for r in stored]
    return _Texts(
        responses=responses,
        row_of={response.id: row for row, response in enumerate(responses)},
        prompt=read_only(np.array(of, dtype=np.int32)),
        group=read_only(np.array([group_number[r.group] for r in responses], dtype=np.int32)),
        source=read_only(_sources(stored)),
        gold=read_only(np.array(gold, dtype=bool)),
    )


def _sources(stored: Sequence[Response]) -> IntArray:
    """(R,) a number for each model that wrote responses, in order of appearance; −1 where none is named."""
    names = [next((p.model for p in response.provenance if p.model), None) for response in stored]
    number = {name: i for i, name in enumerate(dict.fromkeys(name for name in names if name is not None))}
    return np.array([-1 if name is None else number[name] for name in names], dtype=np.int32)


def read_only(array: A) -> A:
    """The same array; writing to it raises from now on."""
    array.flags.writeable = False
    return array
