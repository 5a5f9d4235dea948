"""Annotation backends: where people (or simulators) answer."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from pairloop.protocols.judges import JudgePanel
from pairloop.protocols.sources import GoldScorer
from pairloop.records import Page, Task


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
    """

    idempotent_publish: bool = False
    lookup: bool = True
    cancel: bool = False
    prelabels: bool = False
    assigns_annotators: bool = False
    only_recorded: bool = False
    blocking: bool = False


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
    """

    folder: Path
    campaign: str
    seed: int
    gold: GoldScorer | None = None
    cost_per_vote: float = 0.0
    judge: JudgePanel | None = None
    base: Path | None = None


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
