"""Gold items and second opinions in batches: how many, where, of whom, and that they stay out of everything else."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.scripted import Scripted, scripted_campaign, to_collecting

from pairloop.campaign import Campaign
from pairloop.errors import DataError
from pairloop.gold import read_gold
from pairloop.kit.ids import prompt_id, response_id
from pairloop.pool import load_pool
from pairloop.protocols import Capabilities
from pairloop.records import Arm, Assignment
from pairloop.votes import holdout_votes, training_votes


@pytest.fixture
def backend() -> Scripted:
    return Scripted()


def gold_file(folder: Path, n: int = 6) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"prompt": f"gold {i}", "response_a": f"good {i}", "response_b": f"bad {i}", "correct": "a", "reason": "plain"}
        for i in range(n)
    ]
    path = folder / "gold.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def opened(folder: Path, backend: Scripted, quality: dict[str, Any], **changes: Any) -> Campaign:
    changes = {"round": {"size": 40}, "data": {"options": {"prompts": 60}}, **changes}
    if "gold_share" in quality:
        gold_file(folder)
        quality = {"gold_path": "gold.jsonl", **quality}
    return scripted_campaign(folder, backend, quality=quality, **changes)


def next_round(campaign: Campaign) -> None:
    campaign.run(until=lambda outcome: getattr(outcome, "state", None) == "closed")
    campaign.step()
    to_collecting(campaign)


def batch(campaign: Campaign, number: int = 1) -> list[Assignment]:
    return campaign.store.rounds.assignments(number)


def golden(assignments: Sequence[Assignment]) -> list[Assignment]:
    return [a for a in assignments if a.arm is Arm.GOLD]


# -------------------------------------------------------------------------------------------------- overlap


def test_a_random_share_of_the_pairs_is_asked_of_two_people_whatever_their_arm(tmp_path: Path, backend: Scripted):
    with opened(tmp_path / "c", backend, {"overlap_share": 0.25}, holdout={"share": 0.5}) as campaign:
        to_collecting(campaign)
        copies = Counter(a.pair_id for a in batch(campaign))
        assert len(batch(campaign)) == 40, "second opinions are part of the batch"
        assert Counter(copies.values()) == {1: 24, 2: 8}
        arms = {a.pair_id: a.arm for a in batch(campaign)}
        assert {arms[pair] for pair, n in copies.items() if n == 2} == {Arm.ACTIVE, Arm.HOLDOUT, Arm.RANDOM}


def test_shares_too_small_for_a_round_are_kept_over_the_rounds(tmp_path: Path, backend: Scripted):
    changes = {"round": {"size": 5, "max_rounds": 60}, "data": {"options": {"prompts": 100}}}
    with opened(tmp_path / "c", backend, {"overlap_share": 0.1, "gold_share": 0.1}, **changes) as campaign:
        for _ in range(60):
            campaign.ask()
            campaign.abandon("enough")
        asked = [a for number in range(1, 61) for a in batch(campaign, number)]
        twice = sum(a.replica == 1 for a in asked)
        assert len(asked) == 300
        assert 15 <= twice <= 42, "about a tenth of about 245 pairs"
        assert 15 <= len(golden(asked)) <= 45


# ------------------------------------------------------------------------------------------------ gold items


def test_gold_items_are_spread_and_look_like_everything_else(tmp_path: Path, backend: Scripted):
    with opened(tmp_path / "c", backend, {"gold_share": 0.15}) as campaign:
        to_collecting(campaign)
        found = batch(campaign)
        assert len(found) == 40
        assert len(golden(found)) == 6
        stretches = [a.rank * 6 // 40 for a in golden(found)]
        assert stretches == [0, 1, 2, 3, 4, 5], "one in every sixth of the batch"
        tasks = [backend.tasks[a.key] for a in golden(found)]
        fields = {name: {type(getattr(task, name)) for task in backend.tasks.values()} for name in ("left", "prelabel")}
        assert all(len(kinds) == 1 for kinds in fields.values())
        assert {task.not_for for task in backend.tasks.values()} == {()}
        assert {task.left.split()[0] for task in tasks} == {"good", "bad"}, "sides are drawn for them too"
        assert "gold" not in json.dumps([task.prompt_metadata for task in tasks]).lower()


def test_gold_votes_neither_train_nor_measure_and_their_texts_are_no_part_of_the_pool(
    tmp_path: Path, backend: Scripted
):
    with opened(tmp_path / "c", backend, {"gold_share": 0.15}) as campaign:
        to_collecting(campaign)
        backend.answer([a.key for a in batch(campaign)])
        campaign.run(until=lambda outcome: getattr(outcome, "state", None) == "closed")
        pool, votes = load_pool(campaign.store), campaign.store.annotations.votes()
        assert sum(vote.arm is Arm.GOLD for vote in votes) == 6
        assert not any(vote.arm is Arm.GOLD for vote in (*training_votes(pool, votes), *holdout_votes(pool, votes)))
        some = training_votes(pool, votes)[0]
        about_the_pool, excluded = replace(some, arm=Arm.GOLD), replace(some, excluded=True)
        assert training_votes(pool, [about_the_pool, excluded]) == [], "also where the pair is one of the data"
        texts = {pool.responses[row].text for row in range(len(pool.responses)) if not pool.trainable[row]}
        assert {f"good {i}" for i in range(6)} <= texts
        to_collecting(campaign)
        assert not any(a.pair_id in {g.pair_id for g in golden(batch(campaign))} and a.arm is not Arm.GOLD
                       for a in batch(campaign, 2))  # fmt: skip
        assert campaign.store.check() == []
        assert {reason for _, _, reason in campaign.store.pool.prompts()} == {None, "gold item"}


def test_the_same_item_is_not_given_to_a_person_twice_where_the_backend_assigns(tmp_path: Path, backend: Scripted):
    backend.capabilities = Capabilities(idempotent_publish=True, assigns_annotators=True)
    with opened(tmp_path / "c", backend, {"gold_share": 0.3}, round={"size": 20}) as campaign:
        to_collecting(campaign)
        first = {a.pair_id for a in golden(batch(campaign))}
        assert len(first) == 6
        backend.answer([a.key for a in batch(campaign)], annotator="ann")
        next_round(campaign)
        assert golden(batch(campaign, 2)) == [], "ann knows them all, and nobody else is known"
        backend.answer([a.key for a in batch(campaign, 2)], annotator="bob")
        next_round(campaign)
        again = golden(batch(campaign, 3))
        assert {a.pair_id for a in again} == first
        assert {backend.tasks[a.key].not_for for a in again} == {("ann",)}


def test_items_come_in_turn_and_known_judges_are_named(tmp_path: Path, backend: Scripted):
    with opened(tmp_path / "c", backend, {"gold_share": 0.15}, round={"size": 20}) as campaign:
        seen: Counter[str] = Counter()
        for number in (1, 2):
            to_collecting(campaign)
            seen.update(a.pair_id for a in golden(batch(campaign, number)))
            for i, a in enumerate(batch(campaign, number)):
                backend.answer([a.key], annotator=f"w{i % 2}")
            campaign.run(until=lambda outcome: getattr(outcome, "state", None) == "closed")
            campaign.step()
        assert len(seen) == 6
        assert set(seen.values()) == {1}, "all six before any comes back"
        to_collecting(campaign)
        third = golden(batch(campaign, 3))
        judged = {vote.pair_id: vote.annotator for vote in campaign.store.annotations.votes()}
        assert third
        assert all(backend.tasks[a.key].not_for == (judged[a.pair_id],) for a in third)


def test_a_batch_is_planned_the_same_again(tmp_path: Path):
    found = []
    for name in "ab":
        with opened(tmp_path / name, Scripted(), {"gold_share": 0.2, "overlap_share": 0.2}) as campaign:
            to_collecting(campaign)
            found.append([(a.pair_id, a.replica, a.flipped, a.arm, a.rank) for a in batch(campaign)])
    assert found[0] == found[1]


# ------------------------------------------------------------------------------------------------ the file

GOOD = {"prompt": "p", "response_a": "x", "response_b": "y", "correct": "b"}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: not an object"),
        (json.dumps(GOOD | {"correct": "left"}), 'line 2: "correct" must be'),
        (json.dumps(GOOD | {"response_b": "x"}), "line 2: both responses are the same"),
        (json.dumps(GOOD | {"response_b": None}), 'line 2: "response_b" must be a text'),
        (json.dumps(GOOD | {"prompt": " "}), "line 2: the prompt is empty"),
        (json.dumps(GOOD | {"answer": "a"}), "line 2: unknown key 'answer'"),
        (json.dumps(GOOD | {"correct": "a"}), "line 2: the same pair as in line 1"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_used(tmp_path: Path, line: str, what: str):
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=what.replace("(", r"\(")):
        read_gold(path)


def test_answers_are_about_the_stored_order_of_the_pair(tmp_path: Path):
    path = tmp_path / "gold.jsonl"
    path.write_text("\n".join(json.dumps({**GOOD, "prompt": f"p{i}"}) for i in range(20)), encoding="utf-8")
    items = read_gold(path)
    for item in items:
        right = response_id(prompt_id(item.prompt), "y")
        assert right == (item.pair.first if item.answer == "first" else item.pair.second)
    assert {item.answer for item in items} == {"first", "second"}
