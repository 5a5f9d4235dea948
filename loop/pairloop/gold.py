"""Gold items: pairs whose right answer is known, from a file into the store.

They look like every other question to annotators. Here they are told apart: their prompts and responses are kept out of
selection, features and tuning, and their votes measure people only (`pairloop.records.Arm.GOLD`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairloop.errors import DataError
from pairloop.kit.canonical import digest
from pairloop.kit.ids import content_from_json, make_pair, prompt_id, response_id
from pairloop.kit.text import clean, clean_json, plain
from pairloop.records import JsonObject, Message, Pair, Prompt, PromptContent, Provenance, Response, Split
from pairloop.store import Store
from pairloop.store.pool import GOLD_ONLY, GOLD_SOURCE
from pairloop.store.quality import GoldRow

_KNOWN = ("prompt", "response_a", "response_b", "correct", "reason", "metadata", "metadata_a", "metadata_b")
_SHOWN = 5  # problems that an error lists
_MOST = 50_000_000  # bytes
_META = "gold_digest"


@dataclass(frozen=True, slots=True)
class GoldItem:
    """One line of the file; ``correct`` is "a", "b" or "tie"."""

    prompt: PromptContent
    texts: tuple[str, str]
    correct: str
    reason: str | None
    line: int
    metadata: tuple[JsonObject, JsonObject, JsonObject] = ({}, {}, {})

    @property
    def pair(self) -> Pair:
        """The pair of the two responses."""
        prompt = prompt_id(self.prompt)
        return make_pair(prompt, *(response_id(prompt, text) for text in self.texts))

    @property
    def answer(self) -> str:
        """The right answer about the stored order of the pair: "first", "second" or "tie"."""
        if self.correct == "tie":
            return "tie"
        right = response_id(prompt_id(self.prompt), self.texts["ab".index(self.correct)])
        return "first" if right == self.pair.first else "second"


def read_gold(path: Path) -> list[GoldItem]:
    """The items of a JSONL file.

    Raises:
        DataError: the file cannot be read, or a line is wrong; names the lines. A gold file with one wrong line is not
            used at all: people are judged by it.
    """
    items: list[GoldItem] = []
    problems: list[str] = []
    seen: dict[str, GoldItem] = {}
    for number, text in _lines(path):
        try:
            item = _item(text, number)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        earlier = seen.setdefault(item.pair.id, item)
        if earlier is not item:
            problems.append(f"line {number}: the same pair as in line {earlier.line}")
        items.append(item)
    if problems:
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise DataError(
            f"{path}: {'; '.join(problems[:_SHOWN])}{more}",
            'A line is {"prompt": …, "response_a": …, "response_b": …, "correct": "a", "b" or "tie"}, with "reason" if'
            " you like.",
        )
    if not items:
        raise DataError(f"{path}: there is no gold item in it", "Add some, or set quality.gold_share to 0.")
    return items


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the gold file {path}: {error.strerror}", "Check quality.gold_path.") from error
    if len(raw) > _MOST:
        raise DataError(f"{path}: {len(raw):,} bytes are too many for a gold file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}", "Save the file as UTF-8.") from None
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _item(text: str, number: int) -> GoldItem:
    try:
        row = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(row, dict):
        raise ValueError("not an object")
    unknown = sorted(set(row) - set(_KNOWN))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}")
    if row.get("correct") not in ("a", "b", "tie"):
        raise ValueError(f'"correct" must be "a", "b" or "tie", and is {row.get("correct")!r}')
    reason = None if row.get("reason") is None else _text(row, "reason")
    texts = (_text(row, "response_a"), _text(row, "response_b"))
    if texts[0] == texts[1]:
        raise ValueError("both responses are the same text")
    metadata = (_metadata(row, "metadata"), _metadata(row, "metadata_a"), _metadata(row, "metadata_b"))
    return GoldItem(_prompt(row), texts, row["correct"], reason, number, metadata)


def _text(row: dict[str, Any], key: str) -> str:
    if not isinstance(row.get(key), str):
        raise ValueError(f'"{key}" must be a text' + ("" if key in row else ", and is missing"))
    return clean(row[key])


def _prompt(row: dict[str, Any]) -> PromptContent:
    content = content_from_json(row.get("prompt"))
    cleaned = (
        clean(content)
        if isinstance(content, str)
        else tuple(Message(clean(turn.role), clean(turn.content)) for turn in content)
    )
    if not plain(cleaned).strip():
        raise ValueError("the prompt is empty")
    return cleaned


def _metadata(row: dict[str, Any], key: str) -> JsonObject:
    value = row.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f'"{key}" must be an object')
    cleaned: JsonObject = clean_json(value)
    return cleaned


def store_gold(store: Store, items: list[GoldItem]) -> bool:
    """Make these the gold items of a campaign, in one transaction; False when they are so already.

    A prompt or response that only the gold file knows is stored with a mark, and stays out of selection, features and
    tuning. An item about a pair of the data takes the pair out of selection.
    """
    stamp = digest([[item.pair.id, item.answer, item.reason, item.line] for item in items])
    if store.get_meta(_META) == stamp:
        return False
    with store.transaction():
        known = {prompt.id for prompt, _, _ in store.pool.prompts()}
        only_gold = {}
        for item in items:
            if item.pair.prompt_id not in known:
                only_gold[item.pair.prompt_id] = GOLD_ONLY
            _store_item(store, item, item.pair.prompt_id in known)
        store.pool.set_excluded(only_gold)
        store.quality.set_gold([GoldRow(i.pair.id, i.answer, i.reason, i.line, True) for i in items])
        store.set_meta(_META, stamp)
        store.events.add("gold_items_read", None, items=len(items), digest=stamp)
    return True


def _store_item(store: Store, item: GoldItem, known: bool) -> None:
    prompt, pair = item.pair.prompt_id, item.pair
    about_prompt, *about_responses = item.metadata
    if not known:
        group = f"gold:{prompt}"
        store.pool.add_group(group, Split.TRAIN)
        store.pool.add_prompt(Prompt(prompt, item.prompt, group, about_prompt), "listed")
    for text, metadata in zip(item.texts, about_responses, strict=True):
        store.pool.add_response(Response(response_id(prompt, text), prompt, text, (Provenance(GOLD_SOURCE),), metadata))
    store.pool.add_pair(pair)
