"""Questions become tasks, each once.

Label Studio has no idempotency key, and an import whose answer got lost may have been carried out, or may be yet. So
the keys are stored first, an import is sent once, and after any doubtful answer the server is asked for the keys. What
is not there is sent again only when `late_commit` seconds have passed. What is committed later still becomes surplus,
which `pairloop_plugins.label_studio.pull` sweeps.
"""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from pairloop.errors import BackendRejected, BackendUnavailable
from pairloop.kit.clock import now_time
from pairloop.kit.failpoints import failpoint
from pairloop.protocols import Published
from pairloop.records import Task
from pairloop_plugins.label_studio.api import IN_LIST, Api, among, by_campaign
from pairloop_plugins.label_studio.codec import KEY, payload, prediction_problem, texts_digest
from pairloop_plugins.label_studio.ledger import Ledger, Question, as_mapping
from pairloop_plugins.label_studio.options import LabelStudioOptions
from pairloop_plugins.label_studio.transport import Doubtful, Refused

LARGEST_IMPORT = 5 << 20
"""Bytes an import: reverse proxies refuse large bodies."""

_LOOKS = (0.2, 0.5, 1.0, 2.0)  # seconds between looking again after a doubtful answer
_JOB_LOOKS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)  # … for a job of Enterprise


class Push:
    """Sends questions to one project."""

    def __init__(
        self,
        api: Api,
        ledger: Ledger,
        campaign: str,
        options: LabelStudioOptions,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api, self._ledger, self._campaign, self._options, self._sleep = api, ledger, campaign, options, sleep
        self._absent: set[str] = set()  # this process has looked, and they were not there

    # ----------------------------------------------------------------------------------------- sending

    def send(self, tasks: Sequence[Task]) -> Published:
        """Create the tasks that are not there.

        Raises:
            BackendUnavailable: some may be there or not; the same call finds out, and sends nothing twice.
        """
        made = {task.key: payload(task, self._campaign, self._options) for task in tasks}
        with self._ledger.transaction():
            self._ledger.add_questions([self._question(task, made[task.key]) for task in tasks])
        failpoint("label_studio.keys_stored")
        self._settle([key for key in made if key not in self._ledger.primary(made)])
        there = self._ledger.primary(made)
        refused: dict[str, str] = {}
        for chunk in _chunks({key: made[key] for key in made if key not in there}, self._options.chunk):
            self._import(chunk, refused)
        return Published(as_mapping(self._ledger.primary(made)), refused)

    def _question(self, task: Task, made: Mapping[str, Any]) -> Question:
        shown = task.prelabel is not None and task.prelabel.shown
        return Question(task.key, task.rank, task.round, shown, texts_digest(made["data"], self._options.mapping))

    def _import(self, chunk: Mapping[str, Any], refused: dict[str, str]) -> None:
        """One import; what the server refuses is halved until the single task is found that it refuses."""
        keys = list(chunk)
        self._attempt(keys, now_time().timestamp())
        failpoint("label_studio.before_import")
        try:
            answer = self._api.import_tasks([_checked(made, self._options) for made in chunk.values()])
        except Doubtful as doubt:
            if not self._appeared(keys):
                raise BackendUnavailable(doubt.message, self._patience(keys)) from None
            return
        except BackendUnavailable:
            self._attempt(keys, None)
            raise
        except Refused as refusal:
            self._attempt(keys, None)
            self._halve(chunk, refusal, refused)
            return
        failpoint("label_studio.after_import")
        self._receive(keys, answer)
        failpoint("label_studio.received")

    def _halve(self, chunk: Mapping[str, Any], refusal: Refused, refused: dict[str, str]) -> None:
        keys = list(chunk)
        if refusal.status == 404:
            raise self._api.gone(refusal)
        if refusal.status not in (400, 413, 422):
            raise BackendRejected(f"Label Studio refuses an import: {refusal}", "See: pairloop doctor")
        if len(keys) == 1:
            refused[keys[0]] = f"Label Studio refuses it: {refusal}"
            return
        for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
            self._import({key: chunk[key] for key in half}, refused)

    def _receive(self, keys: Sequence[str], answer: Mapping[str, Any]) -> None:
        """Store which task carries which key, after a look at whether the ids come in the order that was sent."""
        ids = answer.get("task_ids")
        if ids is None and isinstance(answer.get("import"), int):
            ids = self._job(int(answer["import"]), keys)
        found: list[int] = ids if isinstance(ids, list) and all(type(each) is int for each in ids) else []
        if len(found) == len(keys) and self._carries(found[0], keys[0]) and self._carries(found[-1], keys[-1]):
            with self._ledger.transaction():
                for key, task in zip(keys, found, strict=True):
                    self._ledger.see(task, key, self._pull)
                self._ledger.set_attempted(keys, None)
        elif not self._appeared(keys):
            raise BackendUnavailable(
                "Label Studio said yes to an import, and not all tasks are there", self._patience(keys)
            )

    def _carries(self, task: int, key: str) -> bool:
        found = self._api.task(task)
        return found is not None and isinstance(found.get("data"), dict) and found["data"].get(KEY) == key

    def _job(self, number: int, keys: Sequence[str]) -> list[int] | None:
        """Ids from an import job of Enterprise.

        Raises:
            BackendRejected: it failed. BackendUnavailable: it goes on.
        """
        for wait in _JOB_LOOKS:
            state = self._api.import_state(number)
            if state.get("status") == "completed":
                ids = state.get("task_ids")
                return ids if isinstance(ids, list) else None
            if state.get("status") == "failed":
                found = self.find(keys)
                if not found:
                    self._attempt(keys, None)
                raise BackendRejected(f"import {number} of Label Studio failed: {str(state.get('error'))[:200]}")
            self._sleep(wait)
        raise BackendUnavailable(f"import {number} of Label Studio is still going on", self._patience(keys))

    def _attempt(self, keys: Collection[str], at: float | None) -> None:
        with self._ledger.transaction():
            self._ledger.set_attempted(keys, at)

    # ----------------------------------------------------------------------------------------- looking

    def find(self, keys: Collection[str]) -> dict[str, int]:
        """Ask the server which of the keys it holds, and remember it."""
        wanted = sorted(keys)
        if len(wanted) > IN_LIST and self._api.count([by_campaign(self._campaign)]) == 0:
            self._absent.update(wanted)
            return {}
        for start in range(0, len(wanted), IN_LIST):
            part = wanted[start : start + IN_LIST]
            tasks = self._api.with_data([by_campaign(self._campaign), among(KEY, part)], 2 * IN_LIST)
            with self._ledger.transaction():
                for task in tasks:
                    if task.get("data", {}).get(KEY) in part:
                        self._ledger.see(int(task["id"]), task["data"][KEY], self._pull)
                self._ledger.set_attempted(self._ledger.primary(part), None)
        found = self._ledger.primary(wanted)
        self._absent.update(set(wanted) - set(found))
        return found

    def _settle(self, keys: Sequence[str]) -> None:
        """Look up what may be there without our knowing; wait out the doubt about what is not.

        Raises:
            BackendUnavailable: the doubt is too fresh.
        """
        doubtful = self._ledger.attempted(keys)
        self.find([key for key in keys if key in doubtful or key not in self._absent])
        left = self._ledger.attempted(keys)
        if left and self._remaining(left) > 0:
            raise BackendUnavailable(
                f"the last push of {len(left)} tasks got no clear answer", self._patience(list(left))
            )

    def _appeared(self, keys: Sequence[str]) -> bool:
        """Look again and again for a few seconds: most lost answers were to imports that worked."""
        for wait in _LOOKS:
            try:
                if len(self.find(keys)) == len(keys):
                    return True
            except BackendUnavailable:
                pass  # the server is in trouble; the next call looks again
            self._sleep(wait)
        return False

    def _remaining(self, attempts: Mapping[str, float]) -> float:
        return max(attempts.values()) + self._options.late_commit - now_time().timestamp()

    def _patience(self, keys: Sequence[str]) -> str:
        left = self._ledger.attempted(keys)
        seconds = max(self._remaining(left), 0.0) if left else 0.0
        return (
            f"Run the same command again in {seconds:.0f} seconds: the server may still be at it, and nothing is asked"
            " twice."
        )

    @property
    def _pull(self) -> int:
        return int(self._ledger.fact("pulls") or 0)


def _checked(made: Mapping[str, Any], options: LabelStudioOptions) -> dict[str, Any]:
    """The payload without predictions that the server would drop without a word."""
    kept = [each for each in made.get("predictions", []) if prediction_problem(each, options.mapping) is None]
    return {**made, "predictions": kept} if kept else {k: v for k, v in made.items() if k != "predictions"}


def _chunks(made: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
    """By number and by size."""
    chunk: dict[str, Any] = {}
    size = 0
    for key, body in made.items():
        n = len(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
        if chunk and (len(chunk) == most or size + n > LARGEST_IMPORT):
            yield chunk
            chunk, size = {}, 0
        chunk[key] = body
        size += n
    if chunk:
        yield chunk
