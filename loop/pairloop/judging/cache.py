"""Answers of judges on disk, by content: the same question is never paid for twice.

One file an answer, named by a digest of judge, prompt and the two texts in their order, and written atomically as soon
as the answer is there: a kill loses at most the answers that had not arrived. Texts are not stored, only what was
answered. Several campaigns may share a folder; an entry remembers which of them bought it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pairloop.kit.atomic import disk_errors, write_atomic
from pairloop.kit.canonical import canonical_json, digest
from pairloop.kit.ids import content_json
from pairloop.protocols import JudgeAnswer, JudgeQuestion
from pairloop.records import Choice


@dataclass(frozen=True, slots=True)
class Bought:
    """An answer and the campaign that paid for it."""

    answer: JudgeAnswer
    buyer: str


class AnswerCache:
    """A folder of answers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, identity: str, question: JudgeQuestion) -> Bought | None:
        """The stored answer; a file that is damaged counts as missing."""
        try:
            entry: Any = json.loads(self._path(identity, question).read_text(encoding="utf-8"))
            body = entry["body"]
            if entry["digest"] != digest(body):
                return None
            answer = JudgeAnswer(**{**body["answer"], "choice": Choice(body["answer"]["choice"])})
            return Bought(answer, str(body["buyer"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def put(self, identity: str, question: JudgeQuestion, answer: JudgeAnswer, buyer: str) -> None:
        """Store an answer, durably.

        Raises:
            StorageFull: the disk is full, read-only or failing.
        """
        path = self._path(identity, question)
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        body = {"answer": {**asdict(answer), "choice": answer.choice.value}, "buyer": buyer, "judge": identity}
        write_atomic(path, canonical_json({"body": body, "digest": digest(body)}))

    def _path(self, identity: str, question: JudgeQuestion) -> Path:
        key = digest([identity, content_json(question.prompt), question.left, question.right])
        return self._folder / key[:2] / f"{key}.json"
