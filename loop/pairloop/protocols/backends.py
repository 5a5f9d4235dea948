"""Annotation backends: where people (or simulators) answer."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from pairloop.protocols.judges import JudgePanel
from pairloop.protocols.sources import GoldScorer
from pairloop.records import Annotation, Page, Prelabel, PromptContent, Task


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do; the orchestrator works around what it cannot.

    Attributes:
        idempotent_publish: publishing a key twice makes one task; otherwise ``lookup`` must work.
        lookup: finds tasks by key.
        cancel: withdraws open tasks.
        prelabels: shows or stores the model's guess.
        assigns_annotators: gives each replica to another person by itself.
        only_recorded: answers only pairs that came with recorded votes (replay), each vote once.
        blocking: ``poll`` has all answers at once, so waiting is pointless (simulators).
        holds_votes: pairs with recorded votes have their answers there: they are asked first, all at once, at no cost.
        chunk: tasks that one ``publish`` is given at most; None: what pairloop thinks right.
    """

    idempotent_publish: bool = False
    lookup: bool = True
    cancel: bool = False
    prelabels: bool = False
    assigns_annotators: bool = False
    only_recorded: bool = False
    blocking: bool = False
    chunk: int | None = None
    holds_votes: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a publish call: remote ids by key, and refusals by key with the reason."""

    remote_ids: Mapping[str, str]
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackendContext:
    """What a backend is given at construction.

    Attributes:
        folder: a private folder of this backend inside the campaign; it exists.
        campaign: the campaign's id; seed: the campaign's seed.
        gold: a gold scorer where the config names one (simulated annotators need it).
        cost_per_vote: the config's price of a vote.
        judge: the config's judge, for the backend that lets it answer alone.
        base: the folder against which relative paths in options are resolved: that of ``campaign.toml``.
        rehearsal: a dry run: nothing outside ``folder`` may be written, only said (`TellsWrites`).
    """

    folder: Path
    campaign: str
    seed: int
    gold: GoldScorer | None = None
    cost_per_vote: float = 0.0
    judge: JudgePanel | None = None
    base: Path | None = None
    rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class Preparing:
    """What ``pairloop init`` gives to a backend that prepares a place for the campaign.

    Attributes:
        campaign: the campaign's name. folder: where relative paths begin.
        settings: what was given by ``--set KEY=VALUE``, as texts; those that the backend does not know are an error.
        dry_run: only say what would be done.
    """

    campaign: str
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a campaign of this backend begins with.

    Attributes:
        options: what goes into ``backend.options``.
        told: sentences for people about what was found, made, or would be written.
        confirm: what was guessed and decides what votes mean; somebody has to say yes to it.
        data: the table ``data``, where the backend's place holds the pool as well.
    """

    options: Mapping[str, Any]
    told: tuple[str, ...] = ()
    confirm: tuple[str, ...] = ()
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that ``pairloop doctor`` looked at."""

    name: str
    level: Literal["ok", "warn", "fail"]
    text: str
    hint: str | None = None


@runtime_checkable
class Examinable(Protocol):
    """A backend with several things to check; optional. It goes on after the first that fails, where it can."""

    def examine(self) -> Iterable[Check]:
        """What was found, without changing anything."""


@runtime_checkable
class FixesSides(Protocol):
    """A backend whose questions may be there already, with a left and a right of their own; optional."""

    def sides(self, questions: Sequence[tuple[PromptContent, str, str]]) -> Sequence[bool | None]:
        """For each (prompt, first, second): is ``second`` displayed left? None where pairloop decides.

        Raises:
            BackendUnavailable: the server could not be asked.
        """


@runtime_checkable
class TellsWrites(Protocol):
    """A backend that can say beforehand what it will write to a server; optional."""

    def writes(self, tasks: Sequence[Task]) -> Sequence[str]:
        """Every write that publishing these tasks would make, and those that a rehearsal has left out so far."""


@runtime_checkable
class TakesPrelabels(Protocol):
    """A backend that can renew the guesses at open questions after the model was trained again; optional."""

    def renew(self, guesses: Mapping[str, Prelabel]) -> None:
        """Replace the guesses at these open questions, by key; doing it again does no harm.

        Raises:
            BackendError: it did not work this time; the campaign goes on without.
        """


@runtime_checkable
class ReadsExports(Protocol):
    """A backend that also reads a file that its server exports; optional."""

    def read_export(self, path: Path) -> Sequence[Annotation]:
        """The annotations in it, under the same identities that ``poll`` gives them.

        Raises:
            DataError: it is no such file.
        """


Guess = Callable[[Sequence[tuple[PromptContent, str, str]]], tuple[str, Sequence[float]] | None]
"""(prompt, left, right) to artifact of the current reward model and P(left is better); None before the first fit."""

ModelServer = Callable[[str, Any], Any | None]
"""(path, JSON that was sent) to the JSON answer; None where nothing is at that path. Called by several threads."""


@runtime_checkable
class ServesModel(Protocol):
    """A backend whose server can ask for the current reward model's guesses over HTTP; optional."""

    def model_server(self, guess: Guess) -> ModelServer:
        """What answers; nothing that it is sent is kept or logged, since there may be tokens in it."""


@runtime_checkable
class TellsWhere(Protocol):
    """A backend whose people have to be told where the questions are; optional."""

    def where(self) -> str:
        """A sentence for ``pairloop run`` when it waits."""


@runtime_checkable
class Checkable(Protocol):
    """A backend that ``pairloop doctor`` can examine; optional."""

    def check(self) -> str:
        """A sentence about what was found, without changing anything.

        Raises:
            PairloopError: something is wrong; message and hint say what.
        """


class Backend(Protocol):
    """A place where people (or simulators) answer. No method waits for people.

    A call that did not reach the backend, or whose answer got lost, raises ``BackendUnavailable``; the
    orchestrator then looks up before it sends anything again.
    """

    name: str
    capabilities: Capabilities

    def publish(self, tasks: Sequence[Task]) -> Published:
        """Create the tasks. Keys that are already there keep their remote id if ``idempotent_publish``."""

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        """Remote ids of those of the keys that the backend holds; unknown keys are left out."""

    def poll(self, cursor: str | None) -> Page:
        """One page of annotations after ``cursor`` (None: from the beginning).

        The same cursor gives a page that contains at least the same annotations; repeats are harmless.
        """

    def cancel(self, keys: Collection[str]) -> Collection[str]:
        """Withdraw open tasks; the keys for which the backend *confirms* it. Others are ignored."""

    def close(self) -> None:
        """Release what the backend holds; may be called twice."""
