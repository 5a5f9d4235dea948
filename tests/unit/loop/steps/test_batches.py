"""What a batch is made of: arms in their shares, sides that nobody can guess, reasons stored, prelabels blind."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.scripted import Scripted, keys, scripted_campaign, to_collecting, to_training

from pairloop.acquisition import RandomStrategy
from pairloop.campaign import Campaign, Finished
from pairloop.errors import PluginNotFound
from pairloop.pool import load_pool
from pairloop.protocols import Selection, SelectionContext
from pairloop.records import Arm, Assignment
from pairloop.testing.campaigns import toy_config, toy_registry
from pairloop.testing.remote import tasks_by_key


@pytest.fixture
def backend() -> Scripted:
    return Scripted()


def batch(campaign: Campaign, number: int = 1) -> list[Assignment]:
    return campaign.store.rounds.assignments(number)


def test_the_arms_have_their_shares_and_the_order_tells_nothing(tmp_path: Path, backend: Scripted) -> None:
    with scripted_campaign(
        tmp_path / "c", backend, round={"size": 60}, data={"options": {"prompts": 60}}, holdout={"share": 0.2},
        selection={"random_share": 0.1},
    ) as campaign:  # fmt: skip
        to_collecting(campaign)
        found = batch(campaign)
        assert Counter(a.arm for a in found) == {Arm.HOLDOUT: 12, Arm.RANDOM: 6, Arm.ACTIVE: 42}
        ranks = [a.rank for a in found if a.arm is Arm.ACTIVE]
        assert ranks != list(range(ranks[0], ranks[0] + 42)), "not in blocks"
        for a in found:
            drawn = a.arm is not Arm.ACTIVE
            assert a.strategy == ("random" if drawn else "logdet")
            assert (a.propensity is not None and 0 < a.propensity < 1) == drawn
            assert (a.score is None) == drawn
            assert a.model is None, "there is no model before the first fit"


def test_the_cold_start_has_a_strategy_of_its_own(tmp_path: Path) -> None:
    """Until enough votes train; its pairs are not taken for the strategy's when the arms are compared."""
    config = toy_config(
        round={"size": 20, "max_rounds": 3},
        selection={"strategy": "logdet", "cold_start": "typiclust", "cold_start_votes": 15},
    )
    with Campaign(tmp_path / "c", registry=toy_registry(), config_text=config) as campaign:
        campaign.run()
        used = [{a.strategy for a in batch(campaign, number) if a.arm is Arm.ACTIVE} for number in (1, 2, 3)]
        trained = [row.report["train_votes"] for row in campaign.store.models.all("reward")]
    assert used[0] == {"typiclust"}
    assert [u == {"typiclust"} for u in used[1:]] == [votes < 15 for votes in trained[:2]]
    assert used[2] == {"logdet"}


def test_a_cold_start_that_is_not_installed_is_named(tmp_path: Path) -> None:
    config = toy_config(selection={"strategy": "logdet", "cold_start": "typiklust"})
    with pytest.raises(PluginNotFound, match=r'selection.cold_start: .*typiklust.*did you mean "typiclust"'):
        Campaign(tmp_path / "c", registry=toy_registry(), config_text=config)


def test_rounds_too_small_for_their_shares_get_them_over_time(tmp_path: Path, backend: Scripted) -> None:
    """Else a campaign of small rounds would never measure anything."""
    with scripted_campaign(
        tmp_path / "c", backend, round={"size": 2, "max_rounds": 40}, data={"options": {"prompts": 100}},
        holdout={"share": 0.2}, selection={"random_share": 0.2, "compare_arms": False},
    ) as campaign:  # fmt: skip
        for number in range(1, 31):
            batch_of = campaign.ask()
            assert (batch_of.round, len(batch_of.tasks)) == (number, 2)
            campaign.abandon("enough")
        arms = Counter(a.arm for number in range(1, 31) for a in batch(campaign, number))
        assert 5 <= arms[Arm.HOLDOUT] <= 20
        assert 5 <= arms[Arm.RANDOM] <= 20


class Watching:
    """Picks at random and keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[SelectionContext] = []

    def select(self, context: SelectionContext, n: int) -> Selection:
        self.seen.append(context)
        return RandomStrategy().select(context, n)


def test_a_strategy_is_told_the_goal_and_who_wrote_the_responses(tmp_path: Path, backend: Scripted) -> None:
    watching = Watching()
    with scripted_campaign(
        tmp_path / "c", backend, round={"size": 20}, selection={"strategy": "vopt", "goal": "leaderboard"}
    ) as campaign:
        campaign.parts.__dict__["strategy"] = watching
        to_collecting(campaign)
        context, pool = watching.seen[0], load_pool(campaign.store)
        names = {r.id: r.provenance[0].model for r in campaign.store.pool.responses()}
    assert context.goal == "leaderboard"
    assert context.source is not None
    models = [names[view.id] for view in pool.responses]
    assert len(set(models)) > 1
    number = dict(zip(models, context.source.tolist(), strict=True))
    assert [number[name] for name in models] == context.source.tolist()
    assert len(set(number.values())) == len(number)
    assert all((name is None) == (source == -1) for name, source in number.items())


def test_sides_are_balanced_and_stored(tmp_path: Path, backend: Scripted) -> None:
    with scripted_campaign(
        tmp_path / "c", backend, round={"size": 100}, data={"options": {"prompts": 100}}
    ) as campaign:
        to_collecting(campaign)
        flips = sum(a.flipped for a in batch(campaign))
        assert 30 < flips < 70


def test_replicas_are_asked_of_the_same_pair_with_sides_of_their_own(tmp_path: Path, backend: Scripted) -> None:
    with scripted_campaign(tmp_path / "c", backend, round={"size": 30, "replicas": 3}) as campaign:
        to_collecting(campaign)
        found = batch(campaign)
        assert set(Counter(a.pair_id for a in found).values()) == {3}
        assert len({a.key for a in found}) == 30
        by_pair = {pair: {a.flipped for a in found if a.pair_id == pair} for pair in {a.pair_id for a in found}}
        assert {True, False} in by_pair.values()


@pytest.mark.parametrize("mode", ["off", "hidden", "shown"])
def test_prelabels_are_stored_and_blind_where_they_must_be(tmp_path: Path, backend: Scripted, mode: str) -> None:
    """When shown, holdout, control and a random share of the rest still see nothing."""
    with scripted_campaign(
        tmp_path / "c", backend, round={"size": 40}, data={"options": {"prompts": 60}}, holdout={"share": 0.2},
        backend={"prelabels": mode, "prelabel_control": 0.5},
    ) as campaign:  # fmt: skip
        to_collecting(campaign)
        assert campaign.store.rounds.prelabels(1) == {}
        backend.answer(keys(campaign))
        to_training(campaign)
        while len(campaign.store.rounds.all()) < 2 or not batch(campaign, 2):
            campaign.step()
        guesses = campaign.store.rounds.prelabels(2)
        assert len(guesses) == (0 if mode == "off" else 40)
        arms = {a.key: a.arm for a in batch(campaign, 2)}
        shown = [key for key, guess in guesses.items() if guess.shown]
        assert {arms[key] for key in shown} == ({Arm.ACTIVE} if mode == "shown" else set())
        if mode == "shown":
            assert 0 < len(shown) < sum(arm is Arm.ACTIVE for arm in arms.values())
        row = campaign.store.models.current("reward")
        assert row is not None
        assert all(guess.model == row.artifact for guess in guesses.values())
        to_collecting(campaign)
        assert {key: backend.tasks[key].prelabel for key in arms if key in guesses} == guesses


def test_a_prelabel_is_about_what_is_displayed(tmp_path: Path, backend: Scripted) -> None:
    """p_left of a flipped question is about the second of the pair."""
    with scripted_campaign(tmp_path / "c", backend, round={"size": 20, "replicas": 2}) as campaign:
        to_collecting(campaign)
        backend.answer(keys(campaign)[::2])
        backend.answer(keys(campaign)[1::2], annotator="bob")
        to_training(campaign)
        while len(campaign.store.rounds.all()) < 2 or not batch(campaign, 2):
            campaign.step()
        guesses = campaign.store.rounds.prelabels(2)
        found = batch(campaign, 2)
        assert any(one.pair_id == other.pair_id and one.flipped != other.flipped for one in found for other in found)
        for one in found:
            for other in found:
                if one.pair_id == other.pair_id and one.flipped != other.flipped:
                    np.testing.assert_allclose(guesses[one.key].p_left + guesses[other.key].p_left, 1.0)


def test_new_responses_of_the_policy_come_back_in_the_next_batch(tmp_path: Path) -> None:
    """Their share of the active arm is theirs, and the pairs are those the tuning brought."""
    text = toy_config(policy={"fresh_share": 0.5, "start_labels": 5}, round={"max_rounds": 2, "size": 16})
    with Campaign(tmp_path / "c", registry=toy_registry(), config_text=text) as campaign:
        assert isinstance(campaign.run(), Finished)
        fresh = {pair.id: brought for pair, brought in campaign.store.pool.pairs() if brought is not None}
        asked = batch(campaign, 2)
        arms = Counter(a.arm for a in asked)
        assert arms[Arm.FRESH] == round((16 - round(16 * 0.15) * 2) * 0.5)
        assert all(fresh[a.pair_id] == 1 for a in asked if a.arm is Arm.FRESH)
        assert len(tasks_by_key(tmp_path / "remote.sqlite3")) == 32


def test_predictions_are_made_before_a_vote_is_learned_from(tmp_path: Path, backend: Scripted) -> None:
    """Every decisive vote after the first fit has one, and it never changes."""
    with scripted_campaign(tmp_path / "c", backend, round={"max_rounds": 3}) as campaign:
        stages: list[dict[int, float]] = []
        for number in (1, 2, 3):
            to_collecting(campaign)
            backend.answer(keys(campaign, number))
            to_training(campaign)
            campaign.step()
            stages.append(campaign.store.models.predictions())
        assert stages[0] == {}
        assert sorted(stages[1]) == [7, 8, 9, 10, 11, 12]
        assert {seq: stages[2][seq] for seq in stages[1]} == stages[1]
        assert len(stages[2]) == 12


def test_pairs_in_flight_are_handed_to_the_strategy(tmp_path: Path, backend: Scripted) -> None:
    """Open questions of closed rounds are pending, never candidates."""
    with scripted_campaign(tmp_path / "c", backend, round={"close_share": 0.5}) as campaign:
        to_collecting(campaign)
        backend.answer(keys(campaign)[:3])
        to_training(campaign)
        seen: list[Any] = []
        strategy = campaign.parts.strategy

        class Watched:
            def select(self, context: Any, n: int) -> Any:
                seen.append(context)
                return strategy.select(context, n)

        campaign.parts.__dict__["strategy"] = Watched()  # what the cached property would give
        while len(campaign.store.rounds.all()) < 2 or not batch(campaign, 2):
            campaign.step()
        pool = campaign._context.pool()
        pairs = {
            pair.id: {pool.row_of[pair.first], pool.row_of[pair.second]} for pair, _ in campaign.store.pool.pairs()
        }
        flying = [pairs[a.pair_id] for a in batch(campaign, 1) if a.state == "sent"]
        asked = [pairs[a.pair_id] for a in batch(campaign, 1)]
        pending = [set(pair) for pair in seen[0].pending.tolist()]
        candidates = [set(pair) for pair in seen[0].candidates.tolist()]
        assert all(pair in pending for pair in flying)
        assert not any(pair in candidates for pair in asked)
        answered = [pairs[a.pair_id] for a in batch(campaign, 1) if a.state == "answered" and a.arm is not Arm.HOLDOUT]
        assert answered
        assert sorted(map(sorted, seen[0].asked.tolist())) == sorted(map(sorted, answered))
