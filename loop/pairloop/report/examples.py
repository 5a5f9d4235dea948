"""Pairs worth reading: where the model was surest, least sure and wrong, and where people disagreed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pairloop.pool import Pool
from pairloop.posterior import FloatArray, IntArray
from pairloop.records import Arm, Assignment, PromptContent, Response
from pairloop.report.agreement import one_vote_each
from pairloop.report.table import FIRST, SECOND, SKIP, TIE, VoteTable

EACH = 3
_WRONG = 0.6  # confidence from which a miss is worth reading


@dataclass(frozen=True, slots=True)
class Side:
    """One response: its text, who wrote it, votes for it."""

    text: str
    models: tuple[str, ...]
    votes: int


@dataclass(frozen=True, slots=True)
class Example:
    """A pair with what was said about it.

    Attributes:
        p_first: what the model gave the first response before it learned from the votes; None where it was not asked.
        arm, strategy, round: of the question that was asked last.
    """

    prompt: PromptContent
    first: Side
    second: Side
    ties: int
    skips: int
    p_first: float | None
    arm: str
    strategy: str
    round: int


@dataclass(frozen=True, slots=True)
class ExampleGroup:
    """Examples of one kind."""

    title: str
    note: str
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class _Columns:
    """By pair: (P,) what the model gave the first response (NaN: not asked), (P, 4) votes by what was preferred."""

    p: FloatArray
    counts: IntArray


def example_groups(
    table: VoteTable, responses: Sequence[Response], assignments: Sequence[Assignment]
) -> tuple[ExampleGroup, ...]:
    """Up to `EACH` pairs of each kind, no pair twice."""
    if not len(table):
        return ()
    columns = _columns(table)
    used: set[int] = set()
    asked = {a.pair_id: a for a in assignments}
    out = []
    for title, note, ranked in _kinds(table, columns, assignments):
        chosen = [number for number in ranked if number not in used][:EACH]
        used.update(chosen)
        if chosen:
            examples = tuple(_example(table, columns, n, responses, asked) for n in chosen)
            out.append(ExampleGroup(title, note, examples))
    return tuple(out)


def _kinds(table: VoteTable, c: _Columns, assignments: Sequence[Assignment]) -> Iterable[tuple[str, str, list[int]]]:
    """(title, note, pair numbers in order of interest)."""
    confidence = np.maximum(c.p, 1.0 - c.p)
    n = c.counts[:, :SKIP].sum(axis=1)
    decided = c.counts[:, FIRST] - c.counts[:, SECOND]
    wrong = ((c.p > 0.5) & (decided < 0)) | ((c.p < 0.5) & (decided > 0))
    disagreement = 1.0 - c.counts[:, :SKIP].max(axis=1) / np.maximum(n, 1)
    yield (
        "The model was confident and people said the opposite",
        "Look for what the model cannot see, for slips, and for instructions that people read differently.",
        _ranked(confidence, wrong & (confidence >= _WRONG)),
    )
    yield (
        "People disagreed most",
        "Pairs with two or more votes that differ. If you cannot tell either, the instructions may need an example.",
        _ranked(disagreement + n / (1.0 + n.max()) / 10, (n >= 2) & (disagreement > 0)),
    )
    yield (
        "The model was least sure",
        "Close calls before the votes came in.",
        _ranked(-confidence, ~np.isnan(c.p)),
    )
    yield (
        "The model was surest, and right",
        "A glance here shows what it has learned to look at.",
        _ranked(confidence, ~np.isnan(c.p) & (decided != 0) & ~wrong),
    )
    yield (
        "What the strategy wanted most in the last round",
        "The highest scores of the active arm.",
        _wanted(table, assignments),
    )


def _ranked(score: FloatArray, mask: FloatArray) -> list[int]:
    """Pair numbers under the mask, highest score first, ties by order of arrival."""
    rows = np.flatnonzero(mask)
    return [int(row) for row in rows[np.argsort(-score[rows], kind="stable")][: 5 * EACH]]


def _wanted(table: VoteTable, assignments: Sequence[Assignment]) -> list[int]:
    number = {pair: i for i, pair in enumerate(table.pairs)}
    scored = [
        a for a in assignments if a.arm in (Arm.ACTIVE, Arm.FRESH) and a.score is not None and a.pair_id in number
    ]
    last = max((a.round for a in scored), default=0)
    best = sorted((a for a in scored if a.round == last), key=lambda a: (-(a.score or 0.0), a.rank))
    return list(dict.fromkeys(number[a.pair_id] for a in best))[: 5 * EACH]


def _columns(table: VoteTable) -> _Columns:
    """Columns by pair; the model's word is the last one that was said before a vote."""
    p = np.full(len(table.pairs), np.nan)
    known = np.flatnonzero(~np.isnan(table.p_left))
    flipped = np.array([vote.flipped for vote in table.votes], dtype=bool)
    p[table.pair[known]] = np.where(flipped, 1.0 - table.p_left, table.p_left)[known]
    counts = np.zeros((len(table.pairs), SKIP + 1), dtype=np.int64)
    rows = np.concatenate([one_vote_each(table), np.flatnonzero(table.outcome == SKIP)])
    np.add.at(counts, (table.pair[rows], table.preferred[rows]), 1)
    return _Columns(p, counts)


def _example(
    table: VoteTable, c: _Columns, number: int, responses: Sequence[Response], asked: Mapping[str, Assignment]
) -> Example:
    assignment = asked[table.pairs[number]]
    row = int(np.flatnonzero(table.pair == number)[-1])
    vote, pool = table.votes[row], table.pool
    first, second = (vote.right, vote.left) if vote.flipped else (vote.left, vote.right)
    votes = c.counts[number]
    return Example(
        prompt=pool.responses[pool.row_of[first]].prompt,
        first=_side(pool, responses, first, int(votes[FIRST])),
        second=_side(pool, responses, second, int(votes[SECOND])),
        ties=int(votes[TIE]),
        skips=int(votes[SKIP]),
        p_first=None if np.isnan(c.p[number]) else float(c.p[number]),
        arm=assignment.arm.value,
        strategy=assignment.strategy,
        round=assignment.round,
    )


def _side(pool: Pool, responses: Sequence[Response], response: str, votes: int) -> Side:
    found = responses[pool.row_of[response]]
    names = dict.fromkeys(item.model or item.source for item in found.provenance)
    return Side(found.text, tuple(names), votes)
