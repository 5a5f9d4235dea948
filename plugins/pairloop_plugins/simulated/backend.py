"""The simulated backend: a faithful remote whose annotators answer from the gold score.

An answer is computed and stored when its task is created. It depends on the campaign's seed, the round, the pair,
the replica and the annotator, never on the key: a campaign that was killed and resumed gets the answers that an
uninterrupted one gets.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from pairloop.errors import ConfigError
from pairloop.kit.seeds import unit_interval
from pairloop.protocols import BackendContext, Capabilities, GoldScorer, Published
from pairloop.records import AnnotatorKind, Choice, Page, Task
from pairloop_plugins.simulated import judgement, reference
from pairloop_plugins.simulated.annotators import Annotator, assign, make_pool, normal
from pairloop_plugins.simulated.options import Behaviour, SimulatedOptions
from pairloop_plugins.simulated.perception import Gold, NoGold, Seen
from pairloop_plugins.virtual_remote import Answer, NewTask, VirtualRemote


class SimulatedBackend:
    """Implements `pairloop.protocols.Backend`."""

    name = "simulated"
    capabilities = Capabilities(
        idempotent_publish=True, lookup=True, cancel=True, prelabels=True, assigns_annotators=True, blocking=True
    )

    def __init__(self, options: SimulatedOptions, context: BackendContext) -> None:
        """Open the backend in its folder.

        Raises:
            ConfigError: the gold score is to come from a scorer, and the config names none.
        """
        self._options = options
        self._context = context
        self._pool = make_pool(options.kinds(), context.seed)
        self._scorer = _scorer(options, context, self._pool)
        self._remote = VirtualRemote(context.folder / "simulated.db", self.name)
        with self._remote.transaction() as db:
            db.execute(reference.SCHEMA)

    def publish(self, tasks: Sequence[Task]) -> Published:
        """Create the tasks that are not there yet, with their answers.

        Refused are tasks without a gold score in their metadata, and replicas beyond the size of the pool.
        """
        known = self._remote.lookup([task.key for task in tasks])
        refused: dict[str, str] = {}
        fresh: list[tuple[Task, Annotator, Seen]] = []
        gold = Gold(self._scorer, self._options.gold_key)
        for task in tasks:
            annotator = assign(self._pool, self._context.seed, task.round, task.pair_id, task.replica, task.not_for)
            if task.key in known:
                continue
            if annotator is None:
                refused[task.key] = f"all {len(self._pool)} simulated annotators were asked about this pair"
                continue
            try:
                fresh.append((task, annotator, gold.see(task)))
            except NoGold as missing:
                refused[task.key] = str(missing)
        self._create(fresh, gold)
        return Published(self._remote.lookup([task.key for task in tasks]), refused)

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        """Remote ids of the keys that exist."""
        return self._remote.lookup(keys)

    def poll(self, cursor: str | None) -> Page:
        """The answers of the next tick at which any arrive; asking is what makes time pass."""
        return self._remote.page(cursor)

    def cancel(self, keys: Collection[str]) -> Collection[str]:
        """Withdraw the tasks whose answers have not arrived."""
        return self._remote.withdraw(keys)

    def close(self) -> None:
        """Close the file."""
        self._remote.close()

    # ----------------------------------------------------------------------------------------- internals

    def _create(self, fresh: Sequence[tuple[Task, Annotator, Seen]], gold: Gold) -> None:
        if not fresh:
            return
        scale = None if self._options.scale == "median" else float(self._options.scale)
        with self._remote.transaction() as db:
            seen_so_far = reference.extend(db, ((task.pair_id, seen) for task, _, seen in fresh))
            limits = {
                annotator.id: judgement.thresholds(annotator.kind, seen_so_far, scale) for _, annotator, _ in fresh
            }
            self._remote.create(
                [self._answered(task, annotator, limits[annotator.id], seen, gold) for task, annotator, seen in fresh]
            )

    def _answered(
        self, task: Task, annotator: Annotator, limits: judgement.Thresholds, seen: Seen, gold: Gold
    ) -> NewTask:
        kind = annotator.kind
        path = (task.round, task.pair_id, task.replica, annotator.id)
        draw: judgement.Draw = partial(unit_interval, self._context.seed, *path)
        if draw("answers") < kind.no_answer:
            return NewTask(task)
        shown = task.prelabel is not None and task.prelabel.shown
        if task.prelabel is not None and shown and draw("anchor") < kind.anchoring:
            choice = task.prelabel.choice
        else:
            choice = judgement.decide(annotator, limits, seen, self._perceived(task, annotator, seen, gold), draw)
        answer = Answer(
            annotator=annotator.id,
            choice=choice,
            kind=AnnotatorKind.SIMULATED,
            prompt_rating=self._prompt_rating(task),
            reason=_reason(choice) if kind.reasons else None,
            seconds=_seconds(annotator, seen, draw),
            prelabel_shown=shown,
            cost=self._context.cost_per_vote if kind.cost is None else kind.cost,
        )
        return NewTask(task, answer, judgement.delay(kind, draw))

    def _perceived(self, task: Task, annotator: Annotator, seen: Seen, gold: Gold) -> float:
        discount = annotator.kind.myopia
        if discount == 1 or annotator.kind.behaviour is not Behaviour.TEACHER:
            return seen.left - seen.right
        return gold.myopic(task, "left", discount) - gold.myopic(task, "right", discount)

    def _prompt_rating(self, task: Task) -> int | None:
        key = self._options.prompt_rating_key
        if key is None:
            return None
        value = task.prompt_metadata.get(key)
        if isinstance(value, bool):
            return 1 if value else 5
        if isinstance(value, int | float) and 1 <= value <= 5:
            return round(value)
        return 5


def _scorer(options: SimulatedOptions, context: BackendContext, pool: Sequence[Annotator]) -> GoldScorer | None:
    if options.gold == "metadata":
        if any(annotator.kind.myopia < 1 for annotator in pool):
            raise ConfigError(
                "backend.options: myopia discounts sentences, and gold scores in metadata know only whole responses",
                'Name a gold scorer in backend.gold and drop gold = "metadata", or leave myopia at 1.',
            )
        return None
    if context.gold is None:
        raise ConfigError(
            "simulated annotators need a gold score, and backend.gold names none",
            'Set gold in [backend], or gold = "metadata" in [backend.options] for scores that came with the data.',
        )
    return context.gold


def _reason(choice: Choice) -> str:
    return {
        Choice.LEFT: "The left response is better.",
        Choice.RIGHT: "The right response is better.",
        Choice.TIE: "Both are about equally good.",
        Choice.BOTH_BAD: "Neither is good enough.",
        Choice.SKIP: "I cannot judge this one.",
    }[choice]


def _seconds(annotator: Annotator, seen: Seen, draw: judgement.Draw) -> float:
    kind = annotator.kind
    return round((kind.seconds_fixed + kind.seconds_per_word * seen.words) * math.exp(0.3 * normal(draw("seconds"))), 1)
