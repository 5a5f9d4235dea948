"""Prompts, responses, pairs and groups."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from pairloop.kit.canonical import canonical_json
from pairloop.kit.ids import content_from_json, content_json
from pairloop.records import (
    AnnotatorKind,
    Choice,
    Pair,
    Prompt,
    Provenance,
    RecordedVote,
    Response,
    Split,
)
from pairloop.store.database import Database, Row

T = TypeVar("T")
GOLD_SOURCE = "gold"
"""Provenance of responses that a gold file brought."""
GOLD_ONLY = "gold item"
"""Why a prompt that only a gold file knows is not part of the campaign's pool."""


class PoolStore:
    """Typed reads and writes of the pool."""

    def __init__(self, database: Database) -> None:
        self._db = database

    # ------------------------------------------------------------------------------------------ writing

    def add_group(self, group: str, split: Split) -> None:
        """Fix the side of a group; a group that is known keeps its side."""
        self._db.write("INSERT OR IGNORE INTO groups (id, split) VALUES (?, ?)", (group, split.value))

    def add_prompt(self, prompt: Prompt, pairing: str) -> bool:
        """True when the prompt is new. A known prompt widens from listed pairs to all pairs, never back."""
        new = self._db.write(
            "INSERT OR IGNORE INTO prompts (id, content, group_id, pairing, metadata) VALUES (?, ?, ?, ?, ?)",
            (prompt.id, canonical_json(content_json(prompt.content)), prompt.group, pairing,
             canonical_json(dict(prompt.metadata))),
        )  # fmt: skip
        if not new and pairing == "all":
            self._db.write("UPDATE prompts SET pairing = 'all' WHERE id = ?", (prompt.id,))
        return bool(new)

    def add_response(self, response: Response) -> bool:
        """True when the text is new for its prompt; a known text only gains provenance."""
        known = self._db.row("SELECT provenance FROM responses WHERE id = ?", (response.id,))
        mine = [_provenance_json(item) for item in response.provenance]
        if known is None:
            self._db.write(
                "INSERT INTO responses (id, prompt_id, text, provenance, metadata) VALUES (?, ?, ?, ?, ?)",
                (response.id, response.prompt_id, response.text, canonical_json(mine),
                 canonical_json(dict(response.metadata))),
            )  # fmt: skip
            return True
        theirs = json.loads(known["provenance"])
        added = [item for item in mine if item not in theirs]
        if added:
            self._db.write(
                "UPDATE responses SET provenance = ? WHERE id = ?", (canonical_json(theirs + added), response.id)
            )
        return False

    def add_pair(self, pair: Pair, fresh: int | None = None) -> bool:
        """True when the pair had no row yet."""
        return bool(
            self._db.write(
                "INSERT OR IGNORE INTO pairs (id, prompt_id, first, second, fresh) VALUES (?, ?, ?, ?, ?)",
                (pair.id, pair.prompt_id, pair.first, pair.second, fresh),
            )
        )

    def add_recorded(self, pair: str, votes: Sequence[RecordedVote]) -> None:
        """Append judgements that came with the data."""
        start = self._db.value("SELECT coalesce(max(position) + 1, 0) FROM recorded WHERE pair_id = ?", (pair,))
        self._db.write_many(
            "INSERT INTO recorded (pair_id, position, annotator, kind, choice, strength, reason, seconds)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (pair, start + i, v.annotator, v.kind.value, v.choice.value, v.strength, v.reason, v.seconds)
                for i, v in enumerate(votes)
            ],
        )

    def set_excluded(self, reasons: Mapping[str, str | None]) -> int:
        """Exclude prompts with a reason, or take them back (None); returns how many changed."""
        return sum(
            self._db.write(
                "UPDATE prompts SET excluded = ? WHERE id = ? AND excluded IS NOT ?", (reason, prompt, reason)
            )
            for prompt, reason in reasons.items()
        )

    # ------------------------------------------------------------------------------------------ reading

    def kept(self, name: str, build: Callable[[], T]) -> T:
        """What ``build`` makes of responses, their prompts' texts and groups; built again when a response comes in."""
        return self._db.kept(name, ("responses",), build)

    def groups(self) -> dict[str, Split]:
        """Every group with its side."""
        return {row["id"]: Split(row["split"]) for row in self._db.rows("SELECT id, split FROM groups ORDER BY id")}

    def prompts(self) -> list[tuple[Prompt, str, str | None]]:
        """(prompt, "all" or "listed", reason of exclusion) in order of import."""
        return [
            (_prompt(row), row["pairing"], row["excluded"])
            for row in self._db.rows("SELECT * FROM prompts ORDER BY seq")
        ]

    def responses(self) -> list[Response]:
        """All responses in order of import."""

        def read() -> list[Response]:
            return [_response(row) for row in self._db.rows("SELECT * FROM responses ORDER BY seq")]

        return list(self._db.kept("responses", ("responses",), read))

    def pairs(self) -> list[tuple[Pair, int | None]]:
        """(pair, round that brought it or None) for every pair with a row, in order of import."""

        def read() -> list[tuple[Pair, int | None]]:
            return [
                (Pair(row["id"], row["prompt_id"], row["first"], row["second"]), row["fresh"])
                for row in self._db.rows("SELECT * FROM pairs ORDER BY seq")
            ]

        return list(self._db.kept("pairs", ("pairs",), read))

    def recorded_counts(self) -> dict[str, int]:
        """Number of recorded votes by pair id."""
        return {row[0]: row[1] for row in self._db.rows("SELECT pair_id, count(*) FROM recorded GROUP BY pair_id")}

    def recorded(self, pairs: Iterable[str]) -> dict[str, list[RecordedVote]]:
        """Recorded votes of these pairs, in order."""
        found: dict[str, list[RecordedVote]] = {}
        for pair in pairs:
            rows = self._db.rows("SELECT * FROM recorded WHERE pair_id = ? ORDER BY position", (pair,))
            found[pair] = [
                RecordedVote(
                    row["annotator"], Choice(row["choice"]), AnnotatorKind(row["kind"]), row["strength"], row["reason"],
                    row["seconds"],
                )
                for row in rows
            ]  # fmt: skip
        return found

    def size(self) -> tuple[int, int]:
        """(prompts, responses)."""
        return (
            int(self._db.value("SELECT count(*) FROM prompts")),
            int(self._db.value("SELECT count(*) FROM responses")),
        )


def _prompt(row: Row) -> Prompt:
    return Prompt(
        row["id"], content_from_json(json.loads(row["content"])), row["group_id"], json.loads(row["metadata"])
    )


def _response(row: Row) -> Response:
    metadata = row["metadata"]
    return Response(
        row["id"], row["prompt_id"], row["text"], _provenance(row["provenance"]),
        {} if metadata == "{}" else json.loads(metadata),
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _provenance(text: str) -> tuple[Provenance, ...]:
    """Most responses share theirs with many others."""
    return tuple(Provenance(**item) for item in json.loads(text))


def _provenance_json(item: Provenance) -> dict[str, object]:
    return {
        "source": item.source,
        "model": item.model,
        "policy": item.policy,
        "round": item.round,
        "sampling": dict(item.sampling),
    }
