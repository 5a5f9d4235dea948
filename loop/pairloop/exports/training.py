"""Preferences as trainers of reward models and policies take them: splits, margins, ties kept apart.

``train`` and ``test`` have prompt, chosen and rejected; ``test`` is the holdout side of the campaign. ``ties`` has the
pairs that nobody won, under other column names, so that no trainer takes a tie for a preference.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pairloop.aggregation import verdicts
from pairloop.exports.columns import turns, types_of
from pairloop.exports.names import renamed
from pairloop.exports.rows import Pool, Row, by_pair, preference
from pairloop.records import Arm, Choice, Split, Vote
from pairloop.store import Store

Margin = Literal["share", "strength", "none"]

_COMMON = ("n", "disagreement", "annotators", "kinds", "annotations", "arm", "round", "group", "pair")
PREFERENCES = ("prompt", "chosen", "rejected", "margin", "p", *_COMMON, "chosen_model", "rejected_model")
TIES = ("prompt", "response_a", "response_b", "both_bad", *_COMMON, "model_a", "model_b")
_OTHER_NAMES = {
    "chosen": "response_a",
    "rejected": "response_b",
    "chosen_model": "model_a",
    "rejected_model": "model_b",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an export is asked for.

    Attributes:
        single: one row a vote instead of one a pair. chat: prompts and responses as messages, whatever they are.
        arms: only rows of these; empty: all. names: what annotators are called, where not by their name.
        margin: share of votes for chosen minus share for rejected; the same with each vote weighing its strength
            (0 to 100, as given; 100 where none is); or no such column.
    """

    single: bool = False
    chat: bool = False
    margin: Margin = "share"
    arms: Collection[str] = ()
    names: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the types of their columns."""

    types: Mapping[str, str]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Training:
    """The tables by (configuration, split), e.g. ("default", "train"); empty ones are left out.

    ``left_out``: how many votes are in no row, by reason.
    """

    tables: Mapping[tuple[str, str], Table]
    left_out: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(len(table.rows) for table in self.tables.values())


def training(store: Store, wanted: Wanted) -> Training:
    """What trainers may see of a campaign.

    Votes on gold items, of excluded annotators, skips, and votes on excluded prompts are left out and counted. With
    ``names`` the annotators are called otherwise.
    """
    pool, sides = Pool.of(store), store.pool.groups()
    kept, left_out = _kept(store.annotations.votes(), pool)
    found: dict[tuple[str, str], list[Row]] = {}
    for votes in _units(kept, single=wanted.single):
        row = _row(pool, votes, wanted.margin)
        if wanted.arms and row["arm"] not in wanted.arms:
            left_out["arms that were not asked for"] += len(votes)
            continue
        split = "test" if sides.get(row["group"]) is Split.HOLDOUT else "train"
        found.setdefault(("ties" if row["tie"] else "default", split), []).append(row)
    if wanted.names is not None:
        found = {key: renamed(rows, wanted.names) for key, rows in found.items()}
    return Training(_tables(found, wanted), dict(left_out))


def _kept(votes: Iterable[Vote], pool: Pool) -> tuple[list[Vote], Counter[str]]:
    kept, left_out = [], Counter[str]()
    for vote in votes:
        why = _why_not(vote, pool)
        if why is None:
            kept.append(vote)
        else:
            left_out[why] += 1
    return kept, left_out


def _why_not(vote: Vote, pool: Pool) -> str | None:
    if vote.choice is Choice.SKIP:
        return "skips"
    if vote.excluded:
        return "excluded annotators"
    if vote.arm is Arm.GOLD:
        return "gold items"
    return "excluded prompts" if pool.prompt(vote.pair_id)[1] is not None else None


def _units(votes: list[Vote], *, single: bool) -> Iterator[list[Vote]]:
    """The votes behind each row."""
    if single:
        yield from ([vote] for vote in votes)
    else:
        yield from by_pair(votes).values()


def _row(pool: Pool, votes: list[Vote], margin: Margin) -> Row:
    (verdict,) = verdicts(votes)
    row = preference(pool, verdict, votes)
    if margin != "none":
        row["margin"] = _margin(row, by_strength=margin == "strength")
    return row


def _margin(row: Row, *, by_strength: bool) -> float:
    """In [0, 1]; never negative, also where few strong votes are against many weak ones."""
    signs = {"a": 1.0, "b": -1.0}
    said = [(signs.get(v["preference"], 0.0), v["strength"] if by_strength else None) for v in row["annotations"]]
    return max(sum(sign * (1.0 if given is None else given / 100.0) for sign, given in said) / len(said), 0.0)


def _tables(found: Mapping[tuple[str, str], list[Row]], wanted: Wanted) -> dict[tuple[str, str], Table]:
    """Columns picked and conversations unified: one type for a column, over all tables."""
    chat = wanted.chat or any(isinstance(row["prompt"], list) for rows in found.values() for row in rows)
    tables = {}
    for name, split in sorted(found, key=lambda key: (key[0], key[1] != "train")):
        rows = [_picked(row, name, wanted.margin) for row in found[name, split]]
        if chat:
            rows = [_as_chat(row) for row in rows]
        types = types_of(list(rows[0]), rows)
        tables[name, split] = Table(types, rows)
    return tables


def _picked(row: Row, name: str, margin: Margin) -> Row:
    if name == "ties":
        row = {_OTHER_NAMES.get(key, key): value for key, value in row.items()}
        return {column: row[column] for column in TIES}
    return {column: row[column] for column in PREFERENCES if column != "margin" or margin != "none"}


def _as_chat(row: Row) -> Row:
    """Texts as messages of user and assistant; responses of ties stay texts, as ``jsonl`` reads them."""
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    return {key: turns(value, roles[key]) if key in roles else value for key, value in row.items()}
