"""Adopting the tasks of a team: linked by number, read, and otherwise left exactly as they are."""

import copy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.studio import Studio, question

from pairloop.campaign import Campaign
from pairloop.cli.app import cli
from pairloop.protocols import FixesSides
from pairloop.records import Choice, Prelabel, Task
from pairloop.steps.base import Waiting
from pairloop_plugins.label_studio.backend import LabelStudioBackend
from pairloop_plugins.label_studio.options import LabelStudioOptions

CONFIG = (
    '<View><Header value="$title"/><Text name="q" value="$question"/>'
    '<Text name="r1" value="$answer1"/><Text name="r2" value="$answer2"/>'
    '<Choices name="verdict" toName="q"><Choice value="Answer 1"/><Choice value="Same"/><Choice value="Answer 2"/>'
    "</Choices></View>"
)
MAPPING = {
    "preference": "verdict", "to_name": "q", "prompt": "question", "left": "answer1", "right": "answer2",
    "choices": {"Answer 1": "left", "Same": "tie", "Answer 2": "right"}, "rating": "", "reason": "",
}  # fmt: skip
WORDS = (
    "river", "stone", "cloud", "maple", "tiger", "window", "copper", "garden",
    "violin", "harbor", "pepper", "candle", "meadow", "rocket", "saddle",
)  # fmt: skip


class Team:
    """A project of theirs, with tasks and answers."""

    def __init__(self, studio: Studio, n: int) -> None:
        self.studio = studio
        made = studio._ok(studio.http.post("/api/projects/", json={"title": "Theirs", "label_config": CONFIG}))
        self.project = int(made["id"])
        tasks = [
            {
                "data": {
                    "title": "t",
                    "question": f"What of {a} and {b}?",
                    "answer1": f"{a} {i}",
                    "answer2": f"{b} {b} {i}",
                }
            }
            for i, (a, b) in enumerate(zip(WORDS * 4, (WORDS[4:] + WORDS[:4]) * 4, strict=True))
        ]
        path = f"/api/projects/{self.project}/import"
        sent = studio.http.post(path, params={"return_task_ids": "true"}, json=tasks[:n])
        self.ids: list[int] = studio._ok(sent)["task_ids"]

    def answer(self, task: int, value: str, **fields: Any) -> dict[str, Any]:
        region = {"from_name": "verdict", "to_name": "q", "type": "choices", "value": {"choices": [value]}}
        sent = {"result": [region], "lead_time": 3.0, **fields}
        made: dict[str, Any] = self.studio._ok(self.studio.http.post(f"/api/tasks/{task}/annotations/", json=sent))
        return made

    def options(self, **more: Any) -> LabelStudioOptions:
        return LabelStudioOptions(
            **{"url": self.studio.url, "project": self.project, "mapping": MAPPING, "adopt": "unlabelled", **more}
        )

    def task(self, index: int, *, mirrored: bool = False, round_: int = 1, **more: Any) -> Task:
        """A question of the campaign about one of their tasks."""
        data = self.studio.task(self.ids[index])["data"]
        left, right = (data["answer2"], data["answer1"]) if mirrored else (data["answer1"], data["answer2"])
        made = question(index, round_=round_, **more)
        return Task(
            made.key, made.round, 0, made.pair_id, data["question"], left, right, rank=index, prelabel=made.prelabel
        )


@pytest.fixture
def team(studio: Studio) -> Team:
    return Team(studio, 6)


def writes(studio: Studio) -> set[str]:
    assert studio.fake is not None
    return {call for call in studio.fake.calls if not call.startswith("GET")}


def test_a_question_is_linked_to_its_task_and_nothing_is_written(fake: Studio, team: Team, tmp_path: Path) -> None:
    before = copy.deepcopy(fake.tasks(team.project))
    settings = fake.project(team.project)
    backend = fake.backend(tmp_path, team.options())
    assert fake.fake is not None
    fake.fake.calls.clear()
    tasks = [team.task(0), team.task(3)]
    assert backend.publish(tasks).remote_ids == {tasks[0].key: str(team.ids[0]), tasks[1].key: str(team.ids[3])}
    assert backend.publish(tasks).remote_ids == backend.lookup([task.key for task in tasks])
    assert list(backend.poll(None).annotations) == []
    assert list(backend.cancel([task.key for task in tasks])) == []
    assert not backend.capabilities.cancel
    assert writes(fake) == set()
    assert fake.tasks(team.project) == before
    assert fake.project(team.project) == settings


def test_answers_before_and_after_linking_are_votes_once(studio: Studio, team: Team, tmp_path: Path) -> None:
    """An answer that is older than the pull's overlap is read, too."""
    team.answer(team.ids[1], "Answer 2")
    team.answer(team.ids[2], "Same")
    backend = studio.backend(tmp_path, team.options(adopt="all", overlap=0))
    asked = [team.task(0), team.task(1)]
    assert list(backend.poll(None).annotations) == []
    backend.publish(asked)
    first = backend.poll(None)
    assert [(vote.key, vote.choice) for vote in first.annotations] == [(asked[1].key, Choice.RIGHT)]
    team.answer(team.ids[0], "Answer 1")
    later = backend.poll(first.cursor)
    assert [(vote.key, vote.choice) for vote in later.annotations] == [(asked[0].key, Choice.LEFT)]
    assert list(backend.poll(later.cursor).annotations) == []


def test_sides_are_those_of_the_task(studio: Studio, team: Team, tmp_path: Path) -> None:
    backend = studio.backend(tmp_path, team.options())
    assert isinstance(backend, FixesSides)
    shown, turned = team.task(0), team.task(1, mirrored=True)
    questions = [(t.prompt, t.left, t.right) for t in (shown, turned)]
    assert backend.sides([*questions, ("Something else", "a", "b")]) == [False, True, None]
    refused = backend.publish([turned]).refused
    assert "no task with these texts" in refused[turned.key]


def test_a_task_carries_one_question(studio: Studio, team: Team, tmp_path: Path) -> None:
    backend = studio.backend(tmp_path, team.options())
    first, again = team.task(0), team.task(0, round_=2)
    assert backend.publish([first]).refused == {}
    assert "no copy of a task of yours" in backend.publish([again]).refused[again.key]


def test_unlabelled_leaves_answered_tasks_alone(studio: Studio, team: Team, tmp_path: Path) -> None:
    team.answer(team.ids[1], "Answer 2")
    backend = studio.backend(tmp_path, team.options())
    answered = team.task(1)
    assert answered.key in backend.publish([answered]).refused


def test_predictions_only_by_consent(fake: Studio, team: Team, tmp_path: Path) -> None:
    guess = Prelabel(Choice.LEFT, 0.8, "a" * 64)
    silent = fake.backend(tmp_path / "silent", team.options())
    assert not silent.capabilities.prelabels
    agreed = fake.backend(tmp_path / "agreed", team.options(adopt_order=["predictions"]))
    assert agreed.capabilities.prelabels
    settings = {**fake.project(team.project)}
    agreed.publish([team.task(0, prelabel=guess), team.task(4, prelabel=guess)])
    predicted = {task["id"]: task["predictions"] for task in fake.tasks(team.project) if task["predictions"]}
    assert set(predicted) == {team.ids[0], team.ids[4]}
    assert predicted[team.ids[0]][0]["score"] < predicted[team.ids[4]][0]["score"]
    assert predicted[team.ids[0]][0]["result"] == []
    after = fake.project(team.project)
    assert {k: v for k, v in after.items() if k != "model_version"} == {
        k: v for k, v in settings.items() if k != "model_version"
    }
    assert not any(call.startswith("PATCH") for call in writes(fake))


def test_an_edited_task_is_not_read(studio: Studio, team: Team, tmp_path: Path) -> None:
    backend = studio.backend(tmp_path, team.options())
    task = team.task(0)
    backend.publish([task])
    data = {**studio.task(team.ids[0])["data"], "answer1": "something else"}
    studio._ok(studio.http.patch(f"/api/tasks/{team.ids[0]}/", json={"data": data}))
    team.answer(team.ids[0], "Answer 1")
    page = backend.poll(None)
    assert list(page.annotations) == []
    assert "edited on the server" in page.refused[0].problems[0]


def test_a_deleted_task_is_gone(studio: Studio, team: Team, tmp_path: Path) -> None:
    backend: LabelStudioBackend = studio.backend(tmp_path, team.options(sweep_minutes=0))
    task = team.task(0)
    backend.publish([task])
    studio.delete_task(team.ids[0])
    assert backend.poll(None).gone == (task.key,)


def test_a_campaign_on_a_project_of_theirs(studio: Studio, tmp_path: Path) -> None:
    """init asks for consent by name; round 1 is what people answered already; nothing is imported or changed."""
    team = Team(studio, 40)
    given = {index: ("Answer 1", "Answer 2", "Same")[index % 3] for index in range(20)}
    for index, value in given.items():
        team.answer(team.ids[index], value)
    before = {task["id"]: task for task in copy.deepcopy(studio.tasks(team.project))}
    folder = tmp_path / "camp"
    made = CliRunner().invoke(
        cli,
        ["init", str(folder), "--backend", "label-studio", "--project", str(team.project), "--yes",
         "--set", f"url={studio.url}", "--set", "adopt=all"],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    config = folder / "campaign.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("size = 50", "size = 6"), encoding="utf-8")
    with Campaign(folder) as campaign:
        assert isinstance(campaign.run(), Waiting)
        votes = campaign.store.annotations.votes()
        rounds = {a.round: a.strategy for a in campaign.store.rounds.assignments() if a.strategy == "held"}
        asked = [a for a in campaign.store.rounds.assignments() if a.round == 2]
        assert set(rounds) == {1}
        assert 10 <= len(votes) <= 20, "those of holdout groups wait until they are drawn"
        assert {a.cost for a in campaign.store.rounds.assignments() if a.round == 1} == {0.0}
        new = [int(a.remote_id) for a in asked if a.remote_id is not None and team.ids.index(int(a.remote_id)) >= 20]
        for task in new:
            team.answer(task, "Answer 2")
        campaign.run(until=lambda outcome: isinstance(outcome, Waiting))
        votes = campaign.store.annotations.votes()
        texts = {response.id: response.text for response in campaign.store.pool.responses()}
        remote = {a.key: int(a.remote_id) for a in campaign.store.rounds.assignments() if a.remote_id is not None}
    expected = {"Answer 1": Choice.LEFT, "Same": Choice.TIE, "Answer 2": Choice.RIGHT}
    for vote in votes:
        task = before[remote[vote.key]]
        assert (texts[vote.left], texts[vote.right]) == (task["data"]["answer1"], task["data"]["answer2"])
        assert vote.choice is expected[given.get(team.ids.index(task["id"]), "Answer 2")]
    assert {remote[vote.key] for vote in votes} >= set(new)
    after = {task["id"]: task for task in studio.tasks(team.project)}
    assert set(after) == set(before)
    for number, task in after.items():
        if number not in new:
            assert task == before[number]
