"""The backend ``manual``: questions are fetched by ``Campaign.ask`` and answered by ``Campaign.tell``.

It keeps the keys that were published, so that they are found again after a crash, and reports nothing itself.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pairloop.hookspecs import hookimpl
from pairloop.protocols import Backend, BackendContext, BackendSpec, Capabilities, Published
from pairloop.records import Page, Task
from pairloop_plugins.virtual_remote import NewTask, VirtualRemote


class ManualBackend:
    """Implements `pairloop.protocols.Backend`."""

    name = "manual"
    capabilities = Capabilities(idempotent_publish=True, lookup=True, cancel=True)

    def __init__(self, context: BackendContext) -> None:
        """Open the backend in its folder."""
        self._remote = VirtualRemote(context.folder / "manual.db", self.name)

    def publish(self, tasks: Sequence[Task]) -> Published:
        """Remember the keys."""
        if tasks:
            with self._remote.transaction():
                self._remote.create([NewTask(task) for task in tasks])
        return Published(self._remote.lookup([task.key for task in tasks]))

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        """Remote ids of the keys that were published."""
        return self._remote.lookup(keys)

    def poll(self, cursor: str | None) -> Page:
        """Nothing: the answers come by ``tell``."""
        return self._remote.page(cursor)

    def cancel(self, keys: Collection[str]) -> Collection[str]:
        """Withdraw tasks. What was answered by ``tell`` is not known here; the campaign cancels open ones only."""
        return self._remote.withdraw(keys)

    def close(self) -> None:
        """Close the file."""
        self._remote.close()


def _factory(_options: Any, context: BackendContext) -> Backend:
    return ManualBackend(context)


@hookimpl
def pairloop_backends() -> Sequence[BackendSpec]:
    """Offer the backend ``manual``."""
    return [BackendSpec("manual", _factory, None, "answers come from your own program, by ask and tell")]
