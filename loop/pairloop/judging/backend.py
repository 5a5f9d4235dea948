"""The backend ``judge``: the config's judge answers alone, and no person votes.

Questions and answers lie in the backend's folder, one file a key; the judge's cache keeps what was paid for.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pairloop.errors import BackendUnavailable, ConfigError
from pairloop.hookspecs import hookimpl
from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import canonical_json
from pairloop.kit.ids import content_from_json, content_json
from pairloop.protocols import Backend, BackendContext, BackendSpec, Capabilities, JudgeQuestion, JudgeSpent, Published
from pairloop.records import Annotation, AnnotatorKind, Choice, Page, Task

_PAGE = 20  # pairs answered before they are committed

Entry = dict[str, Any]


class JudgeBackend:
    """Implements `pairloop.protocols.Backend`."""

    name = "judge"
    capabilities = Capabilities(idempotent_publish=True, lookup=True, cancel=True, blocking=True)

    def __init__(self, context: BackendContext) -> None:
        """Open the folder.

        Raises:
            ConfigError: the config names no judge.
        """
        if context.judge is None:
            raise ConfigError('backend.kind = "judge" needs a judge', 'Set judge.kind, for example: kind = "openai"')
        self._panel = context.judge
        self._folder = context.folder

    def publish(self, tasks: Sequence[Task]) -> Published:
        """Write down the questions that are not there yet."""
        known = self.lookup([task.key for task in tasks])
        number = max((self._read(key)["number"] for key in self._keys()), default=0)
        for task in tasks:
            if task.key not in known:
                number += 1
                body = {"prompt": content_json(task.prompt), "left": task.left, "right": task.right}
                self._write(task.key, {"number": number, "question": body, "answer": None})
        return Published({task.key: f"judge-{task.key}" for task in tasks})

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        """Those of the keys that were published."""
        there = self._keys()
        return {key: f"judge-{key}" for key in keys if key in there}

    def poll(self, cursor: str | None) -> Page:
        """Answer some questions, and give all answers from the cursor on.

        Raises:
            BackendUnavailable: the judge cannot be reached, and nothing new was answered. BackendRejected: see `Judge`.
        """
        entries = sorted(((key, self._read(key)) for key in self._keys()), key=lambda item: item[1]["number"])
        waiting = [(key, entry) for key, entry in entries if entry["answer"] is None][:_PAGE]
        problem = self._answer(waiting, [entry["answer"] for _, entry in entries if entry["answer"] is not None])
        given = [self._annotation(key, entry) for key, entry in entries if entry["answer"] is not None]
        fresh = given[0 if cursor is None else int(cursor) :]
        if problem is not None and not fresh:
            raise BackendUnavailable(f"the judge cannot be asked: {problem}", "Run the same command again later.")
        unanswered = any(entry["answer"] is None for _, entry in entries)
        return Page(fresh, str(len(given)), more=bool(fresh) and unanswered and problem is None)

    def _answer(self, waiting: Sequence[tuple[str, Entry]], before: Sequence[Entry]) -> str | None:
        """Ask about these; the files are written in order. Returns why it stopped early, or None."""
        spent = JudgeSpent(sum(float(each["cost"]) for each in before), 2 * len(before))
        found = self._panel.compare([_question(entry) for _, entry in waiting], spent)
        for (key, entry), both in zip(waiting, found.answers, strict=True):
            if both is None:
                break  # answers are given in the order of the questions, so that a cursor is a number
            reason = both.straight.reason or both.swapped.reason
            cost = both.straight.cost + both.swapped.cost
            entry["answer"] = {"choice": both.choice.value, "reason": reason, "cost": cost}
            self._write(key, entry)
        return found.problem or found.limit

    def cancel(self, keys: Collection[str]) -> Collection[str]:
        """Questions without an answer are taken back."""
        gone = [key for key in sorted(set(keys) & self._keys()) if self._read(key)["answer"] is None]
        for key in gone:
            (self._folder / f"{key}.json").unlink()
        return gone

    def close(self) -> None:
        """Nothing is held."""

    def _annotation(self, key: str, entry: Entry) -> Annotation:
        said = entry["answer"]
        return Annotation(
            key=key, backend=self.name, remote_id=f"judge-{key}", revision="1", annotator=self._panel.annotator,
            choice=Choice(said["choice"]), kind=AnnotatorKind.MODEL, reason=said["reason"], cost=said["cost"],
        )  # fmt: skip

    def _keys(self) -> set[str]:
        return {path.stem for path in self._folder.glob("k*.json")}

    def _read(self, key: str) -> Entry:
        entry: Entry = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
        return entry

    def _write(self, key: str, entry: Entry) -> None:
        write_atomic(self._folder / f"{key}.json", canonical_json(entry))


def _question(entry: Entry) -> JudgeQuestion:
    asked = entry["question"]
    return JudgeQuestion(content_from_json(asked["prompt"]), asked["left"], asked["right"])


def _factory(_options: Any, context: BackendContext) -> Backend:
    return JudgeBackend(context)


@hookimpl
def pairloop_backends() -> Sequence[BackendSpec]:
    """Offer the backend ``judge``."""
    return [BackendSpec("judge", _factory, None, "the judge of [judge] answers alone; no person votes")]
