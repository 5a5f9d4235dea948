"""The fall-back to random choice in a running campaign: visible, stored, the same after a restart."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.scripted import Scripted, scripted_campaign

from pairloop.campaign import Campaign
from pairloop.records import Arm, Choice
from pairloop.states import RoundState
from pairloop.steps.base import Advanced
from pairloop.testing.toy_source import goodness

SIZES: dict[str, Any] = {
    "round": {"size": 60, "max_rounds": 30},
    "data": {"options": {"prompts": 240}},
    "holdout": {"share": 0.3, "fraction": 0.3},
    "selection": {"random_share": 0.3, "strategy": "entropy", "trial_share": 0.25},
}


@pytest.fixture
def backend() -> Scripted:
    return Scripted()


def opened(folder: Path, backend: Scripted, **selection: Any) -> Campaign:
    return scripted_campaign(folder, backend, **SIZES | {"selection": SIZES["selection"] | selection})


def play(campaign: Campaign, backend: Scripted, rounds: int, *, harmful: bool) -> list[str]:
    """Rounds in which people prefer the better text; with ``harmful`` they err on all that the strategy chose."""
    notes = []
    for _ in range(rounds):
        campaign.step()
        campaign.step()
        latest = campaign.store.rounds.latest()
        assert latest is not None
        assert latest.state is RoundState.COLLECTING
        for assignment in campaign.store.rounds.assignments(latest.number):
            task = backend.tasks[assignment.key]
            better = goodness(task.left) >= goodness(task.right)
            wrong = harmful and assignment.strategy == "entropy"
            backend.queue.append(backend.vote(assignment.key, Choice.LEFT if better != wrong else Choice.RIGHT))
        campaign.step()
        outcome = campaign.step()
        assert isinstance(outcome, Advanced)
        assert outcome.state is RoundState.CLOSED
        notes.append(outcome.note)
    return notes


def state(campaign: Campaign) -> dict[str, Any]:
    return campaign.store.models.all("reward")[-1].report["selection"]


def test_a_harmful_strategy_is_replaced_by_chance_and_kept_on_trial(tmp_path: Path, backend: Scripted) -> None:
    with opened(tmp_path / "c", backend) as campaign:
        campaign.step()
        notes = play(campaign, backend, 6, harmful=True)
        assert state(campaign)["mode"] == "random"
        since = state(campaign)["since"]
        assert "random choice takes over: active selection is proven worse" in notes[since - 1]
        events = [e for e in campaign.store.events.tail(1000) if e.kind == "selection_changed"]
        assert [(e.round, e.body["mode"]) for e in events] == [(since, "random")]
    with opened(tmp_path / "c", backend) as campaign:  # another process
        campaign.step()
        found = campaign.store.rounds.assignments(campaign.store.rounds.latest().number)  # type: ignore[union-attr]
        assert Counter((a.arm, a.strategy) for a in found) == {
            (Arm.HOLDOUT, "random"): 18, (Arm.RANDOM, "random"): 18 + 18, (Arm.ACTIVE, "entropy"): 6,
        }  # fmt: skip
        drawn = [a for a in found if a.arm is Arm.RANDOM]
        assert all(a.score is None and a.propensity is not None for a in drawn)
        assert len({a.pair_id for a in found}) == len(found)


def test_a_helpful_strategy_goes_on(tmp_path: Path, backend: Scripted) -> None:
    with opened(tmp_path / "c", backend) as campaign:
        campaign.step()
        play(campaign, backend, 6, harmful=False)
        assert state(campaign)["mode"] == "active"
        assert state(campaign)["difference"]["n"] > 40


@pytest.mark.parametrize("changes", [{"on_no_gain": "tell"}, {"compare_arms": False}])
def test_told_not_to_it_does_not_switch(tmp_path: Path, backend: Scripted, changes: dict[str, Any]) -> None:
    with opened(tmp_path / "c", backend, **changes) as campaign:
        campaign.step()
        notes = play(campaign, backend, 6, harmful=True)
        told = [note for note in notes if "proven worse than random choice" in note]
        assert len(told) == (1 if "on_no_gain" in changes else 0), "told once"
        campaign.step()
        found = campaign.store.rounds.assignments(campaign.store.rounds.latest().number)  # type: ignore[union-attr]
        assert sum(a.strategy == "entropy" for a in found) == 24


def test_the_same_votes_give_the_same_states(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        backend = Scripted()
        rows = []
        for _ in range(4):  # one process a round, or the same one
            with opened(tmp_path / name, backend) as campaign:
                if not rows:
                    campaign.step()
                play(campaign, backend, 1 if name == "a" else 4, harmful=True)
                rows = [
                    {key: row.report.get(key) for key in ("shadows", "selection")}
                    for row in campaign.store.models.all("reward")
                ]
            if name == "b":
                break
        found.append(rows)
    assert found[0] == found[1]
    assert found[0][-1]["shadows"] is not None
