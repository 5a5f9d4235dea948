"""Recorded votes as a backend: every vote is given once in the life of a campaign.

A vote is told apart within its pair by its annotator and its number among that annotator's votes on the pair. Which
are used up is derived from the stored tasks, so it survives a crash together with them.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from pairloop.kit.canonical import canonical_json
from pairloop.kit.seeds import derive_seed
from pairloop.protocols import BackendContext, Capabilities, Published
from pairloop.records import Page, RecordedVote, Task
from pairloop_plugins.replay import ReplayOptions
from pairloop_plugins.virtual_remote import Answer, NewTask, VirtualRemote


class ReplayBackend:
    """Implements `pairloop.protocols.Backend`."""

    name = "replay"
    capabilities = Capabilities(
        idempotent_publish=True, lookup=True, cancel=True, assigns_annotators=True, only_recorded=True, blocking=True
    )

    def __init__(self, options: ReplayOptions, context: BackendContext) -> None:
        """Open the backend in its folder."""
        self._options = options
        self._context = context
        self._remote = VirtualRemote(context.folder / "replay.db", self.name)

    def publish(self, tasks: Sequence[Task]) -> Published:
        """Give each new task the next unused vote on its pair; tasks for which none is left are refused."""
        refused: dict[str, str] = {}
        known = self._remote.lookup([task.key for task in tasks])
        # In the order of their replicas, whatever the order of the call: a repeat must hand out the same votes.
        new = {task.key: task for task in tasks if task.key not in known}
        fresh = sorted(new.values(), key=lambda t: (t.round, t.pair_id, t.replica, t.key))
        if fresh:
            with self._remote.transaction():
                for task in fresh:
                    if not self._give(task):
                        refused[task.key] = self._refusal(task)
        return Published(self._remote.lookup([task.key for task in tasks]), refused)

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        """Remote ids of the keys that exist."""
        return self._remote.lookup(keys)

    def poll(self, cursor: str | None) -> Page:
        """The votes given since the cursor."""
        return self._remote.page(cursor)

    def cancel(self, keys: Collection[str]) -> Collection[str]:
        """Withdraw tasks whose vote was not reported yet; the vote can be given again."""
        return self._remote.withdraw(keys)

    def close(self) -> None:
        """Close the file."""
        self._remote.close()

    # ----------------------------------------------------------------------------------------- internals

    def _give(self, task: Task) -> bool:
        used = frozenset(self._remote.used_slots(task.pair_id))
        for slot, vote in self._usable(task):
            if slot not in used:
                self._remote.create([NewTask(task, self._answer(vote), slot=slot)])
                return True
        return False

    def _usable(self, task: Task) -> Iterator[tuple[str, RecordedVote]]:
        """The votes of the wanted kinds with their names, in the order in which they are given."""
        seen: Counter[str] = Counter()
        named: list[tuple[str, RecordedVote]] = []
        for vote in task.recorded:
            seen[vote.annotator] += 1
            if vote.kind in self._options.kinds:
                named.append((canonical_json([vote.annotator, seen[vote.annotator]]), vote))
        if self._options.order == "shuffled":
            named.sort(key=lambda item: (derive_seed(self._context.seed, "replay", task.pair_id, item[0]), item[0]))
        return iter(named)

    def _answer(self, vote: RecordedVote) -> Answer:
        return Answer(
            annotator=vote.annotator,
            choice=vote.choice,
            kind=vote.kind,
            strength=vote.strength,
            reason=vote.reason,
            seconds=vote.seconds,
            cost=self._context.cost_per_vote,
        )

    def _refusal(self, task: Task) -> str:
        usable = sum(1 for _ in self._usable(task))
        kinds = " or ".join(self._options.kinds)
        if usable:
            return f"all {usable} recorded {kinds} votes on this pair were given already"
        return f"the pair has no recorded {kinds} vote"
