"""The backend itself: publish, lookup, poll, cancel, and what else a server can be asked."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pairloop.errors import ConfigError
from pairloop.protocols import BackendContext, Capabilities, Check, Guess, ModelServer, Published
from pairloop.records import Annotation, Page, Prelabel, PromptContent, Task
from pairloop_plugins.label_studio.adopt import AdoptedPredictions, AdoptingPull, Adoption
from pairloop_plugins.label_studio.api import IN_LIST, Api, among, by_campaign
from pairloop_plugins.label_studio.codec import KEY, NAME, version_of
from pairloop_plugins.label_studio.connect import Rehearsed, changing, connect
from pairloop_plugins.label_studio.doctor import examine, supported
from pairloop_plugins.label_studio.ledger import Ledger, as_mapping
from pairloop_plugins.label_studio.options import LabelStudioOptions
from pairloop_plugins.label_studio.predictions import Predictions
from pairloop_plugins.label_studio.pull import Pull
from pairloop_plugins.label_studio.push import Push

LEDGER = "label-studio.db"


class LabelStudioBackend:
    """Implements `pairloop.protocols.Backend`, `Examinable`, `TellsWrites`, `TakesPrelabels` and `ReadsExports`.

    Community can neither assign annotators nor ask several people about single tasks: replicas are tasks of their own,
    whoever is free answers them, and a person who answers two of a pair counts once.
    """

    name = NAME

    def __init__(self, options: LabelStudioOptions, context: BackendContext, **extra: Any) -> None:
        """Open the ledger; nothing is asked of the server yet. ``extra``: see `connect`.

        Raises:
            ConfigError: there is no token. MissingExtra: httpx is not installed.
        """
        adopting = options.adopt != "no"
        self.capabilities = Capabilities(
            idempotent_publish=True,
            lookup=True,
            cancel=not adopting,
            prelabels=not adopting or "predictions" in options.adopt_order,
            chunk=options.chunk,
            holds_votes=options.adopt == "all",
        )
        self._options, self._context = options, context
        transport = connect(options, context.base, **extra)
        made = Rehearsed if context.rehearsal else Api
        self._api: Api = made(transport, options.project or 0)
        self._ledger = Ledger(context.folder / LEDGER)
        campaign = context.campaign
        sleeping = {"sleep": extra["sleep"]} if "sleep" in extra else {}
        self._push = Push(self._api, self._ledger, campaign, options, **sleeping)
        self._adoption = Adoption(self._api, self._ledger, options) if adopting else None
        self._pull = (AdoptingPull if adopting else Pull)(self._api, self._ledger, campaign, options)
        guessing = AdoptedPredictions if adopting else Predictions
        self._predictions = guessing(self._api, self._ledger, campaign, options)
        self._draining = False
        self._version: str | None = None

    # ---------------------------------------------------------------------------------------- the loop

    def publish(self, tasks: Sequence[Task]) -> Published:
        """Create the tasks that are not there, with their predictions."""
        if not tasks:
            return Published({})
        self._require_project()
        if self._adoption is not None:
            published = self._adoption.link(tasks)
            guesses = {t.key: t.prelabel for t in tasks if t.prelabel is not None and t.key in published.remote_ids}
            self._predictions.renew(guesses)
            return published
        published = self._push.send(tasks)
        models = {
            task.prelabel.model for task in tasks if task.prelabel is not None and task.key in published.remote_ids
        }
        for model in sorted(models):
            self._predictions.switch(version_of(model, self._context.campaign))
        return published

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        """Task ids of the keys that exist; the server is asked about those that the ledger is not sure of."""
        if not keys:
            return {}
        self._require_project()
        known = self._ledger.primary(keys)
        if self._adoption is not None:
            return as_mapping(known)
        found = self._push.find([key for key in keys if key not in known])
        return as_mapping({**known, **found})

    def sides(self, questions: Sequence[tuple[PromptContent, str, str]]) -> Sequence[bool | None]:
        """Whether the second text is the left one in a task of theirs; None for questions that become tasks of ours."""
        if self._adoption is None:
            return [None] * len(questions)
        self._require_project()
        return self._adoption.sides(questions)

    def poll(self, cursor: str | None) -> Page:
        """Read what is new on the server, and give the answers behind the cursor."""
        if not self._draining:
            self._require_project()
            self._pull.refresh()
            self._predictions.retire()
        page = self._ledger.page(cursor)
        self._draining = page.more
        return page

    def cancel(self, keys: Collection[str]) -> Collection[str]:
        """Delete tasks that hold no annotation, skip or draft; a last look is taken at each right before."""
        if not keys or self._adoption is not None:
            return []
        self._require_project()
        self._look_at(keys)
        confirmed = sorted(self._ledger.withdrawn(keys))
        for key, copies in sorted(self._ledger.copies(set(keys) - set(confirmed)).items()):
            if any(copy.labelled for copy in copies):
                continue
            removed = [self._pull.remove(copy.id, copy.key) for copy in copies]
            if all(removed):
                with self._ledger.transaction():
                    self._ledger.withdraw([key])
                confirmed.append(key)
        return confirmed

    def renew(self, guesses: Mapping[str, Prelabel]) -> None:
        """Replace the predictions of these open questions."""
        self._require_project()
        self._predictions.renew(guesses)

    def close(self) -> None:
        """Close connection and ledger."""
        self._api.http.close()
        self._ledger.close()

    # ------------------------------------------------------------------------------------------ talking

    def where(self) -> str:
        """Where people answer."""
        return f"The questions are in {self._options.url}projects/{self._options.project}/data"

    def examine(self) -> Iterable[Check]:
        """What ``pairloop doctor`` says about server, token, project and config."""
        return examine(self._api, self._options)

    def writes(self, tasks: Sequence[Task]) -> Sequence[str]:
        """What publishing these tasks would write, and what a rehearsal has left out so far."""
        project = self._options.project
        if self._adoption is None:
            said = self._imports(tasks)
        else:
            guesses = sum(task.prelabel is not None for task in tasks)
            said = [f"POST {guesses} predictions to tasks of yours in project {project}"] if guesses else []
        models = sorted({task.prelabel.model for task in tasks if task.prelabel is not None})
        for model in models:
            settings = self._predictions.settings(version_of(model, self._context.campaign), {})
            if settings:
                said.append(changing(project or 0, settings))
        planned = self._api.planned if isinstance(self._api, Rehearsed) else []
        return list(dict.fromkeys([*said, *planned]))

    def _imports(self, tasks: Sequence[Task]) -> list[str]:
        said = []
        for start in range(0, len(tasks), self._options.chunk):
            chunk = tasks[start : start + self._options.chunk]
            guesses = sum(task.prelabel is not None for task in chunk)
            said.append(
                f"POST {len(chunk)} tasks to project {self._options.project}, {guesses} of them with a prediction"
            )
        return said

    def model_server(self, guess: Guess) -> ModelServer:
        """What answers as an ML backend of Label Studio."""
        from pairloop_plugins.label_studio.ml_backend import MlBackend

        return MlBackend(guess, self._options, self._context.campaign, self._context.folder / LEDGER)

    def read_export(self, path: Path) -> Sequence[Annotation]:
        """The votes in a JSON export of the project."""
        from pairloop_plugins.label_studio.exports import read_export

        return read_export(path, self._ledger, self._context.campaign, self._options)

    # ---------------------------------------------------------------------------------------- internals

    def _require_project(self) -> None:
        """Before the first call: a project is named, and the server is not too old.

        Raises:
            ConfigError: none is. BackendRejected: it is.
        """
        if self._options.project is None:
            raise ConfigError(
                "backend.options.project: no project of Label Studio is named",
                "Write its number there, or let pairloop make one: pairloop init FOLDER --backend label-studio",
            )
        if self._version is None:
            self._version = supported(self._api.version(), self._options)

    def _look_at(self, keys: Collection[str]) -> None:
        """Learn how these tasks stand now: many at a time."""
        wanted = sorted(self._ledger.primary(keys))
        for start in range(0, len(wanted), IN_LIST):
            items = [by_campaign(self._context.campaign), among(KEY, wanted[start : start + IN_LIST])]
            tasks, _ = self._api.annotated(items, "tasks:id", 2 * IN_LIST, 1)
            self._pull.take(tasks)
