"""The endpoints of Label Studio that pairloop uses, with the habits of 1.23 written down where they bite."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pairloop.errors import BackendRejected
from pairloop_plugins.label_studio.transport import Answer, Refused, Transport, Unreached

# Without ``include`` the server also counts all tasks and annotations.
_SETTINGS = (
    "id,title,label_config,model_version,sampling,show_collab_predictions,maximum_annotations,enable_empty_annotation"
)
IN_LIST = 200
"""Keys a query: the request line stays under the 8 KiB that proxies take."""

_INSIDE = (
    "id,data,meta,annotations,result,completed_by,was_cancelled,ground_truth,lead_time,created_at,updated_at,"
    "parent_prediction,total_annotations,cancelled_annotations,draft_exists"
)  # ``include`` also filters inside annotations

Json = dict[str, Any]


class Api:
    """Calls, and shapes checked as far as they are relied on."""

    def __init__(self, transport: Transport, project: int) -> None:
        self.http = transport
        self.number = project

    # ------------------------------------------------------------------------------------- the server

    def version(self) -> Json:
        """``{"release": "1.23.2", "edition": "Community", …}``"""
        return _object(self.http.get("api/version"), "version")

    def whoami(self) -> Json:
        """The user of the token."""
        return _object(self.http.get("api/current-user/whoami"), "whoami")

    def projects(self, title: str) -> list[Json]:
        """Projects whose title contains this, newest first, at most a hundred."""
        body = _object(
            self.http.get("api/projects/", {"title": title, "page_size": 100, "ordering": "-id"}), "projects"
        )
        return [each for each in body.get("results", []) if isinstance(each, dict)]

    # ------------------------------------------------------------------------------------ the project

    def project(self) -> tuple[Json, str | None]:
        """The project and the server's clock.

        Raises:
            BackendRejected: it is gone, or the user may not see it.
        """
        try:
            answer = self.http.get(f"api/projects/{self.number}/", {"include": _SETTINGS})
        except Refused as refusal:
            raise self.gone(refusal) from None
        return _object(answer, "a project"), answer.at

    def gone(self, refusal: Refused) -> BackendRejected:
        """What a 404 of the project means."""
        if refusal.status != 404:
            return BackendRejected(f"Label Studio refuses: {refusal}", "See: pairloop doctor")
        return BackendRejected(
            f"project {self.number} is not there, or the user of the token may not see it",
            "No vote was taken back. Restore the project, or name another one in backend.options.project: then all"
            " open questions are asked there.",
        )

    def create_project(self, settings: Mapping[str, Any]) -> Json:
        """A new project."""
        return _object(self.http.write("POST", "api/projects/", dict(settings)), "a project")

    def change_project(self, settings: Mapping[str, Any]) -> None:
        """Change these settings, all in one request: a PATCH of some would reset others."""
        self.http.write("PATCH", f"api/projects/{self.number}/", dict(settings))

    # ---------------------------------------------------------------------------------------- pushing

    def import_tasks(self, tasks: Sequence[Json]) -> Json:
        """``{"task_ids": […], "prediction_count": n}`` of Community, or ``{"import": id}`` of Enterprise."""
        path = f"api/projects/{self.number}/import"
        return _object(self.http.write("POST", path, list(tasks), {"return_task_ids": "true"}), "an import")

    def import_state(self, number: int) -> Json:
        """How an import job of Enterprise is doing: ``status``, ``error``, ``task_ids``."""
        return _object(self.http.get(f"api/projects/{self.number}/imports/{number}/"), "an import")

    def delete_task(self, task: int) -> None:
        """Delete a task and what hangs on it; one that is gone already is fine."""
        try:
            self.http.write("DELETE", f"api/tasks/{task}/", None)
        except Refused as refusal:
            if refusal.status != 404:
                raise

    # ---------------------------------------------------------------------------------------- reading

    def task(self, task: int) -> Json | None:
        """A task with its annotations and drafts; None when it is gone."""
        try:
            return _object(self.http.get(f"api/tasks/{task}/"), "a task")
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise

    def annotation(self, annotation: int) -> Json | None:
        """An annotation; None when it is gone."""
        try:
            return _object(self.http.get(f"api/annotations/{annotation}/"), "an annotation")
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise

    def count(self, items: Sequence[Json]) -> int:
        """How many tasks the filters let through."""
        body, _ = self._tasks(items, [], {"fields": "task_only", "include": "id", "page_size": 1})
        return int(body["total"])

    def ids(self, items: Sequence[Json], page: int) -> Iterator[list[int]]:
        """Ids of all tasks that the filters let through, in order.

        By key, not by page number: tasks that come and go in between shift nothing.
        """
        after = 0
        while True:
            more = [*items, {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": after}]
            body, _ = self._tasks(more, ["tasks:id"], {"fields": "task_only", "include": "id", "page_size": page})
            found = [int(task["id"]) for task in body["tasks"]]
            if found:
                yield found
                after = max(found)
            if len(found) < page:
                return

    def with_data(self, items: Sequence[Json], page: int) -> list[Json]:
        """Id and data of tasks, for small filters."""
        body, _ = self._tasks(items, ["tasks:id"], {"fields": "task_only", "include": "id,data", "page_size": page})
        return list(body["tasks"])

    def predicted(self, items: Sequence[Json], page: int) -> list[Json]:
        """Id and predictions of tasks, for small filters."""
        params = {"fields": "all", "include": "id,predictions,model_version", "page_size": page}
        body, _ = self._tasks(items, ["tasks:id"], params)
        return list(body["tasks"])

    def annotated(self, items: Sequence[Json], order: str, page: int, number: int) -> tuple[list[Json], str | None]:
        """Tasks with data and annotations, and the server's clock; the page behind the last one is empty."""
        params = {"fields": "all", "include": _INSIDE, "page_size": page, "page": number}
        try:
            body, at = self._tasks(items, [order], params)
        except _PageBeyond:
            return [], None
        return list(body["tasks"]), at

    def _tasks(self, items: Sequence[Json], order: Sequence[str], params: Json) -> tuple[Json, str | None]:
        query: Json = {"filters": {"conjunction": "and", "items": list(items)}}
        if order:
            query["ordering"] = list(order)
        sent = {"project": self.number, "query": json.dumps(query, separators=(",", ":")), **params}
        try:
            answer = self.http.get("api/tasks/", sent)
        except Refused as refusal:
            if refusal.status == 404 and "page" in refusal.detail.lower() and params.get("page", 1) > 1:
                raise _PageBeyond from None
            raise self.gone(refusal) from None
        body = _object(answer, "a list of tasks")
        tasks = body.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(t, dict) and type(t.get("id")) is int for t in tasks):
            raise Unreached(_shape("a list of tasks"), _SHAPE_HINT)
        return body, answer.at

    # ------------------------------------------------------------------------------------ predictions

    def import_predictions(self, predictions: Sequence[Json]) -> int:
        """Add predictions; how many were taken: bad ones are dropped without a word."""
        path = f"api/projects/{self.number}/import/predictions"
        return int(_object(self.http.write("POST", path, list(predictions)), "predictions").get("created", 0))

    def model_versions(self) -> dict[str, int]:
        """Predictions by model version."""
        body = _object(self.http.get(f"api/projects/{self.number}/model-versions"), "model versions")
        return {str(name): int(n) for name, n in body.items()}

    def delete_model_version(self, version: str, *, timeout: float) -> None:
        """Delete the predictions of a version; the server goes on when nobody waits any more."""
        path = f"api/projects/{self.number}/model-versions"
        self.http.write("DELETE", path, {"model_version": version}, timeout=timeout)


def by_campaign(campaign: str) -> Json:
    """The filter for tasks of a campaign."""
    return equal("pairloop_campaign", campaign)


def equal(field: str, value: str) -> Json:
    """A filter on a text in the task's data."""
    return {"filter": f"filter:tasks:data.{field}", "operator": "equal", "type": "String", "value": value}


def among(field: str, values: Sequence[str]) -> Json:
    """A filter on a text in the task's data: one of these, at most `IN_LIST`."""
    return {"filter": f"filter:tasks:data.{field}", "operator": "in_list", "type": "String", "value": list(values)}


def with_ids(tasks: Sequence[int]) -> Json:
    """A filter on tasks by number, at most `IN_LIST`."""
    return {"filter": "filter:tasks:id", "operator": "in_list", "type": "Number", "value": list(tasks)}


def changed_after(moment: datetime) -> Json:
    """A filter on tasks that changed; another way to write the time makes the server fail."""
    value = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime", "value": value}


class _PageBeyond(Exception):
    """The server has no such page."""


def _object(answer: Answer, what: str) -> Json:
    if not isinstance(answer.body, dict):
        raise Unreached(_shape(what), _SHAPE_HINT)
    return answer.body


def _shape(what: str) -> str:
    return f"Label Studio sent something else than {what}"


_SHAPE_HINT = "Is this a Label Studio, of 1.18 or later? See: pairloop doctor"
