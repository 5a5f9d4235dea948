"""Rounds as people run them: they close, answer late, skip, get withdrawn, reopened and abandoned, and cost money."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.scripted import Scripted, keys, scripted_campaign, states, to_collecting, to_training

from pairloop.campaign import Advanced, Campaign, Finished, Waiting
from pairloop.errors import BackendUnavailable, ContractViolation, IllegalTransition, UsageError
from pairloop.kit.clock import set_clock
from pairloop.records import Choice, Page
from pairloop.states import RoundState
from pairloop.steps import collect
from pairloop.steps.tune import draw_prompts
from pairloop.testing.failpoints import failing_at

Make = Callable[..., Campaign]


@pytest.fixture
def backend() -> Scripted:
    return Scripted()


@pytest.fixture
def make(tmp_path: Path, backend: Scripted) -> Iterator[Make]:
    """Opens (again) the one campaign of a test."""
    opened: list[Campaign] = []

    def open_it(**changes: Any) -> Campaign:
        for campaign in opened:
            campaign.close()
        opened.append(scripted_campaign(tmp_path / "campaign", backend, **changes))
        return opened[-1]

    yield open_it
    for campaign in opened:
        campaign.close()


@pytest.fixture
def clock() -> Iterator[Callable[[float], None]]:
    """Sets the hour since the campaign began."""
    start = datetime(2030, 1, 1, tzinfo=UTC)

    def at(hours: float) -> None:
        set_clock(lambda: start + timedelta(hours=hours))

    at(0)
    yield at
    set_clock(None)


def state(campaign: Campaign) -> RoundState:
    latest = campaign.store.rounds.latest()
    assert latest is not None
    return latest.state


def next_round(campaign: Campaign) -> int:
    """Step until another round collects; its number."""
    before = campaign.store.rounds.latest()
    for _ in range(8):
        outcome = campaign.step()
        latest = campaign.store.rounds.latest()
        if latest is not None and before is not None and latest.number > before.number and latest.state == "collecting":
            return latest.number
        assert not isinstance(outcome, Finished), outcome
    raise AssertionError("no further round collects")


# -------------------------------------------------------------------------------------------------- closing


def test_it_waits_until_all_have_answered(make: Make, backend: Scripted) -> None:
    campaign = make()
    to_collecting(campaign)
    assert campaign.step() == Waiting(1, 0, 6, "0 new")
    backend.answer(keys(campaign)[:5])
    assert campaign.step() == Waiting(1, 5, 6, "5 new")
    backend.answer(keys(campaign)[5:], Choice.SKIP)
    assert to_training(campaign).note == "6 of 6 answered"


@pytest.mark.parametrize(("share", "enough"), [(0.5, 3), (0.51, 4), (0.01, 1), (1.0, 6)])
def test_it_closes_by_share(make: Make, backend: Scripted, share: float, enough: int) -> None:
    campaign = make(round={"close_share": share})
    to_collecting(campaign)
    backend.answer(keys(campaign)[: enough - 1])
    assert isinstance(campaign.step(), Waiting)
    backend.answer(keys(campaign)[enough - 1 : enough])
    to_training(campaign)


def test_a_share_is_not_missed_by_a_rounding_error(make: Make, backend: Scripted) -> None:
    """0.55 · 100 is a little more than 55 in binary."""
    campaign = make(round={"size": 100, "close_share": 0.55}, data={"options": {"prompts": 80}})
    to_collecting(campaign)
    assert len(keys(campaign)) == 100
    backend.answer(keys(campaign)[:55])
    to_training(campaign)


def test_it_closes_by_count(make: Make, backend: Scripted) -> None:
    campaign = make(round={"close_count": 2})
    to_collecting(campaign)
    backend.answer(keys(campaign)[:2])
    assert to_training(campaign).note == "2 answers reached close_count = 2"


def test_it_closes_by_deadline_with_at_least_one_answer(
    make: Make, backend: Scripted, clock: Callable[[float], None]
) -> None:
    campaign = make(round={"close_after_hours": 48})
    to_collecting(campaign)
    clock(49)
    assert isinstance(campaign.step(), Waiting), "nobody has answered yet"
    backend.answer(keys(campaign)[:1])
    clock(47.9)
    assert isinstance(campaign.step(), Waiting)
    clock(48)
    assert to_training(campaign).note == "deadline of 48 hours passed with 1 of 6 answered"


def test_refused_tasks_are_not_waited_for(make: Make, backend: Scripted) -> None:
    """Their reason is kept, their budget is free, and they are not asked again."""
    campaign = make(budget={"labels": 100})
    campaign.step()
    campaign.step()
    refused, *others = keys(campaign)
    backend.refuse = {refused: "too long for us"}
    to_collecting(campaign)
    assert states(campaign) == {"refused": 1, "sent": 5}
    row = next(row for row in campaign.store.dump("assignments") if row["key"] == refused)
    assert row["note"] == "too long for us"
    assert campaign.status()["budget"]["labels"]["reserved"] == 5
    backend.answer(others)
    assert to_training(campaign).note == "5 of 5 answered"
    number = next_round(campaign)
    asked = {a.pair_id for a in campaign.store.rounds.assignments(number)}
    assert row["pair_id"] not in asked


def test_a_round_of_refusals_closes_without_a_model(make: Make, backend: Scripted) -> None:
    campaign = make()
    campaign.step()
    campaign.step()
    backend.refuse = dict.fromkeys(keys(campaign), "no")
    to_collecting(campaign)
    assert to_training(campaign).note == "nothing left to answer"
    outcome = campaign.step()
    assert isinstance(outcome, Advanced)
    assert outcome.state is RoundState.CLOSED
    assert campaign.store.models.current("reward") is None
    assert [row.accepted for row in campaign.store.models.all("reward")] == [False]


# ---------------------------------------------------------------------------------------------- late, skips


def test_late_votes_join_the_next_round(make: Make, backend: Scripted) -> None:
    campaign = make(round={"close_share": 0.5})
    to_collecting(campaign)
    early, late = keys(campaign)[:3], keys(campaign)[3:]
    backend.answer(early)
    to_training(campaign)
    campaign.step()
    assert campaign.store.models.all("reward")[-1].votes == 3
    number = next_round(campaign)
    backend.answer(late)
    backend.answer(keys(campaign, number)[:3])
    outcome = to_training(campaign)
    assert outcome.note == "3 of 6 answered", "late votes do not count for the round that is open"
    campaign.step()
    assert campaign.store.models.all("reward")[-1].votes == 9
    received = [event for event in campaign.store.events.tail(50) if event.kind == "annotations_received"]
    assert [event.body["late"] for event in received] == [0, 3]
    assert states(campaign, 1) == {"answered": 6}


def test_votes_between_two_rounds_count_for_the_next_fit(make: Make, backend: Scripted) -> None:
    """`pull` after the campaign ended brings them in, and the round stays as it is."""
    campaign = make(round={"close_share": 0.5, "max_rounds": 1})
    to_collecting(campaign)
    backend.answer(keys(campaign)[:3])
    assert isinstance(campaign.run(), Finished)
    backend.answer(keys(campaign)[3:])
    assert campaign.pull().new == 3
    assert state(campaign) is RoundState.CLOSED
    assert len(campaign.store.annotations.votes()) == 6


def test_a_skipped_pair_is_asked_again_up_to_max_asks(make: Make, backend: Scripted) -> None:
    campaign = make(round={"max_asks": 3})
    to_collecting(campaign)
    number, rounds = 1, []
    skipped = campaign.store.rounds.assignments(1)[0].pair_id
    while number <= 5:
        questions = campaign.store.rounds.assignments(number)
        rounds.append([a.pair_id for a in questions].count(skipped))
        backend.answer([a.key for a in questions if a.pair_id == skipped], Choice.SKIP)
        backend.answer([a.key for a in questions if a.pair_id != skipped])
        to_training(campaign)
        number = next_round(campaign)
    assert rounds == [1, 1, 1, 0, 0]


def test_a_skipped_pair_can_be_retired_at_once(make: Make, backend: Scripted) -> None:
    campaign = make(round={"on_skip": "retire"})
    to_collecting(campaign)
    skipped = {a.pair_id for a in campaign.store.rounds.assignments(1)}
    backend.answer(keys(campaign), Choice.SKIP)
    to_training(campaign)
    number = next_round(campaign)
    assert not skipped & {a.pair_id for a in campaign.store.rounds.assignments(number)}


def test_a_pair_that_somebody_judged_is_not_asked_again(make: Make, backend: Scripted) -> None:
    """One of two replicas skipped is no skipped pair."""
    campaign = make(round={"size": 4, "replicas": 2})
    to_collecting(campaign)
    questions = campaign.store.rounds.assignments(1)
    backend.answer([a.key for a in questions if a.replica == 0])
    backend.answer([a.key for a in questions if a.replica == 1], Choice.SKIP)
    to_training(campaign)
    number = next_round(campaign)
    before = {a.pair_id for a in questions}
    assert not before & {a.pair_id for a in campaign.store.rounds.assignments(number)}


def test_with_nothing_new_left_all_skipped_pairs_are_asked_again(make: Make, backend: Scripted) -> None:
    """Also the single question of a small round."""
    campaign = make(data={"options": {"prompts": 3, "responses": 2}}, round={"size": 1})
    to_collecting(campaign)
    backend.answer(keys(campaign), Choice.SKIP)
    to_training(campaign)
    asked = [campaign.store.rounds.assignments(1)[0].pair_id]
    outcome: Any = None
    for number in range(2, 6):
        outcome = campaign.run()
        if isinstance(outcome, Finished):
            break
        asked += [a.pair_id for a in campaign.store.rounds.assignments(number)]
        backend.answer(keys(campaign, number))
    assert outcome == Finished("the pool is exhausted: every pair was asked")
    assert sorted(asked.count(pair) for pair in set(asked)) == [1, 2]


# ------------------------------------------------------------------------------------- withdraw and budget


def budget(campaign: Campaign) -> tuple[int, int]:
    facts = campaign.status()["budget"]["labels"]
    return facts["spent"], facts["reserved"]


def test_withdrawing_frees_only_what_the_backend_confirms(make: Make, backend: Scripted) -> None:
    campaign = make(round={"close_share": 0.5, "on_close": "withdraw"}, budget={"labels": 12})
    to_collecting(campaign)
    answered, still_open = keys(campaign)[:3], keys(campaign)[3:]
    backend.answer(answered)
    backend.confirm = still_open[:2]
    to_training(campaign)
    assert backend.cancelled == sorted(still_open)
    assert states(campaign) == {"answered": 3, "sent": 1, "withdrawn": 2}
    assert budget(campaign) == (3, 1)
    number = next_round(campaign)
    assert len(keys(campaign, number)) == 6
    assert budget(campaign) == (3, 7)


def test_keeping_keeps_the_budget_reserved(make: Make, backend: Scripted) -> None:
    campaign = make(round={"close_share": 0.5}, budget={"labels": 10})
    to_collecting(campaign)
    backend.answer(keys(campaign)[:3])
    to_training(campaign)
    assert backend.cancelled == []
    assert budget(campaign) == (3, 3)
    assert len(keys(campaign, next_round(campaign))) == 4


def test_a_late_vote_on_a_withdrawn_question_counts_and_its_retraction_does_not_reopen_it(
    make: Make, backend: Scripted
) -> None:
    campaign = make(round={"close_share": 0.5, "on_close": "withdraw"})
    to_collecting(campaign)
    backend.answer(keys(campaign)[:3])
    to_training(campaign)
    late = backend.vote(keys(campaign)[4])
    assert campaign.tell([late]).new == 1
    assert states(campaign) == {"answered": 4, "withdrawn": 2}
    assert len(campaign.store.annotations.votes()) == 4
    campaign.tell([replace(late, deleted=True)])
    assert states(campaign) == {"answered": 3, "withdrawn": 3}


def test_a_withdrawn_pair_may_be_asked_in_a_later_round(make: Make, backend: Scripted) -> None:
    campaign = make(
        data={"options": {"prompts": 3, "responses": 2}}, holdout={"fraction": 0.0},
        round={"size": 3, "close_share": 0.3, "on_close": "withdraw"},
    )  # fmt: skip
    to_collecting(campaign)
    backend.answer(keys(campaign)[:1])
    withdrawn = {a.pair_id for a in campaign.store.rounds.assignments(1)[1:]}
    to_training(campaign)
    number = next_round(campaign)
    assert {a.pair_id for a in campaign.store.rounds.assignments(number)} == withdrawn


def test_a_lost_answer_to_the_withdrawal_is_asked_for_again(make: Make, backend: Scripted) -> None:
    campaign = make(round={"close_share": 0.5, "on_close": "withdraw"})
    to_collecting(campaign)
    backend.answer(keys(campaign)[:3])

    def unavailable(_keys: Any) -> Any:
        raise BackendUnavailable("no line")

    backend.on["cancel"] = unavailable
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            campaign.step()
        assert state(campaign) is RoundState.COLLECTING
    del backend.on["cancel"]
    to_training(campaign)
    assert states(campaign) == {"answered": 3, "withdrawn": 3}


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({"labels": 10}, 10),
        ({"labels": 1}, 1),
        ({"cost": 2.0, "cost_per_vote": 0.25}, 8),
        ({"cost": 0.7, "cost_per_vote": 0.1}, 7),
        ({"annotator_hours": 0.25, "seconds_per_vote": 60.0}, 15),
        ({"labels": 10, "cost": 2.0, "cost_per_vote": 0.25, "annotator_hours": 0.25, "seconds_per_vote": 60.0}, 8),
        ({"labels": 0}, 0),
    ],
)
@pytest.mark.parametrize("closing", [{}, {"close_share": 0.5}, {"close_share": 0.5, "on_close": "withdraw"}])
@pytest.mark.parametrize("replicas", [1, 2])
def test_the_budget_is_never_exceeded(
    make: Make, backend: Scripted, limits: dict[str, Any], most: int, closing: dict[str, Any], replicas: int
) -> None:
    """Spent and reserved together, after every step, however rounds close; and it is used up in the end."""
    campaign = make(budget=limits, round={"replicas": replicas, "max_rounds": 50, **closing})
    outcome: Any = None
    for _ in range(120):
        outcome = campaign.step()
        spent, reserved = budget(campaign)
        assert spent + reserved <= most
        if isinstance(outcome, Finished):
            break
        if isinstance(outcome, Waiting):
            still_open = keys(campaign, outcome.round, "sent")
            backend.answer(still_open[: (len(still_open) + 1) // 2], seconds=60.0)
    assert isinstance(outcome, Finished), outcome
    assert "is used up" in outcome.reason
    assert sum(budget(campaign)) == most


def test_nothing_is_published_after_the_last_moment(
    make: Make, backend: Scripted, clock: Callable[[float], None]
) -> None:
    """Not even what was chosen before it."""
    campaign = make(budget={"until": datetime(2030, 1, 2, tzinfo=UTC)})
    campaign.step()
    campaign.step()
    clock(24)
    outcome = campaign.run()
    assert isinstance(outcome, Finished)
    assert outcome.reason == "budget.until = 2030-01-02T00:00:00+00:00 is used up"
    assert backend.tasks == {}
    assert states(campaign) == {"withdrawn": 6}


def test_a_budget_that_shrank_curtails_the_push(make: Make, backend: Scripted) -> None:
    campaign = make(budget={"labels": 20})
    campaign.step()
    campaign.step()
    campaign = make(budget={"labels": 4})
    to_collecting(campaign)
    assert len(backend.tasks) == 4
    assert states(campaign) == {"sent": 4, "withdrawn": 2}
    assert "push_curtailed" in {event.kind for event in campaign.store.events.tail()}


# ---------------------------------------------------------------------------------------- reopen and abandon


def test_a_closed_round_can_be_reopened(make: Make, backend: Scripted) -> None:
    """Its late votes are pulled, and it trains again; the deadline counts from now."""
    campaign = make(round={"close_share": 0.5, "max_rounds": 1})
    to_collecting(campaign)
    backend.answer(keys(campaign)[:3])
    assert isinstance(campaign.run(), Finished)
    assert campaign.reopen() == 1
    assert state(campaign) is RoundState.COLLECTING
    backend.answer(keys(campaign)[3:])
    assert isinstance(campaign.run(), Finished)
    assert [row.votes for row in campaign.store.models.all("reward")] == [3, 6]


def test_only_the_latest_round_at_the_right_point_can_be_reopened(make: Make) -> None:
    campaign = make()
    with pytest.raises(IllegalTransition, match="no round to reopen"):
        campaign.reopen()
    campaign.step()
    campaign.step()
    with pytest.raises(IllegalTransition, match="round 1 is publishing and cannot be reopened"):
        campaign.reopen()
    campaign.abandon("changed my mind")
    with pytest.raises(IllegalTransition, match="round 1 is abandoned and cannot be reopened"):
        campaign.reopen()


def test_reopening_a_round_that_tuned_does_not_tune_on_old_checkpoints(make: Make, backend: Scripted) -> None:
    """Without enough new labels it trains only; with enough, it tunes against the new reward model."""
    policy = {"tuner": "toy", "start_labels": 3, "every_labels": 3}
    campaign = make(round={"close_share": 0.5, "max_rounds": 1}, policy=policy)
    to_collecting(campaign)
    backend.answer(keys(campaign)[:3])
    assert isinstance(campaign.run(), Finished)
    first = campaign.store.models.current("policy")
    assert first is not None
    campaign.reopen()
    assert isinstance(campaign.run(), Finished)
    assert campaign.store.models.current("policy") == first, "no label came"
    campaign.reopen()
    backend.answer(keys(campaign)[3:], Choice.RIGHT)
    assert isinstance(campaign.run(), Finished)
    second = campaign.store.models.current("policy")
    reward = campaign.store.models.current("reward")
    assert second is not None
    assert reward is not None
    assert second.id > first.id
    assert second.report["reward_model"] == reward.artifact != first.report["reward_model"]
    assert second.artifact != first.artifact
    assert campaign.store.check() == []


def test_checkpoints_of_another_job_are_never_gone_on_with(tmp_path: Path) -> None:
    """A tuning that failed at its end, and goes on with other settings, gives what these settings give alone."""
    found = []
    for name, first in (("changed", 0.1), ("alone", 3.0)):
        backend = Scripted()
        for conservatism in (first, 3.0):
            with scripted_campaign(
                tmp_path / name, backend, round={"max_rounds": 1},
                policy={"tuner": "toy", "start_labels": 1, "conservatism": conservatism},
            ) as campaign:  # fmt: skip
                if conservatism == first == 0.1:
                    to_collecting(campaign)
                    backend.answer(keys(campaign))
                    with failing_at("tune.before_save", RuntimeError("power cut")), pytest.raises(RuntimeError):
                        campaign.run()
                    assert list((tmp_path / name / "work").glob("tune-1-*/checkpoint-005.json"))
                    continue
                if not keys(campaign):
                    to_collecting(campaign)
                    backend.answer(keys(campaign))
                assert isinstance(campaign.run(), Finished)
                policy = campaign.store.models.current("policy")
                assert policy is not None
                found.append(policy.artifact)
                assert not (tmp_path / name / "work").exists()
    assert found == [found[0]] * 3


def test_an_abandoned_round_keeps_its_votes_and_frees_what_was_not_sent(make: Make, backend: Scripted) -> None:
    campaign = make(budget={"labels": 20})
    campaign.step()
    campaign.step()
    assert campaign.abandon("wrong batch") == 1
    assert states(campaign) == {"withdrawn": 6}
    assert budget(campaign) == (0, 0)
    number = next_round(campaign)
    backend.answer(keys(campaign, number)[:2])
    assert isinstance(campaign.step(), Waiting)
    campaign.abandon("exhausted annotators")
    assert states(campaign, number) == {"answered": 2, "sent": 4}
    assert budget(campaign) == (2, 4), "people may still answer what they have"
    third = next_round(campaign)
    backend.answer(keys(campaign, third))
    to_training(campaign)
    campaign.step()
    assert campaign.store.models.all("reward")[-1].votes == 8
    with pytest.raises(IllegalTransition, match="no open round to abandon"):
        campaign.abandon("again")


# -------------------------------------------------------------------------------------------- ask and tell


def test_ask_and_tell_need_no_backend(make: Make, backend: Scripted) -> None:
    """The batch is chosen and stored, nothing is sent; what was told is not sent afterwards."""
    campaign = make(round={"max_rounds": 2})
    batch = campaign.ask(4)
    assert (batch.round, len(batch.assignments), len(batch.tasks)) == (1, 4, 4)
    assert campaign.ask(2) == batch, "the open round stays the question"
    assert backend.tasks == {}
    told = campaign.tell(
        [backend.vote(task.key, Choice.LEFT if i % 2 else Choice.RIGHT) for i, task in enumerate(batch.tasks)]
    )
    assert told.new == 4
    for _ in range(3):
        campaign.step()
    assert backend.tasks == {}
    assert state(campaign) is RoundState.CLOSED
    second = campaign.ask()
    assert (second.round, len(second.tasks)) == (2, 6)
    campaign.tell([backend.vote(task.key) for task in second.tasks])
    assert isinstance(campaign.run(), Finished)
    with pytest.raises(UsageError, match=r"nothing left to ask: round\.max_rounds = 2 is reached"):
        campaign.ask()


def test_what_was_answered_is_not_asked_again(make: Make, backend: Scripted) -> None:
    """Nor when the round goes on: a caller that asks, tells and steps in a loop never repeats a question."""
    campaign = make(round={"max_rounds": 2})
    batch = campaign.ask()
    campaign.tell([backend.vote(task.key) for task in batch.tasks[:2]])
    assert [task.key for task in campaign.ask().tasks] == [task.key for task in batch.tasks[2:]]
    campaign.tell([backend.vote(task.key) for task in batch.tasks[2:]])
    while state(campaign) is not RoundState.CLOSED:
        assert campaign.ask().tasks == ()
        campaign.step()
    assert campaign.ask().round == 2


def test_what_is_asked_but_not_told_is_published_by_the_next_step(make: Make, backend: Scripted) -> None:
    campaign = make()
    batch = campaign.ask()
    first = backend.vote(batch.tasks[0].key)
    campaign.tell([first])
    to_collecting(campaign)
    assert sorted(backend.tasks) == sorted(task.key for task in batch.tasks[1:])


def test_a_told_vote_can_be_retracted_before_anything_is_sent(make: Make, backend: Scripted) -> None:
    campaign = make()
    vote = backend.vote(campaign.ask().tasks[0].key)
    campaign.tell([vote])
    campaign.tell([replace(vote, deleted=True)])
    assert states(campaign) == {"pending": 6}
    to_collecting(campaign)
    assert len(backend.tasks) == 6
    assert campaign.store.check() == []


@pytest.mark.parametrize("n", [0, -3])
def test_asking_for_nothing_is_an_error(make: Make, n: int) -> None:
    with pytest.raises(UsageError, match="cannot ask"):
        make().ask(n)


# ------------------------------------------------------------------------------------------------ pull, push


def test_a_backend_that_always_promises_more_does_not_hang_the_loop(
    make: Make, backend: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "BARREN_PAGES", 30)
    campaign = make()
    to_collecting(campaign)
    backend.on["poll"] = lambda cursor: Page((), str(int(cursor or 0) + 1), more=True)
    with pytest.raises(ContractViolation, match="'scripted' said more = True for 30 pages without news"):
        campaign.step()
    backend.on["poll"] = lambda cursor: Page((), "still here", more=True)
    assert isinstance(campaign.step(), Waiting)


def test_a_backend_that_cannot_be_asked_again_safely_is_refused(make: Make, backend: Scripted) -> None:
    backend.capabilities = replace(backend.capabilities, idempotent_publish=False, lookup=False)
    campaign = make()
    campaign.step()
    campaign.step()
    with pytest.raises(ContractViolation, match="neither look up its tasks nor publish one twice safely"):
        campaign.step()
    assert backend.tasks == {}


def test_an_unreachable_backend_leaves_the_round_where_it_is(make: Make, backend: Scripted) -> None:
    """What was being sent is ambiguous, and looked up before it is sent again."""
    campaign = make()
    campaign.step()
    campaign.step()
    publish = backend.publish

    def lost(tasks: Any) -> Any:
        backend.on.clear()
        publish(tasks)
        raise BackendUnavailable("the answer got lost")

    backend.on["publish"] = lost
    with pytest.raises(BackendUnavailable) as error:
        campaign.step()
    assert error.value.retryable
    assert states(campaign) == {"ambiguous": 6}
    sent: list[Any] = []
    backend.on["publish"] = sent.append
    assert isinstance(campaign.step(), Advanced)
    assert sent == []
    assert states(campaign) == {"sent": 6}


# ------------------------------------------------------------------------------------------------ the gate


@pytest.mark.parametrize(
    ("settings", "tuned"),
    [
        ({"start_labels": 12, "every_labels": 100}, [2]),
        ({"start_labels": 7, "every_labels": 6}, [2, 3, 4]),
        ({"start_labels": 100}, []),
        ({"start_labels": None}, []),
        ({"start_labels": None, "start_accuracy": 0.0, "every_labels": 100}, [1]),
        ({"start_labels": None, "start_accuracy": 1.0}, []),
        ({"tuner": None, "start_labels": 1}, []),
    ],
)
def test_the_policy_is_tuned_when_the_gate_opens(
    make: Make, backend: Scripted, settings: dict[str, Any], tuned: list[int]
) -> None:
    """By labels, or by the lower end of the holdout accuracy; then again every so many labels."""
    campaign = make(
        policy={"tuner": "toy", **settings}, round={"max_rounds": 4},
        holdout={"share": 0.34 if "start_accuracy" in settings else 0.0},
    )  # fmt: skip
    while not isinstance(outcome := campaign.step(), Finished):
        if isinstance(outcome, Waiting):
            backend.answer(keys(campaign, outcome.round))
    assert [row.round for row in campaign.store.models.all("policy")] == tuned


# --------------------------------------------------------------------------------------------- bad prompts


def test_prompts_rated_bad_leave_and_come_back(make: Make, backend: Scripted) -> None:
    """They are not selected, not trained on, not tuned on; when the rating is retracted they are back."""
    campaign = make(data={"options": {"prompts": 6}}, prompts={"min_ratings": 1}, holdout={"fraction": 0.2})
    to_collecting(campaign)
    first = campaign.store.rounds.assignments(1)
    prompts = {pair.id: pair.prompt_id for pair, _ in campaign.store.pool.pairs()}
    bad = prompts[first[0].pair_id]
    votes = {a.key: backend.answer([a.key], prompt_rating=1 if prompts[a.pair_id] == bad else 5)[0] for a in first}
    to_training(campaign)
    campaign.step()
    reasons = {prompt.id: reason for prompt, _, reason in campaign.store.pool.prompts()}
    on_bad = [a for a in first if prompts[a.pair_id] == bad]
    assert reasons[bad] == f"rated 1.0 of 5 by {len(on_bad)}"
    assert sum(reason is not None for reason in reasons.values()) == 1
    number = next_round(campaign)
    prompts = {pair.id: pair.prompt_id for pair, _ in campaign.store.pool.pairs()}
    assert bad not in {prompts[a.pair_id] for a in campaign.store.rounds.assignments(number)}
    drawn = draw_prompts(campaign._context, campaign._context.pool(), 100, number, "tune")
    assert bad not in {prompt.id for prompt in drawn}
    for a in on_bad:
        backend.queue.append(replace(votes[a.key], deleted=True))
    backend.answer(keys(campaign, number), prompt_rating=5)
    backend.answer([a.key for a in on_bad])
    to_training(campaign)
    campaign.step()
    assert all(reason is None for _, _, reason in campaign.store.pool.prompts())


def test_one_bad_rating_is_not_enough_when_two_are_wanted(make: Make, backend: Scripted) -> None:
    campaign = make(prompts={"min_ratings": 2}, data={"options": {"prompts": 30}}, round={"size": 3})
    to_collecting(campaign)
    backend.answer(keys(campaign), prompt_rating=1)
    to_training(campaign)
    campaign.step()
    assert all(reason is None for _, _, reason in campaign.store.pool.prompts())


def test_tuning_without_a_prompt_left_closes_the_round(make: Make, backend: Scripted) -> None:
    campaign = make(
        policy={"tuner": "toy", "start_labels": 1}, round={"max_rounds": 1, "size": 12},
        data={"options": {"prompts": 2}}, holdout={"fraction": 0.0},
    )  # fmt: skip
    to_collecting(campaign)
    backend.answer(keys(campaign), prompt_rating=1)
    assert isinstance(campaign.run(), Finished)
    assert campaign.store.models.current("policy") is None
    latest = campaign.store.rounds.latest()
    assert latest is not None
    assert (latest.state, latest.reason) == (RoundState.CLOSED, "no prompt is left to tune on")
