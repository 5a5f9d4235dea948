"""The pool's candidates: the right pairs, each as likely as any other, none materialised for nothing."""

import tracemalloc
from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chisquare

from pairloop.kit.ids import make_pair
from pairloop.pool import Pool
from pairloop.records import ResponseView, Split

NOBODY: frozenset[int] = frozenset()


def pool(
    sizes: Sequence[int],
    *,
    listed: Sequence[tuple[int, int]] = (),
    held: Collection[int] = NOBODY,
    out: Collection[int] = NOBODY,
    only: Collection[int] = NOBODY,
) -> Pool:
    """Prompts with ``sizes`` responses each; ``held``, ``out`` and ``only`` are prompt numbers."""
    prompt = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    views = tuple(ResponseView(f"r{i:04d}", f"p{p}", "?", f"text {i}", f"g{p}") for i, p in enumerate(prompt))
    blocks = tuple(
        np.flatnonzero(prompt == p).astype(np.int32) for p in range(len(sizes)) if p not in only and sizes[p] > 1
    )
    return Pool(
        responses=views, prompts={}, row_of={view.id: i for i, view in enumerate(views)}, prompt=prompt, group=prompt,
        holdout=np.isin(prompt, list(held)), excluded=np.isin(prompt, list(out)),
        all_pairs=blocks, listed=np.array(listed, dtype=np.int32).reshape(-1, 2),
        fresh=np.zeros(len(listed), dtype=bool), listed_only=np.isin(np.arange(len(sizes)), list(only)),
        source=np.full(len(prompt), -1, dtype=np.int32), gold=np.zeros(len(prompt), dtype=bool),
    )  # fmt: skip


def brute(pool: Pool, side: Split, without: Collection[tuple[int, int]] = ()) -> set[tuple[int, int]]:
    """All pairs that may be asked, by looking at each."""
    listed = {tuple(sorted(pair)) for pair in pool.listed.tolist()}
    found = set()
    for i, j in combinations(range(len(pool.responses)), 2):
        prompt = pool.prompt[i]
        if prompt != pool.prompt[j] or pool.excluded[i] or pool.holdout[i] != (side is Split.HOLDOUT):
            continue
        if (pool.listed_only[prompt] and (i, j) not in listed) or (i, j) in without:
            continue
        found.add((i, j))
    return found


def asked(pool: Pool, side: Split, without: list[tuple[int, int]], cap: int, seed: int = 0) -> list[tuple[int, int]]:
    rows = pool.candidates(
        side, without=np.array(without, dtype=np.int32).reshape(-1, 2), cap=cap, rng=np.random.default_rng(seed)
    )
    assert rows.dtype == np.int32
    assert rows.shape == (len(rows), 2)
    return [(min(i, j), max(i, j)) for i, j in rows.tolist()]


@pytest.fixture
def mixed() -> Pool:
    """Prompts of all kinds: large, small, single, listed only, held out, excluded."""
    return pool([5, 2, 1, 4, 3, 6, 4], listed=[(9, 8), (8, 10), (1, 0), (13, 12)], held={4}, out={5}, only={3, 4})


@pytest.mark.parametrize("side", list(Split))
def test_all_pairs_when_they_fit(mixed: Pool, side: Split) -> None:
    found = asked(mixed, side, [], 10_000)
    assert len(found) == len(set(found))
    assert set(found) == brute(mixed, side)


def test_pairs_that_were_asked_are_left_out(mixed: Pool) -> None:
    """In either order, listed or implied; unknown ones do no harm."""
    without = [(1, 0), (8, 9), (2, 4), (19, 18)]
    expected = brute(mixed, Split.TRAIN, {tuple(sorted(pair)) for pair in without})  # type: ignore[misc]
    assert set(asked(mixed, Split.TRAIN, without, 10_000)) == expected
    for cap in (1, 5, len(expected) - 1, len(expected)):
        found = asked(mixed, Split.TRAIN, without, cap)
        assert len(found) == len(set(found)) == cap
        assert set(found) <= expected


@pytest.mark.parametrize("cap", [1, 4, 9])
def test_each_pair_is_as_likely_as_any_other(mixed: Pool, cap: int) -> None:
    """Also a listed one, and whatever was asked already: χ² over 4,000 draws."""
    without = [(0, 1), (5, 6), (8, 9)]
    universe = sorted(brute(mixed, Split.TRAIN, set(without)))
    counts = dict.fromkeys(universe, 0)
    draws = 4000
    for seed in range(draws):
        for pair in asked(mixed, Split.TRAIN, without, cap, seed):
            counts[pair] += 1
    assert sum(counts.values()) == draws * cap
    assert chisquare(list(counts.values())).pvalue > 1e-4


@pytest.mark.parametrize("size", [2, 3, 7, 50, 1000])
def test_unranking_reaches_every_pair_once(size: int) -> None:
    """One short of all pairs is all pairs but one."""
    whole = pool([size, 3])
    total = size * (size - 1) // 2 + 3
    found = asked(whole, Split.TRAIN, [], total - 1)
    assert len(set(found)) == total - 1
    assert all(whole.prompt[i] == whole.prompt[j] and i != j for i, j in found)


def test_a_prompt_with_many_responses_is_not_listed_out() -> None:
    """20,000 responses have 200 million pairs: a sample of a thousand takes no time and no memory."""
    large = pool([20_000])
    tracemalloc.start()
    assert len(set(asked(large, Split.TRAIN, [], 1000))) == 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_only_asks_among_the_given_pairs(mixed: Pool) -> None:
    some = np.array([(0, 1), (2, 0), (13, 12), (15, 16)], dtype=np.int32)
    found = mixed.candidates(
        Split.TRAIN, without=np.array([(0, 1)]), cap=10, rng=np.random.default_rng(0), only=some
    ).tolist()
    assert found == [[2, 0]]


def test_an_empty_pool_has_no_candidates() -> None:
    for empty in (pool([]), pool([1, 1]), pool([3], out={0})):
        assert asked(empty, Split.TRAIN, [], 10) == []


def test_codes_are_the_same_for_both_orders(mixed: Pool) -> None:
    pairs = np.array(sorted(brute(mixed, Split.TRAIN)), dtype=np.int32)
    assert np.array_equal(mixed.code(pairs), mixed.code(pairs[:, ::-1]))
    assert len(np.unique(mixed.code(pairs))) == len(pairs)
    assert mixed.pair(pairs[0]) == make_pair("p0", "r0001", "r0000")
