"""The backend itself: files out, files in."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pairloop.errors import ConfigError
from pairloop.kit.failpoints import failpoint
from pairloop.kit.ids import is_key
from pairloop.protocols import BackendContext, Capabilities, Published
from pairloop.records import Page, Task
from pairloop_plugins.exchange.folders import found_files
from pairloop_plugins.exchange.incoming import Incoming
from pairloop_plugins.exchange.ledger import Ledger
from pairloop_plugins.exchange.options import ExchangeOptions
from pairloop_plugins.exchange.outgoing import file_name, flush
from pairloop_plugins.exchange.writing import Question


class ExchangeBackend:
    """Implements `pairloop.protocols.Backend`.

    It cannot withdraw questions: a file that people have is out of reach.
    """

    def __init__(self, name: str, options: ExchangeOptions, context: BackendContext) -> None:
        """Open the ledger; the folders of people are made by the first `publish`."""
        self.name = name
        self.capabilities = Capabilities(
            idempotent_publish=True, lookup=True, prelabels=True, assigns_annotators=bool(options.annotators)
        )
        self._options = options
        base = context.base if context.base is not None else context.folder
        self.outbox, self.inbox = (base / Path(where).expanduser() for where in (options.outbox, options.inbox))
        self._ledger = Ledger(context.folder / "exchange.db", name)
        self._incoming = Incoming(self._ledger, {"outbox": self.outbox, "inbox": self.inbox}, options)

    def publish(self, tasks: Sequence[Task]) -> Published:
        """Write the questions into the files of their round; keys that are there already stay where they are."""
        refused: dict[str, str] = {}
        with self._ledger.transaction():
            for task in tasks:
                reason = self._add(task)
                if reason is not None:
                    refused[task.key] = reason
        failpoint("exchange.published")
        self._flush()
        return Published(self._remote_ids([task.key for task in tasks]), refused)

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        """Remote ids of the keys that were published; questions that a kill kept out of the files are written first."""
        self._flush()
        return self._remote_ids(keys)

    def poll(self, cursor: str | None) -> Page:
        """Read what changed in the folders, and give the answers behind the cursor with the files that are refused."""
        self._flush()
        refused = self._incoming.read()
        return replace(self._ledger.page(cursor), refused=refused)

    def cancel(self, _keys: Collection[str]) -> Collection[str]:
        """Nothing can be withdrawn."""
        return []

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def where(self) -> str:
        """Where people find the questions and put the answers."""
        return f"The questions are in {self.outbox}. Save the answers there, or put the files into {self.inbox}."

    def check(self) -> str:
        """What ``pairloop doctor`` says about the folders.

        Raises:
            ConfigError: one cannot be used.
        """
        for key, folder, needed in (("outbox", self.outbox, os.W_OK), ("inbox", self.inbox, os.R_OK)):
            there = next(parent for parent in (folder, *folder.parents) if parent.exists())
            if not there.is_dir() or not os.access(there, os.X_OK | (needed if there == folder else os.W_OK)):
                raise ConfigError(
                    f"backend.options.{key}: the folder {folder} cannot be used",
                    "Is there a file of that name, or are you not allowed to write there? Name another folder.",
                )
        files = len(list(found_files({"outbox": self.outbox, "inbox": self.inbox})))
        return f"questions go to {self.outbox}, answers are read from there and from {self.inbox}: {files} files now"

    # ----------------------------------------------------------------------------------------- internals

    def _flush(self) -> None:
        flush(self._ledger, self.outbox, self.inbox, self._options)

    def _remote_ids(self, keys: Collection[str]) -> dict[str, str]:
        return {key: f"{self.name}-{key}" for key in self._ledger.known(keys)}

    def _add(self, task: Task) -> str | None:
        """Remember a task; the reason why it is refused, or None."""
        if self._ledger.known([task.key]):
            return None
        if not is_key(task.key):
            return f"the key {task.key[:40]!r} has no check character, without which a damaged one is not noticed"
        annotator = None
        if self._options.annotators:
            annotator = self._whom(task)
            if annotator is None:
                return f"each of the {len(self._options.annotators)} annotators has or had this pair"
        shown = task.prelabel is not None and task.prelabel.shown
        file = file_name(task.round, annotator, self._options)
        self._ledger.add_question(Question.of(task, annotator), task.pair_id, shown, file)
        return None

    def _whom(self, task: Task) -> str | None:
        """Of those who never had the pair, the one with the fewest questions of the round."""
        taken = self._ledger.asked_about(task.pair_id) | set(task.not_for)
        loads = self._ledger.loads(task.round)
        free = [name for name in self._options.annotators if name not in taken]
        return min(free, key=lambda name: loads.get(name, 0), default=None)
