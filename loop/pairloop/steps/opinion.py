"""What the current reward model thinks of texts that may be in no pool; safe to ask from several threads."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pairloop.kit.ids import lone_view
from pairloop.kit.threads import numeric_threads
from pairloop.parts import Parts
from pairloop.protocols import RewardModel
from pairloop.records import PromptContent
from pairloop.steps.contract import calling, checked_posterior
from pairloop.store import Store


class CurrentModel:
    """Reads the store anew at every question, and loads the model when it changed."""

    def __init__(self, folder: Path, parts: Parts, threads: int) -> None:
        self._folder, self._parts, self._threads = folder, parts, threads
        self._lock = threading.Lock()
        self._loaded: tuple[str, RewardModel] | None = None

    def __call__(self, questions: Sequence[tuple[PromptContent, str, str]]) -> tuple[str, list[float]] | None:
        """Artifact of the model, and P(left is better) of each (prompt, left, right); None before the first fit.

        Raises:
            StoreError: the campaign's files cannot be read. PluginError: the model failed.
        """
        with self._lock:
            found = self._current()
            if found is None or not questions:
                return None if found is None else (found[0], [])
            views = [lone_view(prompt, text) for prompt, *texts in questions for text in texts]
            with numeric_threads(self._threads), calling("reward model", found[0][:12]):
                posterior = checked_posterior(found[1].posterior(views), len(views))
            rows = np.arange(len(views), dtype=np.int32).reshape(-1, 2)
            return found[0], posterior.probability(rows).tolist()

    def _current(self) -> tuple[str, RewardModel] | None:
        with Store.open_readonly(self._folder) as store:
            row = store.models.current("reward")
            if row is None or row.artifact is None:
                return None
            if self._loaded is None or self._loaded[0] != row.artifact:
                path = store.artifacts.path(row.artifact)
                self._loaded = (row.artifact, self._parts.load_reward_model(path, cached=False))
            return self._loaded
