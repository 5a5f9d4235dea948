"""Annotations become votes: what changed since the last pull, by the server's clock, and now and then everything.

A pull reads tasks in the order of their last change and goes on from the last one it saw, not by page numbers: what
changes while it reads moves to the end and is read again. What a page lacks is not deleted for that reason: only a 404
to a direct question is.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from pairloop.errors import BackendUnavailable
from pairloop.kit.clock import now_time
from pairloop.kit.failpoints import failpoint
from pairloop_plugins.label_studio import labeling
from pairloop_plugins.label_studio.api import Api, by_campaign, changed_after
from pairloop_plugins.label_studio.codec import CAMPAIGN, KEY, ROUND, SHOWN, Unreadable, remote_id, revision, said
from pairloop_plugins.label_studio.codec import texts_digest as digest_of
from pairloop_plugins.label_studio.ledger import Ledger, Question
from pairloop_plugins.label_studio.options import LabelStudioOptions
from pairloop_plugins.label_studio.transport import Unreached

_TICK = timedelta(microseconds=1)
_EDITED = "its texts were edited on the server: its answers are about something else, and are not read"
_FEW = 50  # so many tasks are asked for one by one

Json = dict[str, Any]


class Pull:
    """Reads one project."""

    def __init__(self, api: Api, ledger: Ledger, campaign: str, options: LabelStudioOptions) -> None:
        self._api, self._ledger, self._campaign, self._options = api, ledger, campaign, options

    def refresh(self) -> Json:
        """Read what is new, and sweep when it is time; returns the project as it is now.

        Raises:
            BackendRejected: the project is gone, or its config can no longer be read. BackendUnavailable.
        """
        project, at = self._api.project()
        self.check_config(str(project.get("label_config") or ""))
        with self._ledger.transaction():
            self._ledger.set_fact("pulls", str(self._number() + 1))
        cursor = self._ledger.fact("cursor")
        since = None if cursor is None else moment_of(cursor) - timedelta(seconds=self._options.overlap)
        self.read(since)
        started = server_time(at)
        if started is not None:
            with self._ledger.transaction():
                self._advance(started)
        self._sweep()
        return project

    def _advance(self, moment: datetime) -> None:
        before = self._ledger.fact("cursor")
        if before is None or moment > moment_of(before):
            self._ledger.set_fact("cursor", moment.isoformat())

    def check_config(self, config: str) -> None:
        """Accept a config that means what it meant; refuse any other, with what was changed.

        Raises:
            BackendRejected: answers under it cannot be read with the mapping.
        """
        if self._ledger.fact("config") == config:
            return
        found = labeling.problems(config, self._options.mapping)
        if found:
            raise labeling.changed(self._ledger.fact("config") or "", config, found)
        with self._ledger.transaction():
            self._ledger.set_fact("config", config)

    def scope(self) -> list[Json]:
        """The filter for tasks that may be ours."""
        return [by_campaign(self._campaign)]

    # ----------------------------------------------------------------------------------------- reading

    def read(self, since: datetime | None) -> None:
        """All tasks of the campaign that changed after ``since``, page after page."""
        moment, number, size = since, 1, self._options.page
        while True:
            items = [*self.scope(), *([changed_after(moment)] if moment is not None else [])]
            tasks, _ = self._api.annotated(items, "tasks:updated_at", size, number)
            if tasks:
                self.take(tasks, cursor=_updated(tasks[-1]))
                failpoint("label_studio.page_stored")
            if len(tasks) < size:
                return
            last = moment_of(_updated(tasks[-1])) - _TICK
            if moment is None or last > moment:
                moment, number = last, 1
            else:
                number += 1  # a whole page that changed at once

    def take(self, tasks: Sequence[Json], cursor: str | None = None) -> None:
        """Store what these tasks say, in one transaction with where to read on."""
        gone = self._deleted(tasks)
        with self._ledger.transaction():
            for remote in gone:
                self._ledger.retract(remote)
            for task in tasks:
                self._take(task)
            if cursor is not None:
                self._advance(moment_of(cursor))
            failpoint("label_studio.before_page_commit")

    def _take(self, task: Json) -> None:
        question = self._question(task)
        if question is None:
            return
        number, annotations = int(task["id"]), _annotations(task)
        self._ledger.see(number, question.key, self._number(), bool(annotations))
        if question.texts is not None and digest_of(task.get("data") or {}, self._options.mapping) != question.texts:
            self._ledger.set_problems(number, {f"task {number}": _EDITED})
            return
        problems: dict[str, str] = {}
        for annotation in annotations:
            if annotation.get("ground_truth") and self._options.ground_truth == "ignore":
                continue
            try:
                content = said(annotation, question.shown, self._options.mapping, task.get("data") or {}).to_json()
            except Unreadable as error:
                problems[f"annotation {annotation['id']} of task {number}"] = f"it cannot be read: {error}"
                continue
            self._ledger.answer(
                remote_id(annotation),
                int(annotation["id"]),
                number,
                question.key,
                revision(annotation, content),
                content,
            )
        self._ledger.set_problems(number, problems)

    def _question(self, task: Json) -> Question | None:
        """The question that a task carries; None for tasks that are not ours."""
        data = task.get("data") if isinstance(task.get("data"), dict) else {}
        assert data is not None  # noqa: S101 - for the type checker
        if data.get(CAMPAIGN) != self._campaign or not isinstance(data.get(KEY), str):
            return None
        known = self._ledger.question(data[KEY])
        if known is not None:
            return known
        meta = task.get("meta") if isinstance(task.get("meta"), dict) else {}
        asked_in = str(data.get(ROUND) or "")
        made = Question(data[KEY], 0, int(asked_in) if asked_in.isdecimal() else 0, bool((meta or {}).get(SHOWN)), None)
        self._ledger.add_questions([made])
        return made

    def _deleted(self, tasks: Sequence[Json]) -> list[str]:
        """Votes whose annotations are missing in their tasks, and which the server does not know any more."""
        standing = self._ledger.standing([int(task["id"]) for task in tasks])
        out = []
        for task in tasks:
            there = {int(annotation["id"]) for annotation in _annotations(task)}
            for remote, number in standing.get(int(task["id"]), {}).items():
                if number not in there and self._api.annotation(number) is None:
                    out.append(remote)
        return out

    # ---------------------------------------------------------------------------------------- sweeping

    def _sweep(self) -> None:
        """Find tasks that were deleted, and copies of our own that came late; remove copies that nobody answered."""
        last = float(self._ledger.fact("swept") or 0.0)
        moment, doubt = now_time().timestamp(), self._ledger.last_doubt()
        due = moment - last >= 60.0 * self._options.sweep_minutes or (doubt is not None and doubt > last)
        if not due and self._as_expected():
            self._remove_surplus()
            return
        listed = self._listed()
        known = self._ledger.live()
        if len(listed - known) > _FEW:
            self.read(None)
        else:
            found = [task for number in sorted(listed - known) if (task := self._api.task(number)) is not None]
            self.take(found)
        self._lose(known - listed)
        self._remove_surplus()
        with self._ledger.transaction():
            self._ledger.set_fact("swept", repr(moment))
        failpoint("label_studio.swept")

    def _as_expected(self) -> bool:
        """Whether the project holds as many tasks as it should.

        Counting all is quick, counting ours reads the data of each: it is done when the number of all has changed.
        """
        ours, others = len(self._ledger.live()), int(self._ledger.fact("others") or 0)
        total = self._api.count([])
        if total == ours + others:
            return True
        found = self._api.count([by_campaign(self._campaign)])
        with self._ledger.transaction():
            self._ledger.set_fact("others", str(total - found))
        return found == ours

    def _listed(self) -> set[int]:
        return {task for page in self._api.ids(self.scope(), 5000) for task in page}

    def _lose(self, missing: Collection[int]) -> None:
        """Tasks that a list did not name: gone only when asking for each, or a second list, says so as well."""
        if not missing:
            return
        if len(missing) <= _FEW:
            gone = [number for number in sorted(missing) if self._api.task(number) is None]
        else:
            gone = sorted(set(missing) - self._listed())
        with self._ledger.transaction():
            self._ledger.lose(gone)

    def _remove_surplus(self) -> None:
        """Delete copies that nobody answered, once a pull before this one has seen them, after a last look at each.

        Labelled copies stay: their votes are linked to the same question, and a person counts once.
        """
        doubled = self._ledger.copies(self._ledger.doubled())
        for copies in doubled.values():
            for copy in copies[1:]:
                if not copy.labelled and copy.seen < self._number():
                    self.remove(copy.id, copy.key)

    def remove(self, task: int, key: str) -> bool:
        """Delete a task of ours that holds no work; True when it is gone."""
        found = self._api.task(task)
        if found is not None and not untouched(found, key, self._campaign):
            with self._ledger.transaction():
                self._ledger.see(task, key, self._number(), bool(_annotations(found)))
            return False
        failpoint("label_studio.before_delete")
        if found is not None:
            self._api.delete_task(task)
        failpoint("label_studio.after_delete")
        with self._ledger.transaction():
            self._ledger.lose([task])
        return True

    def _number(self) -> int:
        return int(self._ledger.fact("pulls") or 0)


def untouched(task: Json, key: str, campaign: str) -> bool:
    """True for a task that carries our key and holds no annotation, skip or draft of anybody."""
    data = task.get("data") if isinstance(task.get("data"), dict) else {}
    ours = (data or {}).get(KEY) == key and (data or {}).get(CAMPAIGN) == campaign
    return ours and not (
        task.get("annotations")
        or task.get("drafts")
        or task.get("draft_exists")
        or task.get("total_annotations")
        or task.get("cancelled_annotations")
    )


def _annotations(task: Json) -> list[Json]:
    found = task.get("annotations")
    if not isinstance(found, list) or not all(isinstance(a, dict) and type(a.get("id")) is int for a in found):
        raise Unreached(f"Label Studio sent task {task.get('id')} without its annotations", "Nothing of it was stored.")
    return found


def _updated(task: Json) -> str:
    value = task.get("updated_at")
    if not isinstance(value, str):
        raise Unreached(f"Label Studio sent task {task.get('id')} without the time of its last change", None)
    return value


def moment_of(text: str) -> datetime:
    """A time as the server writes it.

    Raises:
        BackendUnavailable: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BackendUnavailable(f"Label Studio sent {text[:40]!r} as a time") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def server_time(header: str | None) -> datetime | None:
    """The header Date; what the server did up to a second before it was all visible."""
    try:
        found = parsedate_to_datetime(header) if header else None
    except (TypeError, ValueError):
        return None
    return None if found is None else (found if found.tzinfo is not None else found.replace(tzinfo=UTC))
