"""Guesses are renewed at questions that stay open, and questions that were deleted on the server free their budget."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pairloop.campaign import Campaign
from pairloop.errors import BackendUnavailable, ContractViolation, UsageError
from pairloop.hookspecs import hookimpl
from pairloop.protocols import Backend, BackendContext, BackendSpec
from pairloop.records import Annotation, Choice, Page, Prelabel
from pairloop.states import AssignmentState, RoundState
from pairloop.steps.base import Advanced, Outcome
from pairloop.testing.campaigns import toy_config, toy_registry
from pairloop.testing.remote import FileRemote, RemoteOptions


class Renewing(FileRemote):
    """The awkward server, which also takes new guesses, and whose tasks may be deleted."""

    def __init__(self, options: RemoteOptions, context: BackendContext) -> None:
        super().__init__(options, context)
        self.renewed: list[dict[str, Prelabel]] = []
        self.fails = False
        self.gone: tuple[str, ...] = ()

    def renew(self, guesses: Mapping[str, Prelabel]) -> None:
        if self.fails:
            raise BackendUnavailable("busy")
        self.renewed.append(dict(guesses))

    def poll(self, cursor: str | None) -> Page:
        page = super().poll(cursor)
        return Page(page.annotations, page.cursor, page.more, gone=() if page.more else self.gone)

    def read_export(self, path: Path) -> Sequence[Annotation]:
        key = path.read_text(encoding="utf-8")
        return [Annotation(key, self.name, "exported", "1", "ann", Choice.LEFT)]


def _module() -> ModuleType:
    made = ModuleType("renewing")

    def factory(options: Any, context: BackendContext) -> Backend:
        return Renewing(options or RemoteOptions(), context)

    @hookimpl
    def pairloop_backends() -> Sequence[BackendSpec]:
        return [BackendSpec("renewing", factory, RemoteOptions)]

    made.pairloop_backends = pairloop_backends  # type: ignore[attr-defined]
    return made


def opened(folder: Path, **backend: Any) -> Campaign:
    text = toy_config(
        backend={"kind": "renewing", "options": {"no_answer": 0.4}, **backend},
        round={"size": 10, "max_rounds": 4, "close_share": 0.2},
        policy={"tuner": None},
    )
    return Campaign(folder / "campaign", registry=toy_registry(backend__renewing=_module()), config_text=text)


def third_batch_is_out(outcome: Outcome) -> bool:
    return isinstance(outcome, Advanced) and outcome.round == 3 and outcome.state is RoundState.COLLECTING


def kinds(campaign: Campaign) -> list[str]:
    return [row["kind"] for row in campaign.store.dump("events")]


def backend_of(campaign: Campaign) -> Renewing:
    made = campaign.parts.backend
    assert isinstance(made, Renewing)
    return made


def test_open_questions_get_the_new_models_guess(tmp_path: Path) -> None:
    with opened(tmp_path) as campaign:
        campaign.run(until=third_batch_is_out)
        renewed = backend_of(campaign).renewed[-1]
        earlier = [a for number in (1, 2) for a in campaign.store.rounds.assignments(number)]
        assert set(renewed) == {a.key for a in earlier if a.state == AssignmentState.SENT}
        model = campaign.store.models.current("reward")
        assert model is not None
        assert {guess.model for guess in renewed.values()} == {model.artifact}
        stored = {**campaign.store.rounds.prelabels(1), **campaign.store.rounds.prelabels(2)}
        assert {key: stored[key] for key in renewed} == renewed, "the store holds what people may see now"


def test_the_same_guess_is_not_sent_again(tmp_path: Path) -> None:
    with opened(tmp_path) as campaign:
        campaign.run()
        sent = [(key, guess.model) for renewed in backend_of(campaign).renewed for key, guess in renewed.items()]
        assert len(sent) == len(set(sent)) > 0


def test_what_was_blind_stays_blind(tmp_path: Path) -> None:
    with opened(tmp_path, prelabels="shown", prelabel_control=0.5) as campaign:
        campaign.run()
        before: dict[str, bool] = {}
        for renewed in backend_of(campaign).renewed:
            for key, guess in renewed.items():
                assert before.setdefault(key, guess.shown) == guess.shown
        arms = {a.key: a.arm for a in campaign.store.rounds.assignments()}
        assert not any(shown for key, shown in before.items() if arms[key] in ("random", "holdout"))
        assert set(before.values()) == {True, False}


def test_a_renewal_that_fails_holds_nothing_up(tmp_path: Path) -> None:
    with opened(tmp_path) as campaign:
        backend_of(campaign).fails = True
        campaign.run(until=third_batch_is_out)
        latest = campaign.store.rounds.latest()
        assert latest is not None
        assert latest.state is RoundState.COLLECTING
        assert "prelabels_not_renewed" in kinds(campaign)
        backend_of(campaign).fails = False
        campaign.run()
        assert backend_of(campaign).renewed


def test_without_prelabels_nothing_is_renewed(tmp_path: Path) -> None:
    with opened(tmp_path, prelabels="off") as campaign:
        campaign.run()
        assert backend_of(campaign).renewed == []


def test_deleted_questions_free_their_budget(tmp_path: Path) -> None:
    with opened(tmp_path) as campaign:
        campaign.run(until=third_batch_is_out)
        lost = next(a for a in campaign.store.rounds.assignments() if a.state == AssignmentState.SENT)
        answered = next(a for a in campaign.store.rounds.assignments() if a.state == AssignmentState.ANSWERED)
        reserved, _ = campaign.store.rounds.open_cost()
        backend_of(campaign).gone = (lost.key, answered.key)
        campaign.pull()
        states = {a.key: a.state for a in campaign.store.rounds.assignments()}
        assert states[lost.key] == AssignmentState.WITHDRAWN
        assert states[answered.key] == AssignmentState.ANSWERED
        assert campaign.store.rounds.open_cost()[0] < reserved
        assert kinds(campaign).count("questions_gone") == 1


def test_a_gone_key_that_is_no_text_is_named(tmp_path: Path) -> None:
    with opened(tmp_path) as campaign:
        campaign.run(until=third_batch_is_out)
        backend_of(campaign).gone = ("a\x00b",)
        with pytest.raises(ContractViolation, match="a key that is gone"):
            campaign.pull()


def test_exported_files_bring_votes(tmp_path: Path) -> None:
    with opened(tmp_path) as campaign:
        campaign.run(until=third_batch_is_out)
        lost = next(a for a in campaign.store.rounds.assignments() if a.state == AssignmentState.SENT)
        (tmp_path / "export").write_text(lost.key, encoding="utf-8")
        assert campaign.read_export(tmp_path / "export").new == 1
        assert campaign.read_export(tmp_path / "export").repeated == 1


def test_a_backend_that_reads_no_exports_says_so(tmp_path: Path) -> None:
    with (
        Campaign(tmp_path / "plain", registry=toy_registry(), config_text=toy_config()) as campaign,
        pytest.raises(UsageError, match="reads no exported files"),
    ):
        campaign.read_export(tmp_path / "export")
