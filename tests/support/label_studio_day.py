"""A day of a campaign on a Label Studio, driven at the backend: two batches, people, renewed guesses, a withdrawal.

Every call is repeated while it is unavailable, as a cron job would, and after a kill it goes on with a new backend over
the same ledger.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pairloop.errors import BackendError
from pairloop.records import Annotation, Choice, Prelabel, Task
from pairloop_plugins.label_studio.backend import LabelStudioBackend
from pairloop_plugins.label_studio.options import LabelStudioOptions
from support.fault_proxy import FaultProxy
from support.studio import Studio, compare, question

T = TypeVar("T")
IMPORT = re.compile(r"POST /api/projects/\d+/import(\?|$)")
TRIES = 8
OLD, NEW = ("a" * 64, "b" * 64)


@dataclass
class Day:
    """The campaign's side: what was asked, and what was reported, in the order of arrival."""

    studio: Studio
    proxy: FaultProxy
    folder: Path
    options: LabelStudioOptions
    asked: list[Task] = field(default_factory=list)
    votes: list[Annotation] = field(default_factory=list)
    cursor: str | None = None

    def problems(self) -> list[str]:
        """Live through the day; what differs between both sides in the evening."""
        self.backend = self._open()
        try:
            self._live()
        finally:
            self.backend.close()
        withdrawn = set(self.withdrawn)
        asked = [task for task in self.asked if task.key not in withdrawn]
        return compare(self.studio.tasks(self.options.project), self.votes, asked) + self._sent_twice()

    def _sent_twice(self) -> list[str]:
        """Nothing is sent twice that reached the server, unless it took its time, or the network doubled it."""
        sent = sum(len(json.loads(body)) for call, body in self.proxy.forwarded if IMPORT.search(call))
        surprising = any(fault.fate in ("late", "double") for fault in self.proxy.faults)
        wrong = sent != len(self.asked) and not surprising
        return [f"{sent} tasks were sent for {len(self.asked)} questions"] if wrong else []

    def _live(self) -> None:
        first = [question(index) for index in range(6)]
        self.publish(first)
        self.answer(first[0], Choice.LEFT)
        self.answer(first[1], Choice.RIGHT)
        self.answer(first[2], Choice.SKIP)
        self.pull()
        self.proxy.release()
        self.edit(first[0], Choice.TIE)
        self.take_back(first[1])
        second = [question(index, prelabel=Prelabel(Choice.LEFT, 0.7, NEW), round_=2) for index in range(6, 11)]
        self.publish(second)
        self.again(lambda: self.backend.renew({task.key: Prelabel(Choice.RIGHT, 0.3, NEW) for task in first[3:]}))
        self.pull()
        for task, choice in zip(second, (Choice.RIGHT, Choice.BOTH_BAD, Choice.LEFT), strict=False):
            self.answer(task, choice)
        self.pull()
        self.withdrawn = list(self.again(lambda: self.backend.cancel([first[5].key, second[0].key])))
        self.proxy.release()
        for _ in range(3):  # to settle
            self.pull()

    # ---------------------------------------------------------------------------------- the campaign's

    def publish(self, tasks: list[Task]) -> None:
        """Publish; before every try but the first look up what is there, as the loop does."""
        self.asked += tasks
        keys = [task.key for task in tasks]
        self.again(lambda: self.backend.lookup(keys))
        published = self.again(lambda: self.backend.publish(tasks))
        assert sorted(published.remote_ids) == sorted(keys)

    def pull(self) -> None:
        """Poll to the end."""
        more = True
        while more:
            page = self.again(lambda: self.backend.poll(self.cursor))
            self.votes += page.annotations
            self.cursor, more = page.cursor, page.more

    def again(self, call: Callable[[], T]) -> T:
        """Until it works."""
        for _ in range(TRIES - 1):
            try:
                return call()
            except BackendError:
                self.backend.close()
                self.backend = self._open()
        return call()

    def _open(self) -> LabelStudioBackend:
        return self.studio.backend(self.folder, self.options)

    # ---------------------------------------------------------------------------------------- people's

    def answer(self, asked: Task, choice: Choice) -> None:
        """People answer every copy of a question: they do not know that it is one."""
        for task in self._copies(asked):
            self.studio.vote(task["id"], choice)

    def edit(self, asked: Task, choice: Choice) -> None:
        """Somebody changes all answers to a question."""
        for task in self._copies(asked):
            for annotation in task["annotations"]:
                self.studio.edit(annotation["id"], choice)

    def take_back(self, asked: Task) -> None:
        """Somebody deletes all answers to a question."""
        for task in self._copies(asked):
            for annotation in task["annotations"]:
                self.studio.take_back(annotation["id"])

    def _copies(self, asked: Task) -> list[dict[str, object]]:
        found = self.studio.tasks(self.options.project)
        return [task for task in found if task["data"].get("pairloop_key") == asked.key]
