"""One Label Studio for tests, the fake or a real one, seen as people and tests see it: over HTTP."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from pairloop.kit.ids import assignment_key
from pairloop.protocols import BackendContext, Preparing
from pairloop.records import Annotation, Choice, Prelabel, Task
from pairloop_plugins.label_studio.backend import LabelStudioBackend
from pairloop_plugins.label_studio.codec import remote_id
from pairloop_plugins.label_studio.options import LabelStudioOptions
from pairloop_plugins.label_studio.setup import prepare
from support.fake_label_studio import FakeLabelStudio, serving

Json = dict[str, Any]
CANARY = "canary-0123456789abcdef0123456789abcdef"
VALUES = {Choice.LEFT: "left", Choice.RIGHT: "right", Choice.TIE: "tie", Choice.BOTH_BAD: "both_bad"}
REAL = "PAIRLOOP_LABEL_STUDIO"
"""Variable with the address of a real server; its token is in LABEL_STUDIO_API_KEY."""


@dataclass
class Studio:
    """A server, and what tests do to it beside the backend."""

    url: str
    token: str
    fake: FakeLabelStudio | None = None

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, headers={"Authorization": f"Token {self.token}"}, timeout=120)

    # ------------------------------------------------------------------------------------- the backend

    def options(self, *, url: str | None = None, **changes: Any) -> LabelStudioOptions:
        """Options of a new project of ours."""
        made = prepare(LabelStudioOptions(url=self.url), Preparing(f"test-{uuid.uuid4().hex[:12]}", Path()))
        return LabelStudioOptions(**{**made.options, "url": url or self.url, **changes})

    def backend(self, folder: Path, options: LabelStudioOptions, **context: Any) -> LabelStudioBackend:
        """The backend over a ledger in a folder; it never really sleeps."""
        folder.mkdir(parents=True, exist_ok=True)
        return LabelStudioBackend(
            options, BackendContext(folder, context.pop("campaign", "test"), 0, **context), sleep=lambda _seconds: None
        )

    # ------------------------------------------------------------------------------------------ people

    def vote(self, task: int | str, choice: Choice, **fields: Any) -> Json:
        """Somebody answers a task."""
        body: Json = {"result": said(choice), "lead_time": 4.5, **fields}
        if choice is Choice.SKIP:
            body |= {"was_cancelled": True}
        return self._ok(self.http.post(f"/api/tasks/{task}/annotations/", json=body))

    def edit(self, annotation: int, choice: Choice, **fields: Any) -> None:
        """Somebody changes an answer."""
        self._ok(self.http.patch(f"/api/annotations/{annotation}/", json={"result": said(choice), **fields}))

    def take_back(self, annotation: int) -> None:
        """Somebody deletes an answer."""
        self._ok(self.http.delete(f"/api/annotations/{annotation}/"))

    def delete_task(self, task: int | str) -> None:
        """Somebody deletes a task."""
        self._ok(self.http.delete(f"/api/tasks/{task}/"))

    def set(self, project: int | None, **settings: Any) -> None:
        """Somebody changes the project."""
        self._ok(self.http.patch(f"/api/projects/{project}/", json=settings))

    def project(self, number: int | None) -> Json:
        """The project."""
        return self._ok(self.http.get(f"/api/projects/{number}/"))

    def served(self, project: int | None) -> Json:
        """The task that the next annotator gets, as it is shown."""
        return self._ok(self.http.get(f"/api/projects/{project}/next"))

    def copy(self, project: int | None, task: int | str) -> int:
        """Another task with the same data, as a request that reaches the server twice makes it."""
        data = self.task(task)["data"]
        made = self._ok(
            self.http.post(f"/api/projects/{project}/import", params={"return_task_ids": "true"}, json=[{"data": data}])
        )
        return int(made["task_ids"][0])

    def task(self, number: int | str) -> Json:
        """A task as it is."""
        return self._ok(self.http.get(f"/api/tasks/{number}/"))

    def tasks(self, project: int | None) -> list[Json]:
        """All tasks of a project, with all that hangs on them."""
        params = {"project": str(project), "fields": "all", "page_size": "2000"}
        found: list[Json] = self._ok(self.http.get("/api/tasks/", params=params))["tasks"]
        return found

    @staticmethod
    def _ok(answer: httpx.Response) -> Any:
        assert answer.status_code < 300, (answer.request.method, answer.request.url, answer.status_code, answer.text)
        return json.loads(answer.text) if answer.text else None


def said(choice: Choice) -> list[Json]:
    """What the interface sends for a choice."""
    if choice is Choice.SKIP:
        return []
    region = {"from_name": "preference", "to_name": "prompt", "type": "choices", "origin": "manual"}
    return [{**region, "value": {"choices": [VALUES[choice]]}}]


@contextmanager
def open_studio() -> Iterator[Studio]:
    """The real server that the environment names, or the fake."""
    if REAL in os.environ:
        studio = Studio(os.environ[REAL], os.environ["LABEL_STUDIO_API_KEY"])
        yield studio
        studio.http.close()
        return
    with serving(FakeLabelStudio(CANARY)) as fake:
        studio = Studio(fake.url, CANARY, fake)
        yield studio
        studio.http.close()


def question(index: int, *, prelabel: Prelabel | None = None, round_: int = 1, replica: int = 0) -> Task:
    """The index-th question of a round."""
    pair = f"q{index:020d}"
    return Task(
        key=assignment_key("test", round_, pair, replica), round=round_, replica=replica, pair_id=pair,
        prompt=f"Prompt {index}", left=f"left of {index}", right=f"right of {index}", prelabel=prelabel, rank=index,
    )  # fmt: skip


def compare(tasks: Sequence[Json], votes: Sequence[Annotation], asked: Sequence[Task]) -> list[str]:
    """Both sides: what the server holds, and what was reported; sentences about each difference, [] when all is well.

    ``votes`` in the order of their arrival, superseded and retracted ones included.
    """
    standing = {vote.remote_id: vote for vote in votes}
    there: dict[str, list[Json]] = {}
    for task in tasks:
        there.setdefault(task["data"].get("pairloop_key", "foreign"), []).append(task)
    problems = []
    for each in asked:
        copies = there.get(each.key, [])
        if not copies:
            problems.append(f"question {each.key} was never asked")
        unlabelled = [copy for copy in copies if not copy["annotations"]]
        if len(copies) > 1 and unlabelled:
            problems.append(f"question {each.key} has {len(copies)} tasks, {len(unlabelled)} of them without an answer")
        for copy in copies:
            if (copy["data"]["left"], copy["data"]["right"]) != (each.left, each.right):
                problems.append(f"task {copy['id']} shows other texts, or swapped ones")
    return problems + _misread(there, {key: vote for key, vote in standing.items() if not vote.deleted})


def _misread(there: Mapping[str, Sequence[Json]], standing: Mapping[str, Annotation]) -> list[str]:
    problems, found = [], set()
    for key, copies in there.items():
        for annotation in (one for copy in copies for one in copy["annotations"] if key != "foreign"):
            vote = standing.get(remote_id(annotation))
            found.add(remote_id(annotation))
            if vote is None:
                problems.append(f"annotation {annotation['id']} was lost")
            elif (vote.key, vote.choice) != (key, _choice(annotation)):
                problems.append(f"annotation {annotation['id']} was misread as {vote.choice} about {vote.key}")
    problems += [f"vote {remote} has no annotation" for remote in sorted(set(standing) - found)]
    return problems


def _choice(annotation: Json) -> Choice:
    if annotation["was_cancelled"] or not annotation["result"]:
        return Choice.SKIP
    value = annotation["result"][0]["value"]["choices"][0]
    return next(choice for choice, name in VALUES.items() if name == value)
