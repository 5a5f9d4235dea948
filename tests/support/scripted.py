"""A backend in memory that does what a test tells it, and a campaign around it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from pairloop.campaign import Campaign
from pairloop.hookspecs import hookimpl
from pairloop.protocols import BackendSpec, Capabilities, Published
from pairloop.records import Annotation, Choice, Page, Task
from pairloop.testing.campaigns import toy_config, toy_registry

NAME = "scripted"


class Scripted:
    """Backend and plugin in one; survives closing and reopening a campaign in the same process.

    Tests add to ``queue`` what polls report, set ``refuse``, ``confirm`` (None: all) and ``capabilities``, or replace
    a whole call by ``on["poll"] = function``.
    """

    name = NAME

    def __init__(self) -> None:
        self.capabilities = Capabilities(idempotent_publish=True, lookup=True, cancel=True, prelabels=True)
        self.tasks: dict[str, Task] = {}
        self.queue: list[Annotation] = []
        self.refuse: dict[str, str] = {}
        self.confirm: Collection[str] | None = None
        self.cancelled: list[str] = []
        self.on: dict[str, Callable[..., Any]] = {}
        self._numbers = count(1)

    # ------------------------------------------------------------------------------------- as a backend

    def publish(self, tasks: Sequence[Task]) -> Published:
        if "publish" in self.on:
            return self.on["publish"](tasks)  # type: ignore[no-any-return]
        self.tasks |= {task.key: task for task in tasks if task.key not in self.refuse}
        taken = {task.key: f"t-{task.key}" for task in tasks if task.key not in self.refuse}
        return Published(taken, {task.key: self.refuse[task.key] for task in tasks if task.key in self.refuse})

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        if "lookup" in self.on:
            return self.on["lookup"](keys)  # type: ignore[no-any-return]
        return {key: f"t-{key}" for key in keys if key in self.tasks}

    def poll(self, cursor: str | None) -> Page:
        if "poll" in self.on:
            return self.on["poll"](cursor)  # type: ignore[no-any-return]
        start = int(cursor or 0)
        return Page(tuple(self.queue[start:]), str(len(self.queue)))

    def cancel(self, keys: Collection[str]) -> Collection[str]:
        if "cancel" in self.on:
            return self.on["cancel"](keys)  # type: ignore[no-any-return]
        self.cancelled += sorted(keys)
        return [key for key in keys if self.confirm is None or key in self.confirm]

    def close(self) -> None:
        pass

    # -------------------------------------------------------------------------------------- as a plugin

    @hookimpl
    def pairloop_backends(self) -> Sequence[BackendSpec]:
        return [BackendSpec(NAME, lambda _options, _context: self)]

    # ------------------------------------------------------------------------------------------ helpers

    def vote(self, key: str, choice: Choice = Choice.LEFT, **fields: Any) -> Annotation:
        """An annotation, by annotator "ann" unless said otherwise."""
        defaults: dict[str, Any] = {
            "backend": NAME, "remote_id": f"a{next(self._numbers)}", "revision": "1", "annotator": "ann",
        }  # fmt: skip
        return Annotation(key=key, choice=choice, **defaults | fields)

    def answer(self, keys: Sequence[str], choice: Choice | None = None, **fields: Any) -> list[Annotation]:
        """Queue votes; alternating left and right unless ``choice`` is given."""
        votes = [
            self.vote(key, choice or (Choice.LEFT, Choice.RIGHT)[number % 2], **fields)
            for number, key in enumerate(keys)
        ]
        self.queue += votes
        return votes


def scripted_campaign(
    folder: Path, backend: Scripted, /, *, modules: Mapping[str, object] | None = None, **changes: Any
) -> Campaign:
    """A campaign of six questions a round over the scripted backend, without policy; ``changes`` as in `toy_config`."""
    changes["backend"] = {"kind": NAME, **changes.get("backend", {})}
    changes["round"] = {"size": 6, "max_rounds": 10, **changes.get("round", {})}
    changes["policy"] = {"tuner": None, **changes.get("policy", {})}
    changes["holdout"] = {"share": 0.0, **changes.get("holdout", {})}
    named = {name.replace(".", "__", 1): module for name, module in (modules or {}).items()}
    return Campaign(
        folder, registry=toy_registry(backend__scripted=backend, **named), config_text=toy_config(**changes)
    )


def keys(campaign: Campaign, number: int = 1, state: str | None = None) -> list[str]:
    """Keys of a round's assignments in order of rank."""
    return [a.key for a in campaign.store.rounds.assignments(number) if state in (None, a.state)]


def states(campaign: Campaign, number: int = 1) -> dict[str, int]:
    """Assignments of a round by state."""
    return {state.value: n for state, n in campaign.store.rounds.count(number).items()}


def to_collecting(campaign: Campaign) -> None:
    """Import, select and publish, until the open round collects."""
    for _ in range(4):
        latest = campaign.store.rounds.latest()
        if latest is not None and latest.state == "collecting":
            return
        campaign.step()
    raise AssertionError("the campaign does not collect")


def to_training(campaign: Campaign) -> Any:
    """Collect until the round closes; the outcome of the step that closed it."""
    outcome = campaign.step()
    assert getattr(outcome, "state", None) == "training", outcome
    return outcome
