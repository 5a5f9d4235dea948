"""The simulated backend as a remote: determinism, virtual time, refusals, what its annotations hold."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pairloop.errors import BackendRejected, ConfigError, ContractViolation, CorruptionDetected, StorageFull
from pairloop.protocols import BackendContext
from pairloop.records import AnnotatorKind, Choice, Message, Prelabel, Task
from pairloop_plugins.simulated import SimulatedOptions, pairloop_backends
from pairloop_plugins.simulated.backend import SimulatedBackend
from pairloop_plugins.simulated.options import AnnotatorOptions

Make = Callable[..., Any]


@pytest.fixture
def open_backend(make_context: Callable[..., BackendContext]) -> Callable[..., SimulatedBackend]:
    def open_one(folder: Path | None = None, context: BackendContext | None = None, **options: Any) -> SimulatedBackend:
        return SimulatedBackend(SimulatedOptions(**options), context or make_context(folder))

    return open_one


def one_kind(**fields: Any) -> dict[str, Any]:
    return {"pool": (AnnotatorOptions(**{"teacher": "oracle", **fields}),)}


def many(make_task: Make, n: int = 300) -> list[Task]:
    return [make_task(i, left=(i * 37 % 101) / 10, right=(i * 53 % 97) / 10) for i in range(n)]


def facts(votes: dict[str, Any]) -> list[Any]:
    """All but keys and remote ids, which depend on the campaign's id."""
    return sorted(repr(replace(vote, key="", remote_id="")) for vote in votes.values())


# -------------------------------------------------------------------------------------------- determinism


def test_answers_depend_on_the_seed_and_not_on_keys(
    open_backend: Make, make_context: Make, make_task: Make, read_all: Make, tmp_path: Path
) -> None:
    tasks = many(make_task)
    renamed = [replace(task, key=f"other-{task.key}") for task in tasks]
    runs = {}
    for name, given, seed in (("a", tasks, 7), ("b", renamed, 7), ("c", tasks, 8)):
        folder = tmp_path / name
        backend = open_backend(context=make_context(folder, campaign=name, seed=seed), teacher="crowd")
        backend.publish(given)
        runs[name] = facts(read_all(backend))
        backend.close()
    assert len(runs["a"]) == 300
    assert runs["a"] == runs["b"]
    assert runs["a"] != runs["c"]


def test_scaling_and_shifting_the_gold_score_changes_no_answer(
    open_backend: Make, make_task: Make, read_all: Make, tmp_path: Path
) -> None:
    pool = (AnnotatorOptions(count=4, teacher="oracle", ability=1.0, equal=0.2, skip=0.1, position_bias=0.2),)
    choices = []
    for name, factor, shift in (("a", 1, 0), ("b", 1024, 512)):
        backend = open_backend(tmp_path / name, pool=pool)
        tasks = [
            make_task(i, left=(i * 37 % 101) / 8 * factor + shift, right=(i * 53 % 97) / 8 * factor + shift)
            for i in range(300)
        ]
        backend.publish(tasks)
        choices.append({key: vote.choice for key, vote in read_all(backend).items()})
        backend.close()
    assert choices[0] == choices[1]
    assert len(Counter(choices[0].values())) == 4


@pytest.mark.parametrize(("field", "choice"), [("equal", Choice.TIE), ("skip", Choice.SKIP)])
def test_a_share_of_the_pairs_is_tied_or_skipped(
    open_backend: Make, make_task: Make, read_all: Make, field: str, choice: Choice
) -> None:
    backend = open_backend(**one_kind(**{field: 0.15}))
    tasks = many(make_task, 200)
    backend.publish(tasks)
    votes = read_all(backend)
    named = {task.key: task for task in tasks}
    chosen = [key for key, vote in votes.items() if vote.choice is choice]
    assert len(chosen) == pytest.approx(30, abs=6), "ties between gold scores make it inexact"

    def measure(key: str) -> float:
        gold = [float(text.rpartition("=")[2]) for text in (named[key].left, named[key].right)]
        return abs(gold[0] - gold[1]) if field == "equal" else max(gold)

    others = [key for key in votes if key not in chosen]
    assert max(map(measure, chosen)) < min(map(measure, others))
    backend.close()


def test_a_restart_in_the_middle_changes_nothing(
    open_backend: Make, make_task: Make, read_all: Make, tmp_path: Path
) -> None:
    tasks = many(make_task, 240)
    whole = open_backend(tmp_path / "whole", teacher="crowd")
    for start in range(0, 240, 40):
        whole.publish(tasks[start : start + 40])
    expected = read_all(whole)
    whole.close()
    for start in range(0, 240, 40):
        part = open_backend(tmp_path / "parts", teacher="crowd")
        part.publish(tasks[start : start + 40])
        part.publish(tasks[: start + 40])
        part.close()
    parts = open_backend(tmp_path / "parts", teacher="crowd")
    assert read_all(parts) == expected
    parts.close()


SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from pairloop.protocols import BackendContext
from pairloop.records import Task
from pairloop_plugins.simulated import SimulatedOptions, pairloop_backends

from pairloop_plugins.virtual_remote import VirtualRemote

folder, die = Path(sys.argv[1]), sys.argv[2]

class Gold:
    def score(self, prompt, response, metadata):
        return float(len(response))

create = VirtualRemote.create
def create_and_die(self, tasks):
    create(self, tasks)
    if len(tasks) == 80:
        os.kill(os.getpid(), signal.SIGKILL)
if die == "inside":
    VirtualRemote.create = create_and_die

tasks = [
    Task(f"k{i}r{r}", 1, r, f"q{i}", "p", "x" * (i * 7 % 23), "y" * (i * 11 % 29)) for i in range(60) for r in range(2)
]
options = SimulatedOptions(teacher="crowd")
backend = pairloop_backends()[0].factory(options, BackendContext(folder, "c", 3, Gold()))
backend.publish(tasks[:40])
backend.publish(tasks)
if die == "after":
    os.kill(os.getpid(), signal.SIGKILL)
cursor, votes = None, []
while (page := backend.poll(cursor)).annotations:
    votes += [[v.key, v.choice, v.annotator, v.seconds, page.cursor] for v in page.annotations]
    cursor = page.cursor
    if die == "polled":
        os.kill(os.getpid(), signal.SIGKILL)
print(json.dumps(votes))
"""


def run_script(folder: Path, die: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), die],
        env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.slow
def test_neither_the_hash_seed_nor_kill_9_changes_an_answer(tmp_path: Path) -> None:
    plain = run_script(tmp_path / "plain", "never")
    assert plain.returncode == 0, plain.stderr
    expected = json.loads(plain.stdout)
    assert len(expected) == 120
    assert json.loads(run_script(tmp_path / "hash", "never", "4242").stdout) == expected
    for die in ("inside", "after", "polled"):
        assert run_script(tmp_path / die, die).returncode == -signal.SIGKILL
        again = run_script(tmp_path / die, "never")
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout) == expected, die


# -------------------------------------------------------------------------------------------- virtual time


def test_answers_arrive_over_ticks_and_pages_are_bounded(open_backend: Make, make_task: Make) -> None:
    backend = open_backend(**one_kind(count=3, latency=2.0))
    tasks = many(make_task, 1300)
    backend.publish(tasks)
    cursor, sizes, keys = None, [], []
    while (page := backend.poll(cursor)).annotations:
        sizes.append(len(page.annotations))
        keys += [vote.key for vote in page.annotations]
        cursor = page.cursor
    assert max(sizes) <= 500
    assert len(sizes) > 5, "later answers need more polls"
    assert sorted(keys) == sorted(task.key for task in tasks)
    backend.close()


def test_without_latency_one_tick_brings_everything(open_backend: Make, make_task: Make) -> None:
    backend = open_backend(teacher="oracle")
    backend.publish(many(make_task, 700))
    first = backend.poll(None)
    second = backend.poll(first.cursor)
    assert (len(first.annotations), first.more) == (500, True)
    assert (len(second.annotations), second.more) == (200, False)
    assert backend.poll(second.cursor).annotations == ()
    backend.close()


def test_publishing_again_moves_no_answer(open_backend: Make, make_task: Make) -> None:
    backend = open_backend(teacher="oracle")
    backend.publish([make_task(0), make_task(0)])
    backend.publish([make_task(0)])
    page = backend.poll(None)
    assert (len(page.annotations), page.cursor) == (1, "1")
    backend.close()


def test_new_tasks_never_arrive_behind_a_cursor(open_backend: Make, make_task: Make, read_all: Make) -> None:
    backend = open_backend(**one_kind(count=3, latency=1.0))
    cursor, seen = None, set()
    for step in range(30):
        backend.publish([make_task(i) for i in range(step * 10, step * 10 + 10)])
        page = backend.poll(cursor)
        cursor = page.cursor
        seen |= {vote.key for vote in page.annotations}
    seen |= set(read_all(backend, cursor))
    assert len(seen) == 300
    assert set(read_all(backend)) == seen
    backend.close()


def test_cancel_withdraws_what_has_not_arrived(open_backend: Make, make_task: Make, read_all: Make) -> None:
    backend = open_backend(**one_kind(count=3, latency=2.0))
    tasks = many(make_task, 100)
    backend.publish(tasks)
    page = backend.poll(None)
    arrived = {vote.key for vote in page.annotations}
    assert 0 < len(arrived) < 100
    withdrawn = set(backend.cancel([task.key for task in tasks]))
    assert withdrawn == {task.key for task in tasks} - arrived
    assert backend.poll(None) == page, "what arrived stays"
    assert read_all(backend, page.cursor) == {}
    assert set(backend.cancel(sorted(withdrawn))) == withdrawn, "confirmed again after a crash"
    backend.close()


def test_tasks_that_nobody_answers_can_be_withdrawn(open_backend: Make, make_task: Make, read_all: Make) -> None:
    backend = open_backend(**one_kind(no_answer=0.3))
    tasks = many(make_task, 400)
    backend.publish(tasks)
    silent = {task.key for task in tasks} - set(read_all(backend))
    assert len(silent) == pytest.approx(120, abs=37)
    assert set(backend.cancel([task.key for task in tasks])) == silent
    backend.close()


@pytest.mark.parametrize("cursor", ["x", "1+", "-1", "1+x", "²", "1.0", "'; drop table task"])
def test_a_foreign_cursor_is_refused(open_backend: Make, cursor: str) -> None:
    backend = open_backend(teacher="oracle")
    with pytest.raises(BackendRejected, match="not a cursor"):
        backend.poll(cursor)
    backend.close()


# ------------------------------------------------------------------------------------ annotations, refusals


def test_annotations_carry_cost_seconds_and_the_kind(open_backend: Make, make_task: Make, read_all: Make) -> None:
    backend = open_backend(
        pool=(
            AnnotatorOptions(
                name="paid", teacher="oracle", cost=2.5, seconds_fixed=10, seconds_per_word=0, reasons=True
            ),
            AnnotatorOptions(name="slow", teacher="oracle", seconds_fixed=0, seconds_per_word=1.0),
        )
    )
    backend.publish(many(make_task, 400))
    votes = list(read_all(backend).values())
    paid = [vote for vote in votes if vote.annotator == "paid-1"]
    slow = [vote for vote in votes if vote.annotator == "slow-2"]
    assert {vote.kind for vote in votes} == {AnnotatorKind.SIMULATED}
    assert {vote.revision for vote in votes} == {"1"}
    assert {vote.cost for vote in paid} == {2.5}
    assert {vote.cost for vote in slow} == {0.1}
    assert all(vote.reason for vote in paid)
    assert not any(vote.reason for vote in slow)
    # The median of a log-normal factor is 1; "Which one?" and twice "some words gold=…" are 8 words.
    assert sorted(vote.seconds for vote in paid)[len(paid) // 2] == pytest.approx(10, rel=0.15)
    assert sorted(vote.seconds for vote in slow)[len(slow) // 2] == pytest.approx(8, rel=0.15)
    backend.close()


@pytest.mark.parametrize(("value", "rating"), [(True, 1), (False, 5), (3, 3), (1.9, 2), ("odd", 5), (None, 5), (9, 5)])
def test_prompts_are_rated_by_their_metadata(
    open_backend: Make, make_task: Make, read_all: Make, value: Any, rating: int
) -> None:
    backend = open_backend(teacher="oracle", prompt_rating_key="bad")
    task = make_task(0, prompt_metadata={} if value is None else {"bad": value})
    backend.publish([task])
    assert read_all(backend)[task.key].prompt_rating == rating
    backend.close()


def test_prompts_are_not_rated_unless_asked(open_backend: Make, make_task: Make, read_all: Make) -> None:
    backend = open_backend(teacher="oracle")
    backend.publish([make_task(0, prompt_metadata={"bad": True})])
    assert [vote.prompt_rating for vote in read_all(backend).values()] == [None]
    backend.close()


def test_anchored_annotators_copy_shown_prelabels_only(open_backend: Make, make_task: Make, read_all: Make) -> None:
    wrong = Prelabel(Choice.RIGHT, 0.1, "model", shown=True)
    backend = open_backend(**one_kind(anchoring=0.4))
    shown = [make_task(i, left=2, right=1, prelabel=wrong) for i in range(500)]
    hidden = [make_task(i, left=2, right=1, prelabel=replace(wrong, shown=False)) for i in range(500, 1000)]
    backend.publish(shown + hidden)
    votes = read_all(backend)
    copied = sum(votes[task.key].choice is Choice.RIGHT for task in shown)
    assert copied == pytest.approx(200, abs=44)
    assert {votes[task.key].choice for task in hidden} == {Choice.LEFT}
    assert {votes[task.key].prelabel_shown for task in shown} == {True}
    assert {votes[task.key].prelabel_shown for task in hidden} == {False}
    backend.close()


def test_a_replica_beyond_the_pool_is_refused(open_backend: Make, make_task: Make, read_all: Make) -> None:
    backend = open_backend(teacher="oracle", annotators=2)
    tasks = [make_task(0, replica=replica) for replica in range(3)]
    published = backend.publish(tasks)
    assert published.refused == {tasks[2].key: "all 2 simulated annotators were asked about this pair"}
    assert len({vote.annotator for vote in read_all(backend).values()}) == 2
    backend.close()


def test_gold_scores_can_come_with_the_responses(make_context: Make, make_task: Make, read_all: Make) -> None:
    backend = SimulatedBackend(SimulatedOptions(teacher="oracle", gold="metadata"), make_context(gold=None))
    good = make_task(0, "same", "same?", left_metadata={"gold": 0.1}, right_metadata={"gold": 2})
    bad = [
        make_task(1 + i, left_metadata={"gold": 1}, right_metadata=metadata)
        for i, metadata in enumerate([{}, {"gold": "1"}, {"gold": True}, {"gold": float("nan")}])
    ]
    published = backend.publish([good, *bad])
    assert list(published.remote_ids) == [good.key]
    assert set(published.refused.values()) == {"the right response has no number 'gold' in its metadata"}
    assert read_all(backend)[good.key].choice is Choice.RIGHT
    backend.close()


def test_a_missing_gold_scorer_names_the_key(make_context: Make) -> None:
    with pytest.raises(ConfigError, match=r"backend\.gold"):
        SimulatedBackend(SimulatedOptions(), make_context(gold=None))
    with pytest.raises(ConfigError, match="myopia"):
        SimulatedBackend(SimulatedOptions(teacher="myopic", gold="metadata"), make_context())


def test_a_gold_score_that_is_no_number_is_the_scorers_fault(open_backend: Make, make_task: Make) -> None:
    backend = open_backend(teacher="oracle")
    with pytest.raises(ContractViolation, match="nan"):
        backend.publish([make_task(0, left="gold=nan")])
    assert backend.lookup([make_task(0).key]) == {}
    backend.close()


def test_every_response_is_scored_once_a_call(open_backend: Make, make_task: Make, gold: Any) -> None:
    backend = open_backend(teacher="oracle")
    backend.publish([make_task(0, replica=replica) for replica in range(4)])
    assert gold.calls == 2
    backend.close()


def test_conversations_are_read_too(open_backend: Make, make_task: Make, read_all: Make) -> None:
    backend = open_backend(teacher="oracle")
    backend.publish([make_task(0, prompt=(Message("user", "a question"), Message("assistant", "an answer")))])
    assert len(read_all(backend)) == 1
    backend.close()


# ------------------------------------------------------------------------------------- files and options


def test_a_broken_file_is_named(make_context: Make, tmp_path: Path) -> None:
    context = make_context()
    (context.folder / "simulated.db").write_bytes(b"this is no database, it only looks like a file" * 50)
    with pytest.raises(CorruptionDetected, match=r"simulated\.db"):
        SimulatedBackend(SimulatedOptions(), context)


def test_a_folder_that_cannot_be_written_is_named(make_context: Make, tmp_path: Path) -> None:
    context = replace(make_context(), folder=tmp_path / "missing")
    with pytest.raises(StorageFull, match="missing"):
        SimulatedBackend(SimulatedOptions(), context)


def test_the_files_settings_are_durable(open_backend: Make, make_context: Make) -> None:
    backend = open_backend(teacher="oracle")
    with sqlite3.connect(make_context().folder / "simulated.db") as other:
        assert other.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    other.close()
    backend.close()


def test_options_as_they_stand_in_a_config_file() -> None:
    text = """
        teacher = "crowd"
        scale = 2.5
        [[pool]]
        count = 5
        ability = 2.0
        [[pool]]
        name = "bot"
        teacher = "spammer"
        behaviour = "longer"
        ability = inf
    """
    options = SimulatedOptions(**tomllib.loads(text))
    good, bot = options.kinds()
    assert (good.count, good.ability, good.teacher) == (5, 2.0, None)
    assert (bot.name, bot.behaviour, bot.seconds_fixed) == ("bot", "longer", 2.0)
    assert options.scale == 2.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"teacher": "nosy"},
        {"unknown": 1},
        {"scale": 0},
        {"scale": float("nan")},
        {"pool": [{"ability": -1}]},
        {"pool": [{"ability": float("nan")}]},
        {"pool": [{"mistake": 1.5}]},
        {"pool": [{"count": 0}]},
        {"pool": [{"position_bias": float("inf")}]},
        {"pool": [{"typo": 1}]},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SimulatedOptions(**wrong)


def test_the_options_have_a_json_schema() -> None:
    assert json.dumps(SimulatedOptions.model_json_schema(), allow_nan=False)


def test_the_spec_opens_the_backend_without_options(make_context: Make) -> None:
    (spec,) = pairloop_backends()
    backend = spec.factory(None, make_context())
    assert (spec.name, backend.name, spec.options) == ("simulated", "simulated", SimulatedOptions)
    assert backend.capabilities.idempotent_publish
    backend.close()
