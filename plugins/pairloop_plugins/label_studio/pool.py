"""The pair source ``label-studio``: the tasks of a project as the pool of a campaign that adopts them."""

from collections.abc import Iterator
from typing import Any

from pairloop.errors import ConfigError
from pairloop.kit.canonical import canonical_json, digest
from pairloop.records import AnnotatorKind, Choice, RecordedVote, RejectedRow, SourceResponse, SourceRow
from pairloop_plugins.label_studio.adopt import answered, tasks_of_theirs, texts
from pairloop_plugins.label_studio.api import Api
from pairloop_plugins.label_studio.codec import Unreadable, said
from pairloop_plugins.label_studio.connect import connect
from pairloop_plugins.label_studio.options import LabelStudioOptions


class TaskPool:
    """Reads the project once; reading again gives the same rows."""

    def __init__(self, options: LabelStudioOptions, **extra: Any) -> None:
        """``extra``: see `connect`.

        Raises:
            ConfigError: no project is named, or adopting was not agreed to.
        """
        if options.project is None or options.adopt == "no":
            raise ConfigError(
                "the source 'label-studio' needs project and adopt in data.options",
                "Let it be written: pairloop init FOLDER --backend label-studio --project N --set adopt=unlabelled",
            )
        self._options, self._extra = options, extra
        self._read: list[SourceRow | RejectedRow] | None = None

    def rows(self) -> Iterator[SourceRow | RejectedRow]:
        """One row a task, its number as the line; answers that may count come along.

        Raises:
            BackendUnavailable, BackendRejected: the server cannot be read.
        """
        if self._read is None:
            transport = connect(self._options, None, **self._extra)
            try:
                api = Api(transport, self._options.project or 0)
                self._read = [row for task in tasks_of_theirs(api, self._options.page) for row in self._row(task)]
            finally:
                transport.close()
        yield from self._read

    def digest(self) -> str:
        """sha256 of the rows."""
        return digest([canonical_json([row.line, repr(row)]) for row in self.rows()])

    def _row(self, task: dict[str, Any]) -> Iterator[SourceRow | RejectedRow]:
        number, everything = int(task["id"]), self._options.adopt == "all"
        if answered(task) and not everything:
            return
        shown = texts(task, self._options.mapping)
        if shown is None:
            yield RejectedRow(number, "a text of the task is missing, or is no text", f"task {number}")
            return
        prompt, left, right = shown
        votes = self._votes(task) if everything else ()
        yield SourceRow(
            prompt,
            (SourceResponse(left), SourceResponse(right)),
            pairs=((0, 1),),
            recorded=tuple(((0, 1), vote) for vote in votes),
            metadata={"label_studio_task": number},
            line=number,
        )

    def _votes(self, task: dict[str, Any]) -> Iterator[RecordedVote]:
        """What its annotations say; one without a meaning is named when it is pulled."""
        for annotation in task.get("annotations") or []:
            if annotation.get("ground_truth") and self._options.ground_truth == "ignore":
                continue
            try:
                found = said(annotation, False, self._options.mapping, task["data"])
            except Unreadable:
                continue
            yield RecordedVote(
                found.annotator, Choice(found.choice), AnnotatorKind.HUMAN, None, found.reason, found.seconds
            )
