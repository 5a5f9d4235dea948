"""Replayed votes are given once each; the manual backend keeps its keys and says nothing."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pairloop.protocols import BackendContext
from pairloop.records import Annotation, AnnotatorKind, Choice, RecordedVote, Task
from pairloop_plugins import manual, replay
from pairloop_plugins.replay.backend import ReplayBackend

Make = Callable[..., Any]
VOTES = (
    RecordedVote("ann", Choice.LEFT, reason="clear", seconds=12.5, strength=2),
    RecordedVote("bob", Choice.RIGHT),
    RecordedVote("gpt", Choice.LEFT, AnnotatorKind.MODEL),
    RecordedVote("ann", Choice.TIE),
    RecordedVote("ann", Choice.TIE),
    RecordedVote("eve", Choice.SKIP),
)
HUMAN = Counter((vote.annotator, vote.choice) for vote in VOTES if vote.kind is AnnotatorKind.HUMAN)


@pytest.fixture
def open_replay(make_context: Callable[..., BackendContext]) -> Callable[..., ReplayBackend]:
    def open_one(folder: Path | None = None, seed: int = 7, **options: Any) -> ReplayBackend:
        return ReplayBackend(replay.ReplayOptions(**options), make_context(folder, gold=None, seed=seed))

    return open_one


def given(votes: dict[str, Annotation]) -> Counter[tuple[str, Choice]]:
    return Counter((vote.annotator, vote.choice) for vote in votes.values())


def test_every_vote_is_given_once_over_rounds_and_restarts(open_replay: Make, make_task: Make, read_all: Make) -> None:
    refused: dict[str, str] = {}
    for number in range(1, 5):
        backend = open_replay()
        tasks = [make_task(0, round=number, replica=replica, recorded=VOTES) for replica in range(2)]
        refused |= backend.publish(tasks).refused
        assert not set(backend.publish(tasks).remote_ids) & set(refused)
        backend.close()
    backend = open_replay()
    assert given(read_all(backend)) == HUMAN
    assert list(refused.values()) == ["all 5 recorded human votes on this pair were given already"] * 3
    backend.close()


def test_annotators_keep_their_names_kinds_and_words(open_replay: Make, make_task: Make, read_all: Make) -> None:
    backend = open_replay(kinds=("human", "model"))
    tasks = [make_task(0, replica=replica, recorded=VOTES) for replica in range(3)]
    backend.publish(tasks)
    first, second, third = (read_all(backend)[task.key] for task in tasks)
    assert (first.annotator, first.choice, first.reason) == ("ann", Choice.LEFT, "clear")
    assert (first.seconds, first.strength, first.cost) == (12.5, 2, 0.1)
    assert (second.annotator, second.kind) == ("bob", AnnotatorKind.HUMAN)
    assert (third.annotator, third.kind) == ("gpt", AnnotatorKind.MODEL)
    backend.close()


def test_models_are_left_out_unless_wanted(open_replay: Make, make_task: Make) -> None:
    backend = open_replay()
    task = make_task(0, recorded=(VOTES[2],))
    assert backend.publish([task]).refused == {task.key: "the pair has no recorded human vote"}
    assert backend.publish([make_task(1)]).refused == {make_task(1).key: "the pair has no recorded human vote"}
    backend.close()
    with pytest.raises(ValidationError):
        replay.ReplayOptions(kinds=())


def test_a_task_twice_in_a_call_uses_one_vote(open_replay: Make, make_task: Make, read_all: Make) -> None:
    backend = open_replay()
    task = make_task(0, recorded=VOTES[:1])
    published = backend.publish([task, task])
    assert (list(published.remote_ids), dict(published.refused)) == ([task.key], {})
    assert len(read_all(backend)) == 1
    backend.close()


def test_the_display_order_is_the_tasks(open_replay: Make, make_task: Make, read_all: Make) -> None:
    """Task.recorded is about the displayed sides already: nothing is turned round again."""
    backend = open_replay()
    turned = tuple(replace(vote, choice=vote.choice.mirrored()) for vote in VOTES)
    tasks = [make_task(0, recorded=VOTES), make_task(1, recorded=turned)]
    backend.publish(tasks)
    votes = read_all(backend)
    assert [votes[task.key].choice for task in tasks] == [Choice.LEFT, Choice.RIGHT]
    backend.close()


def test_the_same_vote_is_recognised_when_the_pair_is_displayed_the_other_way(
    open_replay: Make, make_task: Make, read_all: Make
) -> None:
    backend = open_replay()
    turned = tuple(replace(vote, choice=vote.choice.mirrored()) for vote in VOTES)
    for number in range(1, 7):
        backend.publish([make_task(0, round=number, recorded=turned if number % 2 else VOTES)])
    assert Counter(vote.annotator for vote in read_all(backend).values()) == {"ann": 3, "bob": 1, "eve": 1}
    backend.close()


def test_the_order_of_a_call_does_not_matter(
    open_replay: Make, make_task: Make, read_all: Make, tmp_path: Path
) -> None:
    tasks = [make_task(0, replica=replica, recorded=VOTES) for replica in range(4)]
    seen = []
    for name, order in (("a", tasks), ("b", tasks[::-1])):
        backend = open_replay(tmp_path / name)
        backend.publish(order)
        seen.append(read_all(backend))
        backend.close()
    assert seen[0] == seen[1]


def test_shuffled_depends_on_the_seed_and_not_on_the_display(
    open_replay: Make, make_task: Make, read_all: Make, tmp_path: Path
) -> None:
    crowd = tuple(RecordedVote(f"w{i}", Choice.LEFT) for i in range(6))

    def order(name: str, seed: int, pair: int = 0) -> list[str]:
        backend = open_replay(tmp_path / name, seed=seed, order="shuffled")
        tasks = [make_task(pair, replica=replica, recorded=crowd) for replica in range(6)]
        backend.publish(tasks)
        votes = read_all(backend)
        backend.close()
        return [votes[task.key].annotator for task in tasks]

    first = order("a", 1)
    assert sorted(first) == [f"w{i}" for i in range(6)]
    assert first == order("b", 1)
    assert len({tuple(first), tuple(order("c", 2)), tuple(order("d", 1, pair=1)), tuple(sorted(first))}) == 4


def test_a_withdrawn_vote_can_be_given_again(open_replay: Make, make_task: Make, read_all: Make) -> None:
    backend = open_replay()
    first, second = make_task(0, recorded=VOTES[:1]), make_task(0, round=2, recorded=VOTES[:1])
    backend.publish([first])
    assert list(backend.cancel([first.key])) == [first.key]
    assert not backend.publish([second]).refused
    assert list(read_all(backend)) == [second.key]
    assert list(backend.cancel([second.key])) == []
    backend.close()


def test_replaying_the_crowd_of_the_shared_data(
    open_replay: Make, make_task: Make, read_all: Make, shared_data: Path
) -> None:
    from pairloop.records import SourceRow
    from pairloop_plugins.jsonl.options import JsonlOptions
    from pairloop_plugins.jsonl.source import JsonlSource

    rows = [
        row for row in JsonlSource(JsonlOptions(), shared_data / "pandalm_human_test.jsonl.gz").rows()
        if isinstance(row, SourceRow)
    ][:100]  # fmt: skip
    backend = open_replay()
    tasks: list[Task] = []
    for number in (1, 2):
        batch = [
            make_task(i, row.responses[0].text, row.responses[1].text, round=number, replica=replica,
                      recorded=tuple(vote for _, vote in row.recorded))
            for i, row in enumerate(rows) for replica in range(2)
        ]  # fmt: skip
        published = backend.publish(batch)
        tasks += [task for task in batch if task.key in published.remote_ids]
    votes = read_all(backend)
    expected = Counter((i, vote.annotator, vote.choice) for i, row in enumerate(rows) for _, vote in row.recorded)
    pairs = {task.key: int(task.pair_id[1:]) for task in tasks}
    assert Counter((pairs[key], vote.annotator, vote.choice) for key, vote in votes.items()) == expected
    backend.close()


def test_the_specs_open_their_backends(make_context: Make) -> None:
    for module, name in ((replay, "replay"), (manual, "manual")):
        (spec,) = module.pairloop_backends()
        backend = spec.factory(None, make_context(gold=None))
        assert spec.name == backend.name == name
        assert backend.capabilities.only_recorded is (name == "replay")
        backend.close()


def test_the_manual_backend_reports_nothing_and_confirms(make_context: Make, make_task: Make) -> None:
    backend = manual.ManualBackend(make_context(gold=None))
    tasks = [make_task(i) for i in range(3)]
    assert len(backend.publish(tasks).remote_ids) == 3
    assert backend.poll(None).annotations == ()
    assert sorted(backend.cancel([task.key for task in tasks[:2]])) == sorted(task.key for task in tasks[:2])
    assert len(backend.lookup([task.key for task in tasks])) == 3
    backend.close()
