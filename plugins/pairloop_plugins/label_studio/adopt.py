"""Tasks that a team has already: linked to questions by their number, and read; never made, changed or deleted.

What links a question to a task is the text that people see: prompt, left and right, in that order. So a task keeps its
own left and right, and the campaign takes them from it (`FixesSides`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from pairloop.kit.canonical import digest
from pairloop.kit.clock import now_time
from pairloop.kit.failpoints import failpoint
from pairloop.kit.text import clean
from pairloop.protocols import Published
from pairloop.records import PromptContent, Task
from pairloop_plugins.label_studio.api import IN_LIST, Api, with_ids
from pairloop_plugins.label_studio.codec import KEY, conversation, texts_digest, texts_of
from pairloop_plugins.label_studio.ledger import Adopted, Ledger, Question, as_mapping
from pairloop_plugins.label_studio.options import LabelStudioOptions, MappingOptions
from pairloop_plugins.label_studio.predictions import Predictions
from pairloop_plugins.label_studio.pull import Pull, moment_of, server_time

NOT_THERE = "project {project} has no task with these texts: adopt asks about tasks that are there, and makes none"
ASKED = "its task is another question's already, and no copy of a task of yours is made"

Json = dict[str, Any]


def tasks_of_theirs(api: Api, page: int) -> Iterator[Json]:
    """All tasks of the project with data and annotations, by number; those that a campaign made are left out."""
    after = 0
    while True:
        filters = [{"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": after}]
        tasks, _ = api.annotated(filters, "tasks:id", page, 1)
        for task in tasks:
            if isinstance(task.get("data"), dict) and KEY not in task["data"]:
                yield task
        if len(tasks) < page:
            return
        after = max(int(task["id"]) for task in tasks)


def answered(task: Mapping[str, Any]) -> bool:
    """Whether anybody has answered or skipped it."""
    return bool(task.get("annotations") or task.get("total_annotations") or task.get("cancelled_annotations"))


def content_digest(prompt: PromptContent, left: str, right: str) -> str:
    """What a question and its task have in common."""
    return digest([clean(conversation(prompt)), clean(left), clean(right)])[:32]


def texts(task: Mapping[str, Any], mapping: MappingOptions) -> tuple[str, str, str] | None:
    """Prompt, left and right of a task; None where one of them is no text."""
    prompt, left, right = texts_of(task["data"], mapping)
    found = isinstance(prompt, str) and isinstance(left, str) and isinstance(right, str)
    return (prompt, left, right) if found else None


class Adoption:
    """Which task of the project holds which question."""

    def __init__(self, api: Api, ledger: Ledger, options: LabelStudioOptions) -> None:
        self._api, self._ledger, self._options = api, ledger, options
        self._listed = False

    def sides(self, questions: Sequence[tuple[PromptContent, str, str]]) -> list[bool | None]:
        """Whether the second text is the left one in the task; None where there is no such task."""
        wanted = [(content_digest(p, a, b), content_digest(p, b, a)) for p, a, b in questions]
        there = self._tasks({each for pair in wanted for each in pair})
        out: list[bool | None] = []
        for one, other in wanted:
            first = min((task.id for task in there.get(one, [])), default=None)
            second = min((task.id for task in there.get(other, [])), default=None)
            if first is None and second is None:
                out.append(None)
            else:
                out.append(first is None or (second is not None and second < first))
        return out

    def link(self, tasks: Sequence[Task]) -> Published:
        """Give each question its task: by number, in one transaction; what has none is refused with the reason."""
        wanted = {task.key: content_digest(task.prompt, task.left, task.right) for task in tasks}
        had = self._ledger.primary(wanted)
        there = self._tasks({content for key, content in wanted.items() if key not in had})
        taken = self._ledger.linked()
        refused: dict[str, str] = {}
        with self._ledger.transaction():
            for task in tasks:
                if task.key in had:
                    continue
                candidates = there.get(wanted[task.key], [])
                free = [each for each in candidates if each.id not in taken]
                if not free:
                    refused[task.key] = ASKED if candidates else NOT_THERE.format(project=self._options.project)
                    continue
                taken.add(free[0].id)
                self._link(task, free[0])
        failpoint("label_studio.linked")
        return Published(as_mapping(self._ledger.primary(wanted)), refused)

    def _link(self, task: Task, found: Adopted) -> None:
        shown = task.prelabel is not None and task.prelabel.shown
        self._ledger.add_questions([Question(task.key, task.rank, task.round, shown, found.texts)])
        self._ledger.see(found.id, task.key, int(self._ledger.fact("pulls") or 0))

    def _tasks(self, contents: Collection[str]) -> dict[str, list[Adopted]]:
        """Tasks by content; the project is listed again, once a process, when some are not known."""
        found = self._ledger.adopted(contents)
        if set(found) < set(contents) and not self._listed:
            self._list()
            found = self._ledger.adopted(contents)
        return found

    def _list(self) -> None:
        wanted = [task for task in tasks_of_theirs(self._api, self._options.page) if self._usable(task)]
        rows = []
        for task in wanted:
            shown = texts(task, self._options.mapping)
            if shown is not None:
                known = texts_digest(task["data"], self._options.mapping)
                rows.append((content_digest(*shown), Adopted(int(task["id"]), known)))
        with self._ledger.transaction():
            self._ledger.adopt(rows)
        self._listed = True

    def _usable(self, task: Json) -> bool:
        return self._options.adopt == "all" or not answered(task)


class AdoptingPull(Pull):
    """Reads the answers to linked tasks; removes nothing, ever."""

    def refresh(self) -> Json:
        """Read what linked tasks hold already, then what is new.

        Raises:
            BackendRejected: the project is gone, or its config can no longer be read. BackendUnavailable.
        """
        project, at = self._api.project()
        self.check_config(str(project.get("label_config") or ""))
        with self._ledger.transaction():
            self._ledger.set_fact("pulls", str(self._number() + 1))
        cursor, started = self._ledger.fact("cursor"), server_time(at)
        self._read_linked()
        if cursor is not None:
            self.read(moment_of(cursor) - timedelta(seconds=self._options.overlap))
        elif started is None:
            self.read(None)
        if started is not None:
            with self._ledger.transaction():
                self._advance(started)
        self._sweep()
        return project

    def scope(self) -> list[Json]:
        """The whole project: `_question` passes over what is not linked."""
        return []

    def _read_linked(self) -> None:
        """Answers that were there when a task was linked did not change since, and would never be read otherwise."""
        unread = self._ledger.unread()
        for start in range(0, len(unread), IN_LIST):
            part = unread[start : start + IN_LIST]
            tasks, _ = self._api.annotated([with_ids(part)], "tasks:id", IN_LIST, 1)
            self.take(tasks)
            with self._ledger.transaction():
                self._ledger.set_read(part)

    def _question(self, task: Json) -> Question | None:
        key = self._ledger.key_of(int(task["id"]))
        return None if key is None else self._ledger.question(key)

    def _sweep(self) -> None:
        moment = now_time().timestamp()
        if moment - float(self._ledger.fact("swept") or 0.0) < 60.0 * self._options.sweep_minutes:
            return
        self._lose(self._ledger.live() - self._listed())
        with self._ledger.transaction():
            self._ledger.set_fact("swept", repr(moment))

    def remove(self, task: int, key: str) -> bool:
        """Nothing of theirs is removed."""
        return False


class AdoptedPredictions(Predictions):
    """Predictions on linked tasks, found by number instead of by key."""

    def _there(self, version: str, made: Sequence[Json]) -> set[int]:
        wanted, found = sorted(int(each["task"]) for each in made), set()
        for start in range(0, len(wanted), IN_LIST):
            for task in self._api.predicted([with_ids(wanted[start : start + IN_LIST])], IN_LIST):
                if any(each.get("model_version") == version for each in task.get("predictions", [])):
                    found.add(int(task["id"]))
        return found

    def _existing(self) -> set[int]:
        return {task for page in self._api.ids([], 5000) for task in page}
