"""Questions become tasks, each once: doubt, patience, refusals, Enterprise, withdrawal."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.fake_label_studio import FakeLabelStudio, serving
from support.fault_proxy import Fault, FaultProxy, proxying
from support.studio import CANARY, Studio, question

from pairloop.errors import BackendRejected, BackendUnavailable, ConfigError
from pairloop.kit import clock
from pairloop.protocols import BackendContext
from pairloop.records import Choice, Message, Prelabel
from pairloop_plugins.label_studio import push
from pairloop_plugins.label_studio.backend import LabelStudioBackend
from pairloop_plugins.label_studio.options import LabelStudioOptions

IMPORT = r"POST /api/projects/\d+/import(\?|$)"
START = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def proxy(studio: Studio) -> Iterator[FaultProxy]:
    with proxying(studio.url) as made:
        yield made


def imports(proxy: FaultProxy) -> int:
    return sum(re.search(IMPORT, call) is not None for call, _ in proxy.forwarded)


def test_nothing_is_sent_again_while_the_server_may_still_be_at_it(
    studio: Studio, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Also by a new process; afterwards it is sent again, once."""
    options = studio.options(url=proxy.url, late_commit=90)
    tasks = [question(index) for index in range(3)]
    proxy.faults = [Fault(IMPORT, "late")]
    now = START
    clock.set_clock(lambda: now)
    try:
        with pytest.raises(BackendUnavailable, match="504") as doubt:
            studio.backend(tmp_path, options).publish(tasks)
        assert "again in 90 seconds" in str(doubt.value.hint)
        for seconds in (0, 45, 89):
            now = START + timedelta(seconds=seconds)
            with pytest.raises(BackendUnavailable, match="no clear answer"):
                studio.backend(tmp_path, options).publish(tasks)
        assert imports(proxy) == 0
        now = START + timedelta(seconds=91)
        assert len(studio.backend(tmp_path, options).publish(tasks).remote_ids) == 3
        assert imports(proxy) == 1
    finally:
        clock.set_clock(None)


def test_a_late_commit_within_the_patience_is_found(studio: Studio, proxy: FaultProxy, tmp_path: Path) -> None:
    options = studio.options(url=proxy.url)
    tasks = [question(index) for index in range(3)]
    proxy.faults = [Fault(IMPORT, "late")]
    with pytest.raises(BackendUnavailable):
        studio.backend(tmp_path, options).publish(tasks)
    proxy.release()
    assert len(studio.backend(tmp_path, options).publish(tasks).remote_ids) == 3
    assert len(studio.tasks(options.project)) == 3


@pytest.mark.parametrize("fate", ["reset", "busy"])
def test_what_certainly_did_nothing_needs_no_patience(
    studio: Studio, proxy: FaultProxy, tmp_path: Path, fate: str
) -> None:
    """A refusal of the connection, and a server that asks to wait. (A reset is doubtful: bytes were on their way.)"""
    options = studio.options(url=proxy.url, late_commit=0 if fate == "reset" else 900)
    proxy.faults = [Fault(IMPORT, fate)]
    backend = studio.backend(tmp_path, options)
    with pytest.raises(BackendUnavailable):
        backend.publish([question(0)])
    assert len(backend.publish([question(0)]).remote_ids) == 1


def test_a_server_that_is_not_there(studio: Studio, tmp_path: Path) -> None:
    options = studio.options(url="http://127.0.0.1:9", late_commit=900)
    backend = studio.backend(tmp_path, options)
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="cannot be asked"):
            backend.publish([question(0)])


def test_the_same_questions_from_another_ledger_make_no_new_tasks(studio: Studio, tmp_path: Path) -> None:
    options = studio.options()
    tasks = [question(index) for index in range(4)]
    first = studio.backend(tmp_path / "one", options).publish(tasks).remote_ids
    assert studio.backend(tmp_path / "two", options).publish(tasks).remote_ids == first
    assert len(studio.tasks(options.project)) == 4


def test_many_keys_are_looked_up_in_parts(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "IN_LIST", 3)
    options = studio.options()
    tasks = [question(index) for index in range(8)]
    ids = studio.backend(tmp_path / "one", options).publish(tasks).remote_ids
    assert dict(studio.backend(tmp_path / "two", options).lookup([task.key for task in tasks])) == ids


def test_one_bad_task_is_named_and_the_others_are_asked(studio: Studio, tmp_path: Path) -> None:
    """A labeling config may want a field that our tasks lack."""
    options = studio.options()
    backend = studio.backend(tmp_path, options)
    tasks = [question(index) for index in range(5)]
    import_tasks = backend._api.import_tasks
    backend._api.import_tasks = lambda sent: import_tasks(  # type: ignore[method-assign]
        [{**one, "data": {**one["data"], "left": None}} if one["data"]["prompt"] == "Prompt 3" else one for one in sent]
    )
    published = backend.publish(tasks)
    assert sorted(published.remote_ids) == sorted(task.key for task in tasks if task.prompt != "Prompt 3")
    assert list(published.refused) == [tasks[3].key]
    assert "left" in published.refused[tasks[3].key]


def test_ids_in_another_order_are_noticed(fake: Studio, tmp_path: Path) -> None:
    options = fake.options()
    backend = fake.backend(tmp_path, options)
    import_tasks = backend._api.import_tasks
    backend._api.import_tasks = lambda sent: {"task_ids": import_tasks(sent)["task_ids"][::-1]}  # type: ignore[method-assign]
    tasks = [question(index) for index in range(4)]
    for key, task in backend.publish(tasks).remote_ids.items():
        assert fake.task(task)["data"]["pairloop_key"] == key


def test_large_tasks_go_in_several_imports(studio: Studio, proxy: FaultProxy, tmp_path: Path) -> None:
    options = studio.options(url=proxy.url)
    tasks = [replace(question(index), left="x" * 2_000_000) for index in range(5)]
    assert len(studio.backend(tmp_path, options).publish(tasks).remote_ids) == 5
    assert imports(proxy) == 3
    assert max(len(body) for _, body in proxy.forwarded) < 6 << 20


def test_left_and_right_are_ours(studio: Studio, tmp_path: Path) -> None:
    options = studio.options()
    [task] = studio.backend(tmp_path, options).publish([question(7)]).remote_ids.values()
    data = studio.task(task)["data"]
    assert (data["prompt"], data["left"], data["right"]) == ("Prompt 7", "left of 7", "right of 7")
    assert all(isinstance(value, str) for value in data.values())


def test_turns_of_a_conversation_are_readable(studio: Studio, tmp_path: Path) -> None:
    options = studio.options()
    prompt = (Message("user", "Hello"), Message("assistant", "Hi\nthere"), Message("user", "Bye"))
    [task] = studio.backend(tmp_path, options).publish([replace(question(0), prompt=prompt)]).remote_ids.values()
    assert studio.task(task)["data"]["prompt"] == "[user]\nHello\n\n[assistant]\nHi\nthere\n\n[user]\nBye"


def test_markdown_loads_nothing(studio: Studio, tmp_path: Path) -> None:
    options = studio.options(markdown=True)
    text = '![x](http://e.example/i.png) <img src="http://e.example/j.png"> <script>x</script> &lt;img src=z&gt; **b**'
    task = replace(question(0), left=text)
    [number] = studio.backend(tmp_path, options).publish([task]).remote_ids.values()
    shown = studio.task(number)["data"]["left"]
    assert not re.search(r"!\[|<\w|<!|</|&\w+;", shown)
    assert shown.replace("\u200b", "") == text


@pytest.fixture
def enterprise(monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A fake made of Enterprise's documented shapes: nothing here was tried on a real one."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", CANARY)
    with serving(FakeLabelStudio(CANARY, enterprise=True)) as fake:
        yield Studio(fake.url, CANARY, fake)


def test_enterprise_imports_are_waited_for(enterprise: Studio, tmp_path: Path) -> None:
    options = enterprise.options()
    tasks = [question(index) for index in range(3)]
    published = enterprise.backend(tmp_path, options).publish(tasks)
    assert len(published.remote_ids) == 3
    assert enterprise.fake is not None
    assert [job["polls"] for job in enterprise.fake.jobs.values()] == [3]


def test_an_enterprise_import_that_goes_on_and_on(enterprise: Studio, tmp_path: Path) -> None:
    """It is left for the next call, which looks before it sends."""
    options = enterprise.options()
    fake = enterprise.fake
    assert fake is not None
    fake._import_state = lambda *_args, **_: (200, {"status": "in_progress"})  # type: ignore[method-assign]
    with pytest.raises(BackendUnavailable, match="still going on"):
        enterprise.backend(tmp_path, options).publish([question(0)])
    assert len(enterprise.backend(tmp_path, options).publish([question(0)]).remote_ids) == 1
    assert len(enterprise.tasks(options.project)) == 1


def test_an_enterprise_import_that_fails(enterprise: Studio, tmp_path: Path) -> None:
    options = enterprise.options()
    fake = enterprise.fake
    assert fake is not None
    fake._import_state = lambda *_args, **_: (200, {"status": "failed", "error": "row 3"})  # type: ignore[method-assign]
    with pytest.raises(BackendRejected, match="row 3"):
        enterprise.backend(tmp_path, options).publish([question(0)])


# ---------------------------------------------------------------------------------------------- withdrawal


def test_withdrawing_leaves_what_anybody_worked_on(studio: Studio, tmp_path: Path) -> None:
    options = studio.options()
    backend = studio.backend(tmp_path, options)
    tasks = [question(index) for index in range(5)]
    ids = backend.publish(tasks).remote_ids
    studio.vote(ids[tasks[0].key], Choice.LEFT)
    studio.vote(ids[tasks[1].key], Choice.SKIP)
    studio._ok(studio.http.post(f"/api/tasks/{ids[tasks[2].key]}/drafts", json={"result": []}))
    confirmed = backend.cancel([task.key for task in tasks])
    assert sorted(confirmed) == sorted([tasks[3].key, tasks[4].key])
    assert {task["id"] for task in studio.tasks(options.project)} == {int(ids[task.key]) for task in tasks[:3]}
    assert sorted(backend.cancel([task.key for task in tasks])) == sorted(confirmed), "the same answer again"


def test_a_project_must_be_named(studio: Studio, tmp_path: Path) -> None:
    backend = studio.backend(tmp_path, LabelStudioOptions(url=studio.url))
    with pytest.raises(ConfigError, match="no project"):
        backend.publish([question(0)])


def test_a_rehearsal_writes_nothing(studio: Studio, tmp_path: Path) -> None:
    """It says what it would: pushes, settings, and the copies that a sweep would delete."""
    options = studio.options(sweep_minutes=0)
    backend = studio.backend(tmp_path, options)
    ids = backend.publish([question(index) for index in range(3)]).remote_ids
    backend.poll(None)
    copy = studio.copy(options.project, next(iter(ids.values())))
    backend.poll(None)
    backend.close()
    rehearsed = studio.backend(tmp_path, options, rehearsal=True)
    rehearsed.poll(None)
    guess = Prelabel(Choice.LEFT, 0.9, "m" * 64)
    said = rehearsed.writes([question(index, prelabel=guess, round_=2) for index in range(5)])
    assert f"POST 5 tasks to project {options.project}, 5 of them with a prediction" in said
    assert any(
        f"PATCH project {options.project}" in each and "show_collab_predictions = False" in each for each in said
    )
    assert any(f"DELETE task {copy}" in each for each in said)
    assert len(studio.tasks(options.project)) == 4


def test_replicas_are_tasks_of_their_own(studio: Studio, tmp_path: Path) -> None:
    """Community cannot ask several people about single tasks, and the capabilities say so."""
    backend: LabelStudioBackend = studio.backend(tmp_path, studio.options())
    assert not backend.capabilities.assigns_annotators
    ids = backend.publish([question(0), question(0, replica=1)]).remote_ids
    assert len(set(ids.values())) == 2


def test_the_ledger_says_what_campaign_it_is_of(studio: Studio, tmp_path: Path) -> None:
    """Two campaigns in one project do not see each other's tasks."""
    options = studio.options()
    one = studio.backend(tmp_path / "one", options, campaign="one")
    two = LabelStudioBackend(options, BackendContext(tmp_path, "two", 0))
    ids = one.publish([question(0)]).remote_ids
    studio.vote(ids[question(0).key], Choice.LEFT)
    assert not two.lookup([question(0).key])
    assert not two.poll(None).annotations
    assert len(one.poll(None).annotations) == 1
