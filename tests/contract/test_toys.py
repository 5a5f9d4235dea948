"""The toys keep the contracts that they are used to test with, and so do the built-in reward models."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pairloop.protocols import Backend, BackendContext, RewardModelSpec, TunerSpec
from pairloop.records import Annotation, Choice, Task
from pairloop.testing import toy_reward, toy_tuner
from pairloop.testing.backends import BackendContract
from pairloop.testing.remote import FileRemote, RemoteOptions
from pairloop.testing.reward_models import RewardModelContract
from pairloop.testing.tuners import TunerContract


class TestToyReward(RewardModelContract):
    @pytest.fixture
    def spec(self) -> RewardModelSpec:
        return toy_reward.pairloop_reward_models()[0]


class TestTfidfReward(RewardModelContract):
    @pytest.fixture
    def spec(self) -> RewardModelSpec:
        from pairloop_reward import plugin

        return plugin.pairloop_reward_models()[0]


class TestToyTuner(TunerContract):
    @pytest.fixture
    def spec(self) -> TunerSpec:
        return toy_tuner.pairloop_tuners()[0]


class TestFileRemote(BackendContract):
    choices = (Choice.LEFT, Choice.RIGHT, Choice.TIE)

    @pytest.fixture
    def backend_factory(self) -> Callable[[Path], FileRemote]:
        options = RemoteOptions(path="remote.sqlite3", noise=0.0)
        return lambda folder: FileRemote(options, BackendContext(folder, "contract", 0))

    def answered(self, backend: Backend, tasks: Iterable[Task], choice: Choice | None = None) -> list[Annotation]:
        """As a caller must do with a backend that doubles: look up, publish the rest."""
        tasks = list(tasks)
        known = backend.lookup([task.key for task in tasks])
        backend.publish([task for task in tasks if task.key not in known])
        return [one for page in self.drain(backend, len(tasks)) for one in page.annotations]

    def make_task(self, index: int, choice: Choice = Choice.LEFT, *, text: str = "") -> Task:
        good, bad = f"clear {index} {text}", f"rude {index} {text}"
        left, right = {Choice.LEFT: (good, bad), Choice.RIGHT: (bad, good)}.get(choice, (good, f"kind {index} {text}"))
        task = super().make_task(index, choice, text=text)
        return Task(task.key, 1, 0, task.pair_id, task.prompt, left, right)
