"""A Label Studio in a thread of the test: the endpoints that pairloop uses, as Community 1.23.2 behaves.

What it answers was recorded from a real 1.23.2 server, and ``make test-label-studio`` runs the same tests against one.
Enterprise was never at hand: ``enterprise=True`` imports by jobs, as its documentation and the fields of the open
source model of an import say.

Habits that matter and are kept: an import is atomic, repeats are not noticed, ``include`` also filters inside
annotations, a page behind the last is a 404, predictions that do not fit are dropped with a 201, a PATCH of
``show_collab_predictions`` alone clears ``model_version``, a deleted annotation moves ``updated_at``, a deleted task
just is not there any more.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
People = Callable[[Json], list[Json]]
VERSION = "1.23.2"
PROJECT = {
    "description": "", "expert_instruction": "", "show_instruction": False, "show_skip_button": True,
    "enable_empty_annotation": True, "maximum_annotations": 1, "model_version": "", "show_collab_predictions": True,
    "sampling": "Sequential sampling",
}  # fmt: skip
PERMISSIONS = [
    "projects.create", "projects.view", "projects.change", "projects.delete", "tasks.create", "tasks.view",
    "tasks.change", "tasks.delete", "annotations.create", "annotations.view", "predictions.any",
]  # fmt: skip


class Problem(Exception):
    """An error answer."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"id": "0", "status_code": status, "version": VERSION, "detail": detail, "exc_info": None, **more}


class FakeLabelStudio:
    """The server's state and its answers. ``people`` answer new tasks at once: a list of annotations for a task."""

    def __init__(self, token: str, *, enterprise: bool = False, people: People | None = None) -> None:
        self.token, self.enterprise, self.people = token, enterprise, people
        self.release = VERSION
        self.sign_up = True
        self.access: set[str] = set()
        self.projects: dict[int, Json] = {}
        self.tasks: dict[int, Json] = {}
        self.jobs: dict[int, Json] = {}
        self.calls: list[str] = []
        self.lock = threading.RLock()
        self.url = ""
        self._numbers: dict[str, int] = {}
        self._last = datetime.now(UTC)

    # -------------------------------------------------------------------------------------- for tests

    def annotate(self, task: int, result: list[Json], *, user: int = 1, **fields: Any) -> Json:
        """A person answers."""
        with self.lock:
            at, found = self._now(), self.tasks[task]
            made = {
                "id": self._number("annotation"), "result": result, "completed_by": user, "was_cancelled": False,
                "ground_truth": False, "created_at": at, "updated_at": at, "lead_time": 4.5, "parent_prediction": None,
                "task": task, "project": found["project"], **fields,
            }  # fmt: skip
            found["annotations"].append(made)
            found["updated_at"] = self._now()
            return made

    def remove(self, annotation: int) -> None:
        """A person deletes an answer."""
        with self.lock:
            task, made = self._annotation(annotation)
            task["annotations"].remove(made)
            task["updated_at"] = self._now()

    def served(self, project: int) -> Json | None:
        """The task that the next annotator gets."""
        with self.lock:
            settings = self._project(project)
            todo = [t for t in self._tasks(project) if not t["annotations"]]
            if settings["sampling"] == "Uncertainty sampling":
                scored = [
                    (guess["score"], task["id"], task)
                    for task in todo
                    for guess in task["predictions"]
                    if guess["model_version"] == settings["model_version"] and guess["score"] is not None
                ]
                if scored:
                    return min(scored)[2]
            return min(todo, key=lambda t: t["id"], default=None)

    # -------------------------------------------------------------------------------------- answering

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        """Status and JSON body of a request."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        with self.lock:
            self.calls.append(f"{method} {parts.path}")
            try:
                if parts.path == "/user/login/":
                    return 200, '<a href="/user/signup">Sign up</a>' if self.sign_up else "<p>Log in</p>"
                if parts.path == "/api/token/refresh/":
                    return self._refresh(json.loads(body))
                self._authorized(headers)
                for pattern, verbs in self._routes().items():
                    match = re.fullmatch(pattern, parts.path)
                    if match and method in verbs:
                        sent = json.loads(body) if body else None
                        return verbs[method](*[int(number) for number in match.groups()], query=query, sent=sent)
                raise Problem(404, "Not found.")
            except Problem as problem:
                return problem.status, problem.body

    def _routes(self) -> dict[str, dict[str, Callable[..., tuple[int, Any]]]]:
        return {
            "/api/version/?": {"GET": self._version},
            "/api/current-user/whoami": {"GET": self._whoami},
            "/api/projects/?": {"GET": self._list_projects, "POST": self._create_project},
            r"/api/projects/(\d+)/": {
                "GET": self._get_project,
                "PATCH": self._patch_project,
                "DELETE": self._delete_project,
            },
            r"/api/projects/(\d+)/import": {"POST": self._import},
            r"/api/projects/(\d+)/imports/(\d+)/": {"GET": self._import_state},
            r"/api/projects/(\d+)/import/predictions": {"POST": self._import_predictions},
            r"/api/projects/(\d+)/model-versions": {"GET": self._versions, "DELETE": self._delete_version},
            "/api/tasks/": {"GET": self._list_tasks},
            r"/api/projects/(\d+)/next": {"GET": self._next},
            r"/api/tasks/(\d+)/": {"GET": self._get_task, "PATCH": self._patch_task, "DELETE": self._delete_task},
            r"/api/tasks/(\d+)/annotations/": {"POST": self._annotate},
            r"/api/tasks/(\d+)/drafts": {"POST": self._draft},
            r"/api/annotations/(\d+)/": {
                "GET": self._get_annotation,
                "PATCH": self._patch_annotation,
                "DELETE": self._delete_annotation,
            },
        }

    def _authorized(self, headers: dict[str, str]) -> None:
        said = headers.get("Authorization", "")
        if "." in self.token:
            if said.removeprefix("Bearer ") not in self.access:
                raise Problem(401, "Token is invalid or expired")
        elif said != f"Token {self.token}":
            raise Problem(401, "Invalid token.")

    def _refresh(self, sent: Json) -> tuple[int, Any]:
        if sent.get("refresh") != self.token:
            raise Problem(401, "Token is invalid or expired", code="token_not_valid")
        access = f"a.{self._number('access')}.c"
        self.access.add(access)
        return 200, {"access": access}

    def _version(self, **_: Any) -> tuple[int, Any]:
        return 200, {"release": self.release, "edition": "Enterprise" if self.enterprise else "Community"}

    def _whoami(self, **_: Any) -> tuple[int, Any]:
        return 200, {"id": 1, "email": "admin@example.com", "permissions": PERMISSIONS}

    # --------------------------------------------------------------------------------------- projects

    def _list_projects(self, query: Json, **_: Any) -> tuple[int, Any]:
        found = [p for p in self.projects.values() if query.get("title", "") in p["title"]]
        return 200, {"count": len(found), "next": None, "previous": None, "results": found[::-1]}

    def _create_project(self, sent: Json, **_: Any) -> tuple[int, Any]:
        if not 3 <= len(sent.get("title", "")) <= 50:
            raise Problem(
                400, "Validation error", validation_errors={"title": ["Ensure this field has 3 to 50 characters."]}
            )
        number = self._number("project")
        made = {"id": number, **PROJECT, **sent, "label_config": str(sent.get("label_config", "<View/>")).strip()}
        self.projects[number] = made
        return 201, made

    def _project(self, number: int) -> Json:
        if number not in self.projects:
            raise Problem(404, "No Project matches the given query.")
        return self.projects[number]

    def _get_project(self, number: int, **_: Any) -> tuple[int, Any]:
        return 200, self._project(number)

    def _patch_project(self, number: int, sent: Json, **_: Any) -> tuple[int, Any]:
        project = self._project(number)
        version = sent.get("model_version")
        if version and version not in self._count_versions(number):
            raise Problem(400, "Validation error", validation_errors={"model_version": ["Model version doesn't exist"]})
        if "show_collab_predictions" in sent and not sent["show_collab_predictions"] and version is None:
            project["model_version"] = ""
        project.update(sent)
        return 200, project

    def _delete_project(self, number: int, **_: Any) -> tuple[int, Any]:
        self._project(number)
        for task in self._tasks(number):
            del self.tasks[task["id"]]
        del self.projects[number]
        return 204, None

    def _next(self, number: int, **_: Any) -> tuple[int, Any]:
        task = self.served(number)
        if task is None:
            raise Problem(404, "There are still some tasks to complete for the user=1, but they seem to be locked")
        shown = self._shown(task, {})
        return 200, shown if self.projects[number]["show_collab_predictions"] else {**shown, "predictions": []}

    # ------------------------------------------------------------------------------- import and tasks

    def _import(self, number: int, sent: list[Json], **_: Any) -> tuple[int, Any]:
        project = self._project(number)
        needed = re.findall(r'value="\$(\w+)"', project["label_config"])
        for index, task in enumerate(sent):
            data = task.get("data", task)
            missing = [name for name in needed if data.get(name) is None]
            if missing:
                errors = [f'Error at item {index}: "{missing[0]}" key is expected in task data']
                raise Problem(400, "Validation error", validation_errors={"non_field_errors": errors})
        ids = [self._create_task(number, task) for task in sent]
        if self.enterprise:
            job = self._number("job")
            self.jobs[job] = {"id": job, "status": "created", "error": None, "task_ids": ids, "polls": 0}
            return 201, {"import": job}
        guesses = sum(len(task.get("predictions", [])) for task in sent)
        return 201, {"task_count": len(ids), "annotation_count": 0, "prediction_count": guesses, "task_ids": ids}

    def _import_state(self, number: int, job: int, **_: Any) -> tuple[int, Any]:
        self._project(number)
        state = self.jobs[job]
        state["polls"] += 1
        state["status"] = "completed" if state["polls"] > 2 else "in_progress"
        return 200, state if state["status"] == "completed" else {**state, "task_ids": []}

    def _create_task(self, project: int, sent: Json) -> int:
        number, at = self._number("task"), self._now()
        task = {
            "id": number, "data": sent.get("data", sent), "meta": sent.get("meta", {}), "project": project,
            "created_at": at, "updated_at": at, "annotations": [], "drafts": [], "predictions": [], "overlap": 1,
        }  # fmt: skip
        self.tasks[number] = task
        for guess in sent.get("predictions", []):
            self._predict(task, guess)
        for answer in self.people(task) if self.people is not None else []:
            self.annotate(number, **answer)
        return number

    def _tasks(self, project: int) -> list[Json]:
        return [task for task in self.tasks.values() if task["project"] == project]

    def _list_tasks(self, query: Json, **_: Any) -> tuple[int, Any]:
        self._project(int(query["project"]))
        wanted = json.loads(query.get("query", "{}"))
        found = [
            task
            for task in self._tasks(int(query["project"]))
            if all(_passes(task, item) for item in wanted.get("filters", {}).get("items", []))
        ]
        for key in reversed(wanted.get("ordering", ["tasks:id"])):
            found.sort(key=lambda task: task[key.removeprefix("tasks:")])
        size, page = int(query.get("page_size", 100)), int(query.get("page", 1))
        if page > 1 and (page - 1) * size >= len(found):
            raise Problem(404, "Invalid page.")
        shown = [self._shown(task, query) for task in found[(page - 1) * size : page * size]]
        total = sum(len(task["annotations"]) for task in found)
        return 200, {"total_annotations": total, "total_predictions": 0, "total": len(found), "tasks": shown}

    def _shown(self, task: Json, query: Json) -> Json:
        include = set(query["include"].split(",")) if "include" in query else None
        full = {**task, "draft_exists": bool(task["drafts"]),
                "total_annotations": sum(not a["was_cancelled"] for a in task["annotations"]),
                "cancelled_annotations": sum(a["was_cancelled"] for a in task["annotations"])}  # fmt: skip
        if query.get("fields") == "task_only":
            full = {k: v for k, v in full.items() if k not in ("annotations", "predictions", "drafts")}
        if include is None:
            return full
        out = {name: value for name, value in full.items() if name in include}
        for name in ("annotations", "predictions"):
            if name in out:
                out[name] = [{k: v for k, v in each.items() if k in include} for each in out[name]]
        return out

    def _task(self, number: int) -> Json:
        if number not in self.tasks:
            raise Problem(404, "No Task matches the given query.")
        return self.tasks[number]

    def _get_task(self, number: int, **_: Any) -> tuple[int, Any]:
        return 200, self._shown(self._task(number), {})

    def _delete_task(self, number: int, **_: Any) -> tuple[int, Any]:
        self._task(number)
        del self.tasks[number]
        return 204, None

    def _annotation(self, number: int) -> tuple[Json, Json]:
        for task in self.tasks.values():
            for made in task["annotations"]:
                if made["id"] == number:
                    return task, made
        raise Problem(404, "No Annotation matches the given query.")

    def _annotate(self, number: int, sent: Json, **_: Any) -> tuple[int, Any]:
        self._task(number)
        return 201, self.annotate(number, sent.pop("result"), user=sent.pop("completed_by", 1), **sent)

    def _patch_annotation(self, number: int, sent: Json, **_: Any) -> tuple[int, Any]:
        task, made = self._annotation(number)
        made.update(sent)
        made["updated_at"] = self._now()
        task["updated_at"] = self._now()
        return 200, made

    def _delete_annotation(self, number: int, **_: Any) -> tuple[int, Any]:
        self.remove(number)
        return 204, None

    def _draft(self, number: int, sent: Json, **_: Any) -> tuple[int, Any]:
        made = {"id": self._number("draft"), **sent}
        self._task(number)["drafts"].append(made)
        return 201, made

    def _patch_task(self, number: int, sent: Json, **_: Any) -> tuple[int, Any]:
        task = self._task(number)
        task.update(sent)
        task["updated_at"] = self._now()
        return 200, task

    def _get_annotation(self, number: int, **_: Any) -> tuple[int, Any]:
        return 200, self._annotation(number)[1]

    # ------------------------------------------------------------------------------------ predictions

    def _predict(self, task: Json, guess: Json) -> None:
        task["predictions"].append({"id": self._number("prediction"), "task": task["id"], **guess})
        task["updated_at"] = self._now()
        project = self.projects[task["project"]]
        project["model_version"] = project["model_version"] or guess.get("model_version", "")

    def _import_predictions(self, number: int, sent: list[Json], **_: Any) -> tuple[int, Any]:
        self._project(number)
        unknown = [guess["task"] for guess in sent if guess["task"] not in self.tasks]
        if unknown:
            raise Problem(400, "Validation error", validation_errors={"non_field_errors": [f"Unknown tasks {unknown}"]})
        good = [guess for guess in sent if guess.get("score") is None or 0 <= guess["score"] <= 1]
        for guess in good:
            self._predict(self.tasks[guess["task"]], {k: v for k, v in guess.items() if k != "task"})
        return 201, {"created": len(good)}

    def _count_versions(self, number: int) -> dict[str, int]:
        found: dict[str, int] = {}
        for task in self._tasks(number):
            for guess in task["predictions"]:
                found[guess["model_version"]] = found.get(guess["model_version"], 0) + 1
        return found

    def _versions(self, number: int, **_: Any) -> tuple[int, Any]:
        self._project(number)
        return 200, self._count_versions(number)

    def _delete_version(self, number: int, sent: Json, **_: Any) -> tuple[int, Any]:
        n = self._count_versions(number).get(sent["model_version"], 0)
        for task in self._tasks(number):
            task["predictions"] = [p for p in task["predictions"] if p["model_version"] != sent["model_version"]]
        return 200, {"deleted_predictions": n}

    # ---------------------------------------------------------------------------------------- helpers

    def _number(self, kind: str) -> int:
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return self._numbers[kind]

    def _now(self) -> str:
        """Microseconds, never the same twice."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return self._last.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _passes(task: Json, item: Json) -> bool:
    field, operator, value = item["filter"].removeprefix("filter:tasks:"), item["operator"], item["value"]
    if field.startswith("data."):
        found = task["data"].get(field.removeprefix("data."))
        return bool(found == value if operator == "equal" else found in value)
    if field == "updated_at" and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value):
        raise Problem(500, "time data does not match format '%Y-%m-%dT%H:%M:%S.%fZ'")
    return bool(task[field] in value if operator == "in_list" else task[field] > value)


@contextmanager
def serving(fake: FakeLabelStudio) -> Iterator[FakeLabelStudio]:
    """The server on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = fake.answer(self.command, self.path, dict(self.headers), body)
            text = (
                b"" if answer is None else answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            )
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(answer, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = serve  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with running(Handler) as port:
        fake.url = f"http://127.0.0.1:{port}"
        yield fake


@contextmanager
def running(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """A threading HTTP server on a free port; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
