"""Writes ``data/demo.jsonl`` from the hand-written sentences: ``python -m pairloop_plugins.demo.make_data [file]``.

The same sentences give the same bytes, whatever the Python version and the hash seed.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pairloop.kit.seeds import derive_seed
from pairloop_plugins.demo.writers import WRITERS, Dice, unclear
from pairloop_plugins.demo.written import phrases, topics

SEED = 2024
DATA = Path(__file__).parent / "data" / "demo.jsonl"
EXACT_DUPLICATES = 5
NEAR_DUPLICATES = 8
_TRIES = 200

Row = dict[str, Any]


def dice_for(*path: str | int) -> Dice:
    """Dice of one purpose."""
    return Dice(derive_seed(SEED, *path))


def _staff(dice: Dice) -> list[str]:
    """The careful writer always answers; three to five of the others do, in random order.

    The lost writer is mostly left out: without a look at the prompt nobody can tell its replies from good ones.
    """
    others = [name for name in WRITERS if name not in ("writer-careful", "writer-lost")]
    chosen = dice.some(others, 3 + dice.chance(0.6)) + (["writer-lost"] if dice.chance(0.35) else [])
    return dice.some(["writer-careful", *chosen], len(WRITERS))


class Desk:
    """Answers questions, never twice in the same words."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._topics = {topic.name: topic for topic in topics()}

    def answer(self, group: str | None, name: str, key: str) -> dict[str, str]:
        """A response that was not given before; ``group`` None means that the question makes no sense."""
        for attempt in range(_TRIES):
            dice = dice_for(key, name, attempt)
            text = WRITERS[name](self._topics[group], dice) if group else unclear(name, dice)
            if text not in self._said:
                self._said.add(text)
                return {"text": text, "model": name}
        raise RuntimeError(f"{name} has nothing new to say about {key!r}: write more sentences")

    def row(self, prompt: str, group: str | None, **metadata: Any) -> Row:
        """A prompt with four to six responses."""
        responses = [self.answer(group, name, prompt) for name in _staff(dice_for("staff", prompt))]
        return {"prompt": prompt, "group": group, "metadata": metadata, "responses": responses}


def _regular(desk: Desk) -> list[Row]:
    """First one question of every topic, then the second of every topic …: every beginning of the file is balanced."""
    order = dice_for("topics").some(topics(), len(topics()))
    rounds = max(len(topic.questions) for topic in order)
    return [
        desk.row(_dressed(topic.questions[i]), topic.name)
        for i in range(rounds)
        for topic in order
        if i < len(topic.questions)
    ]


def _dressed(question: str) -> str:
    """Some visitors say hello or thank you."""
    dice = dice_for("dress", question)
    hello = [dice.pick(phrases()["hello"])] if dice.chance(0.15) else []
    thanks = [dice.pick(phrases()["again"])] if dice.chance(0.1) else []
    return " ".join([*hello, question, *thanks])


def _exact(desk: Desk, row: Row) -> Row:
    """The same prompt once more, with two of its responses and a new one."""
    again = desk.answer(row["group"], "writer-careful", row["prompt"] + "#2")
    return {**row, "metadata": {"repeats": "exactly"}, "responses": [*row["responses"][:2], again]}


def _near(desk: Desk, row: Row) -> Row:
    """The prompt in small letters and without its mark; it names no group, so that it has to be found out."""
    made = desk.row(row["prompt"].rstrip("?").lower(), row["group"], repeats="nearly")
    return {**made, "group": None}


def _is_long_question(prompt: str) -> bool:
    return len(prompt.split()) >= 9 and prompt.endswith("?") and "please" not in prompt


def rows() -> Iterator[Row]:
    """All rows: the regular ones, with a repeated or meaningless prompt after every fifteenth."""
    desk = Desk()
    regular = _regular(desk)
    long = [row for row in regular if _is_long_question(row["prompt"])]
    early = long[: len(long) // 4]
    specials = [_exact(desk, row) for row in dice_for("exact").some(early, EXACT_DUPLICATES)]
    used = {row["prompt"] for row in specials}
    near = dice_for("near").some([row for row in early if row["prompt"] not in used], NEAR_DUPLICATES)
    specials += [_near(desk, row) for row in near]
    specials += [desk.row(prompt, None, bad_prompt=True) for prompt in phrases()["bad-prompt"]]
    queue = dice_for("specials").some(specials, len(specials))
    for position, row in enumerate(regular):
        yield row
        if position >= len(topics()) + 15 and position % 12 == 0 and queue:
            yield queue.pop(0)
    yield from queue


def text() -> str:
    """The whole file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())


def main() -> None:
    """Write the file, here or where the first argument says."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    target.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
