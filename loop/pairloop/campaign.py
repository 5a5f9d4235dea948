"""A campaign: ask, tell, step, run.

``run`` is a loop over ``step``; ``step`` makes one move of the state machine; ``ask`` and ``tell`` are for callers
who bring their own annotators.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pairloop.config import Config
from pairloop.config.load import parse_config, read_text
from pairloop.errors import BackendRejected, DataError, IllegalTransition, NoSignal, PairloopError, UsageError
from pairloop.intake import IntakeReport, import_source
from pairloop.kit.failpoints import failpoint
from pairloop.kit.progress import Silent
from pairloop.lifecycle import adopt_config, campaign_id, stop_reason
from pairloop.manifest import write_manifest
from pairloop.parts import Parts
from pairloop.protocols import Progress, ReadsExports
from pairloop.quality import decide
from pairloop.records import Annotation, Batch, CampaignInfo, Event
from pairloop.registry import Registry
from pairloop.states import AssignmentState, RoundState
from pairloop.status import status_facts
from pairloop.steps import collect, generate, publish, select, train, tune
from pairloop.steps.base import Advanced, Finished, Outcome, StepContext, Waiting
from pairloop.steps.contract import calling, checked_annotations
from pairloop.store import Store
from pairloop.store.annotation_log import Ingested
from pairloop.store.rounds import Round
from pairloop.tracking import tell_metrics

CONFIG_NAME = "campaign.toml"
_IDLE_LIMIT = 10_000  # polls without news after which a simulator counts as stuck

STEPS: Mapping[RoundState, Callable[[StepContext, Round], Outcome]] = MappingProxyType(
    {
        RoundState.SELECTING: select.run,
        RoundState.PUBLISHING: publish.run,
        RoundState.COLLECTING: collect.run,
        RoundState.TRAINING: train.run,
        RoundState.TUNING: tune.run,
        RoundState.GENERATING: generate.run,
    }
)


class Campaign:
    """One labelling effort in one folder, opened for writing.

    Use as a context manager, or call `close`. ``base`` is the folder against which the backend resolves relative paths;
    by default the campaign's. ``rehearsal``: a dry run, in which the backend writes nothing to its server.

    Raises (on opening):
        ConfigError: ``campaign.toml`` is wrong, or changes what must not change.
        CampaignLocked: another process works on it.
        StoreError: the database cannot be used.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        registry: Registry | None = None,
        progress: Progress | None = None,
        config_text: str | None = None,
        base: Path | None = None,
        rehearsal: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.config_file = self.folder / CONFIG_NAME
        text = read_text(self.config_file) if config_text is None else config_text
        self.config: Config = parse_config(text, str(self.config_file))
        self.registry = registry or Registry()
        self.progress: Progress = progress or Silent()
        self.store = Store.open(self.folder)
        try:
            self.id = campaign_id(self.store, self.config)
            self.parts = Parts(
                self.config, self.config_file, self.folder, self.id, self.registry, base, self.progress, rehearsal
            )
            self.parts.check()
            self.registry.load_observers(self.config.campaign.plugins)
            self.store.on_event = self._notify
            adopt_config(self.store, self.config, self.id)
        except BaseException:
            self.store.close()
            raise
        self._context = StepContext(self.store, self.config, self.parts, self.id, self.progress)

    @property
    def info(self) -> CampaignInfo:
        """What observers are told about this campaign."""
        return CampaignInfo(self.id, self.config.campaign.name, self.folder)

    # ------------------------------------------------------------------------------------------ driving

    def step(self) -> Outcome:
        """Make one move: import the data, open a round, or run the step of its state.

        Raises:
            PairloopError: the state is unchanged; ``retryable`` says whether the same call may work later.
        """
        if self.store.pool.size()[0] == 0:
            report = self.import_data()
            return Advanced(0, RoundState.SELECTING, report.sentence())
        current = self._open_round()
        outcome = current if isinstance(current, Finished) else STEPS[current.state](self._context, current)
        if isinstance(outcome, Finished) or (isinstance(outcome, Advanced) and outcome.state.is_terminal):
            failpoint("round.closed")
            write_manifest(self.store, self.config, self.registry)
            failpoint("manifest.written")
            tell_metrics(self.store, self.registry, self.info)
        return outcome

    def run(
        self,
        *,
        wait: float | None = None,
        on_outcome: Callable[[Outcome], None] | None = None,
        until: Callable[[Outcome], bool] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Outcome:
        """Step until the campaign is finished, or until it waits for people.

        Args:
            wait: seconds between polls while people work; None returns `Waiting` instead of sleeping. Simulators
                answer at once and are always polled on.
            on_outcome: called after every step.
            until: asked after every step; True ends the run with that outcome.
            sleep: how to wait.
        """
        idle = 0
        while True:
            outcome = self.step()
            if on_outcome is not None:
                on_outcome(outcome)
            if isinstance(outcome, Finished) or (until is not None and until(outcome)):
                return outcome
            if isinstance(outcome, Waiting):
                idle += 1
                if not self.parts.backend.capabilities.blocking:
                    if wait is None:
                        return outcome
                    sleep(wait)
                elif idle > _IDLE_LIMIT:
                    raise BackendRejected(
                        f"backend {self.parts.backend.name!r} brought nothing in {idle} polls",
                        "Does anybody answer, by [backend.options]? Was the campaign's folder backend removed or"
                        " replaced? To go on without these answers: pairloop abandon",
                    )
            else:
                idle = 0

    def ask(self, n: int | None = None) -> Batch:
        """The questions of the open round that nobody has answered yet; ``n`` new ones are chosen where none is open.

        Nothing outside the store is touched. Answer with `tell`, then call `step`. The batch is empty when all are
        answered and the round has not been closed by `step` yet.

        Raises:
            UsageError: the campaign is finished, or ``n`` is below 1.
        """
        if n is not None and n < 1:
            raise UsageError(f"cannot ask {n} questions", "Ask at least one.")
        while self.store.pool.size()[0] == 0:
            self.step()
        current = self._open_round()
        if not isinstance(current, Finished) and current.state is RoundState.SELECTING:
            outcome = select.run(self._context, current, n)
            if isinstance(outcome, Finished):
                raise UsageError(f"there is nothing left to ask: {outcome.reason}")
            current = self._open_round()
        if isinstance(current, Finished):
            raise UsageError(f"there is nothing left to ask: {current.reason}")
        assignments = [a for a in self.store.rounds.assignments(current.number) if AssignmentState(a.state).is_open]
        return Batch(current.number, tuple(assignments), tuple(publish.build_tasks(self._context, assignments)))

    def tell(self, annotations: Iterable[Annotation]) -> Ingested:
        """Store annotations; repeats and unknown keys are counted, not raised.

        Raises:
            ContractViolation: an annotation cannot be stored (empty id, NaN seconds …); nothing is stored then.
        """
        checked = checked_annotations(list(annotations), "tell")
        latest = self.store.rounds.latest()
        with self.store.transaction():
            return collect.ingest(self._context, checked, latest.number if latest else None)

    def import_data(self) -> IntakeReport:
        """Read the pair source into the pool; known prompts and responses are merged.

        Raises:
            DataError: the source cannot be read, or leaves the pool without a single pair.
        """
        data = self.config.data
        report = import_source(
            self.store, self.config, self.parts.source(), data.source, self.progress, self.parts.base
        )
        if self.store.pool.size()[0] == 0:
            raise DataError(
                f"{data.path or data.source}: no usable row ({report.rows} read, {report.rejected} rejected)",
                f"Reasons are in {self.folder / 'rejected.jsonl'}." if report.rejected else "The source is empty.",
            )
        return report

    def pull(self) -> Ingested:
        """Pull from the backend without moving the round, for late votes after the campaign ended."""
        latest = self.store.rounds.latest()
        return collect.pull(self._context, latest.number if latest else None)

    def read_export(self, path: str | Path) -> Ingested:
        """Store the votes in a file that the backend's server exported, as `pull` would.

        Raises:
            UsageError: the backend reads no such files. DataError: it is none, or holds an answer without a meaning.
        """
        backend = self.parts.backend
        if not isinstance(backend, ReadsExports):
            raise UsageError(f"backend {backend.name!r} reads no exported files", "Leave the file out.")
        with calling("backend", backend.name):
            annotations = backend.read_export(Path(path))
        return self.tell(annotations)

    def reopen(self) -> int:
        """Collect again in the latest round, and train again when it closes; returns its number.

        A round that has chosen no question yet only pulls and trains: the way out when the model that it would
        choose by is damaged.

        Raises:
            IllegalTransition: it is not at a point where that makes sense.
        """
        latest = self.store.rounds.latest()
        if latest is None:
            raise IllegalTransition("there is no round to reopen")
        if latest.state not in (RoundState.SELECTING, RoundState.TRAINING, RoundState.CLOSED):
            # from PUBLISHING it would skip the push
            raise IllegalTransition(f"round {latest.number} is {latest.state} and cannot be reopened")
        with self.store.transaction():
            self.store.rounds.move(latest, RoundState.COLLECTING, "reopened")
            self.store.events.add("round_reopened", latest.number)
        return latest.number

    def abandon(self, reason: str) -> int:
        """Give up the open round; its votes stay and train in the next one. Returns its number.

        Questions that were never sent are withdrawn; those that people may still answer stay open and reserved.
        """
        latest = self.store.rounds.latest()
        if latest is None or latest.state.is_terminal:
            raise IllegalTransition("there is no open round to abandon")
        with self.store.transaction():
            unsent = [a.key for a in self.store.rounds.assignments(latest.number) if a.state == AssignmentState.PENDING]
            self.store.rounds.set_state(unsent, AssignmentState.WITHDRAWN, "the round was abandoned")
            self.store.rounds.move(latest, RoundState.ABANDONED, reason)
            self.store.events.add("round_abandoned", latest.number, reason=reason, withdrawn=len(unsent))
        return latest.number

    def decide_annotator(self, name: str, *, excluded: bool, decided_by: str, reason: str | None = None) -> bool:
        """Let an annotator's votes count for nothing from the next training on, or count again; False: no change.

        Raises:
            UsageError: nobody of this name voted.
        """
        return decide(self.store, name, excluded=excluded, decided_by=decided_by, reason=reason)

    def tune_now(self) -> int:
        """Send the latest round, which is over, back to TUNING without asking the gate; the next `step` tunes.

        Nothing but the state is written, so that a process that dies on the way resumes like any other round.
        Returns the round's number.

        Raises:
            ConfigError: ``policy.tuner`` names none. ModelError: there is no reward model yet.
            IllegalTransition: a round is open.
        """
        self.parts.require_tuner()
        if self.store.models.current("reward") is None:
            raise NoSignal("there is no reward model to tune against yet", "Collect votes first: pairloop run")
        latest = self.store.rounds.latest()
        if latest is None or not latest.state.is_terminal:
            raise IllegalTransition(
                f"round {latest.number if latest else 0} is {latest.state if latest else 'not open yet'}:"
                " the policy is tuned between two rounds",
                "Let it finish (pairloop run), or give it up (pairloop abandon), then tune.",
            )
        with self.store.transaction():
            self.store.rounds.move(latest, RoundState.TUNING, "tuning asked for by hand")
            self.store.events.add("tuning_requested", latest.number)
        return latest.number

    # ------------------------------------------------------------------------------------------ looking

    @property
    def context(self) -> StepContext:
        """What its steps work with."""
        return self._context

    def status(self) -> dict[str, Any]:
        """The facts that ``pairloop status --json`` prints."""
        return status_facts(self.store, self.config)

    # ------------------------------------------------------------------------------------------ innards

    def _open_round(self) -> Round | Finished:
        """The open round, opening the next one unless the campaign is finished."""
        latest = self.store.rounds.latest()
        if latest is not None and not latest.state.is_terminal:
            return latest
        reason = stop_reason(self.store, self.config, latest)
        hook = self.registry.hook.pairloop_should_stop
        if reason is None and hook.get_hookimpls():  # facts take seconds in a large campaign
            facts = self.status()
            with calling("an observer plugin's hook", "pairloop_should_stop"):
                reason = hook(facts=facts)
        if reason is not None:
            return Finished(reason)
        with self.store.transaction():
            opened = self.store.rounds.open()
            self.store.events.add("round_opened", opened.number)
        failpoint("round.opened")
        return opened

    def _notify(self, event: Event) -> None:
        """Tell observers; their failure is logged, never fatal."""
        try:
            self.registry.hook.pairloop_event(event=event)
        except Exception:
            import logging

            logging.getLogger("pairloop").exception("an observer plugin failed on %s", event.kind)

    def close(self) -> None:
        """Release backend, database and lock; may be called twice."""
        try:
            self.parts.close()
        finally:
            self.store.close()

    def __enter__(self) -> "Campaign":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


__all__ = ["Advanced", "Campaign", "Finished", "Outcome", "PairloopError", "Waiting"]
