"""The current reward model as an ML backend of Label Studio: its side of ``/setup``, ``/predict`` and ``/versions``.

Label Studio sends a user's legacy token to ``/setup`` in the clear. Nothing that is sent is kept, logged or repeated in
an answer; only the texts of tasks are looked at.

What people may see is decided as for predictions that are pushed: a task whose guess is hidden gets a score and an
empty result, and so does every task that is no question of the campaign.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pairloop.kit.text import clean
from pairloop.protocols import Guess
from pairloop.records import Choice, Prelabel
from pairloop_plugins.label_studio.codec import KEY, prediction, texts_of, version_of
from pairloop_plugins.label_studio.options import LabelStudioOptions

NO_MODEL = "pairloop, not trained yet"

Json = dict[str, Any]


class MlBackend:
    """Implements `pairloop.protocols.ModelServer`.

    Args:
        guess: the current reward model. ledger: the backend's file, which is only read.
    """

    def __init__(self, guess: Guess, options: LabelStudioOptions, campaign: str, ledger: Path) -> None:
        self._guess, self._campaign, self._ledger = guess, campaign, ledger
        self._options = options.model_copy(update={"order": "uncertainty"})  # one score for all: the confidence

    def __call__(self, path: str, sent: Any) -> Json | None:
        """The answer; None for another path."""
        if path == "/setup":
            return {"model_version": self._version()}
        if path == "/versions":
            return {"versions": [self._version()]}
        if path == "/predict":
            return {"results": self._predict(_tasks(sent))}
        return None

    def _version(self) -> str:
        found = self._guess([])
        return NO_MODEL if found is None else version_of(found[0], self._campaign)

    def _predict(self, tasks: Sequence[Json]) -> list[Json]:
        """One answer a task, in their order; an empty one where the task holds no two texts, or nothing is trained."""
        texts = {i: found for i, task in enumerate(tasks) if (found := self._texts(task)) is not None}
        made = self._guess(list(texts.values())) if texts else None
        out: list[Json] = [{} for _ in tasks]
        if made is None:
            return out
        artifact, probabilities = made
        visible = self._visible([str(tasks[i]["data"].get(KEY)) for i in texts])
        for i, p_left in zip(texts, probabilities, strict=True):
            shown = tasks[i]["data"].get(KEY) in visible
            choice = Choice.LEFT if p_left >= 0.5 else Choice.RIGHT
            guess = Prelabel(choice, p_left, artifact, shown)
            out[i] = prediction(guess, 0, False, self._campaign, self._options)
        return out

    def _texts(self, task: Json) -> tuple[str, str, str] | None:
        data = task.get("data")
        found = texts_of(data, self._options.mapping) if isinstance(data, dict) else (None, None, None)
        prompt, left, right = found
        if not (isinstance(prompt, str) and isinstance(left, str) and isinstance(right, str)):
            return None
        return clean(prompt), clean(left), clean(right)

    def _visible(self, keys: Sequence[str]) -> set[str]:
        """Questions whose guess people may see."""
        if not self._ledger.exists():
            return set()
        with closing(sqlite3.connect(f"{self._ledger.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as database:
            rows = database.execute("SELECT key FROM question WHERE shown = 1").fetchall()
        return {str(row[0]) for row in rows} & set(keys)


def _tasks(sent: Any) -> list[Json]:
    tasks = sent.get("tasks") if isinstance(sent, dict) else None
    return [task if isinstance(task, dict) else {} for task in tasks] if isinstance(tasks, list) else []
