"""Annotations become votes, however people work, and whatever happens to tasks, project and config."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.studio import Studio, compare, question, said

from pairloop.errors import BackendError, BackendRejected
from pairloop.kit import clock
from pairloop.records import Annotation, Choice, Prelabel
from pairloop_plugins.label_studio.backend import LabelStudioBackend
from pairloop_plugins.label_studio.labeling import own_config
from pairloop_plugins.label_studio.options import LabelStudioOptions


class Asked:
    """A project with a few questions of ours, and what polls bring."""

    def __init__(self, studio: Studio, folder: Path, n: int = 3, **changes: object) -> None:
        self.studio, self.folder = studio, folder
        self.options: LabelStudioOptions = studio.options(**changes)
        self.tasks = [question(index) for index in range(n)]
        self.backend: LabelStudioBackend = studio.backend(folder, self.options)
        self.ids = dict(self.backend.publish(self.tasks).remote_ids)
        self.cursor: str | None = None

    def id(self, index: int) -> str:
        return self.ids[self.tasks[index].key]

    def new(self) -> list[Annotation]:
        """What the next polls bring."""
        found: list[Annotation] = []
        while True:
            page = self.backend.poll(self.cursor)
            found += page.annotations
            self.cursor, self.refused, self.gone = page.cursor, page.refused, page.gone
            if not page.more:
                return found


@pytest.fixture
def asked(studio: Studio, tmp_path: Path) -> Callable[..., Asked]:
    return lambda n=3, **changes: Asked(studio, tmp_path / "ledger", n, **changes)


def test_edits_supersede_also_back_to_an_earlier_answer(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked()
    made = studio.vote(here.id(0), Choice.LEFT)
    first = here.new()
    studio.edit(made["id"], Choice.RIGHT)
    second = here.new()
    studio.edit(made["id"], Choice.LEFT)
    third = here.new()
    assert [vote.choice for vote in (*first, *second, *third)] == [Choice.LEFT, Choice.RIGHT, Choice.LEFT]
    assert len({vote.remote_id for vote in (*first, *second, *third)}) == 1
    assert len({vote.revision for vote in (*first, *second, *third)}) == 3


def test_what_did_not_change_is_not_reported_again(asked: Callable[..., Asked], studio: Studio) -> None:
    """Overlapping reads, new predictions and the mark of ground truth move a task, and say nothing new."""
    here = asked()
    made = studio.vote(here.id(0), Choice.TIE)
    assert len(here.new()) == 1
    studio._ok(studio.http.patch(f"/api/annotations/{made['id']}/", json={"ground_truth": True}))
    here.backend.renew({here.tasks[1].key: Prelabel(Choice.LEFT, 0.9, "c" * 64)})
    assert here.new() == []


def test_a_deleted_answer_is_retracted_and_its_id_may_come_again(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked()
    made = studio.vote(here.id(0), Choice.LEFT)
    [given] = here.new()
    studio.take_back(made["id"])
    [retracted] = here.new()
    assert retracted.deleted
    assert (retracted.remote_id, retracted.key) == (given.remote_id, given.key)
    studio.vote(here.id(0), Choice.RIGHT)
    [again] = here.new()
    assert again.remote_id != given.remote_id
    assert (again.choice, again.deleted) == (Choice.RIGHT, False)


def test_absence_is_no_deletion(asked: Callable[..., Asked], fake: Studio) -> None:
    """A list that lacks an annotation which the server still knows retracts nothing."""
    here = asked()
    fake.vote(here.id(0), Choice.LEFT)
    here.new()
    assert fake.fake is not None
    shown = fake.fake._shown
    fake.fake._shown = lambda task, query: {**shown(task, query), "annotations": []}  # type: ignore[method-assign]
    assert here.new() == []
    fake.fake._shown = shown  # type: ignore[method-assign]
    assert here.new() == []


def test_skips_drafts_and_empty_answers(asked: Callable[..., Asked], studio: Studio) -> None:
    """A draft is no answer yet; one without a preference counts as a skip, since the task is shown to nobody again."""
    here = asked(4)
    studio.vote(here.id(0), Choice.SKIP)
    studio._ok(studio.http.post(f"/api/tasks/{here.id(1)}/drafts", json={"result": said(Choice.LEFT)}))
    rated = {"from_name": "prompt_rating", "to_name": "prompt", "type": "rating", "value": {"rating": 2}}
    studio.vote(here.id(2), Choice.LEFT, result=[rated])
    votes = {vote.key: vote for vote in here.new()}
    assert {key: vote.choice for key, vote in votes.items()} == {
        here.tasks[0].key: Choice.SKIP,
        here.tasks[2].key: Choice.SKIP,
    }
    assert votes[here.tasks[2].key].prompt_rating == 2


def test_rating_reason_and_seconds(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked()
    more = [
        {"from_name": "reason", "to_name": "prompt", "type": "textarea", "value": {"text": ["because", "of x"]}},
        {"from_name": "prompt_rating", "to_name": "prompt", "type": "rating", "value": {"rating": 5}},
    ]
    studio.vote(here.id(0), Choice.LEFT, result=[*more, *said(Choice.BOTH_BAD)], lead_time=61.25)
    [vote] = here.new()
    assert (vote.choice, vote.prompt_rating, vote.reason, vote.seconds) == (Choice.BOTH_BAD, 5, "because\nof x", 61.25)
    assert vote.annotator == "user-1"


def test_several_annotators_of_one_task(asked: Callable[..., Asked], fake: Studio) -> None:
    here = asked()
    assert fake.fake is not None
    for user, choice in ((1, Choice.LEFT), (2, Choice.RIGHT), (3, Choice.TIE)):
        fake.fake.annotate(int(here.id(0)), said(choice), user=user)
    votes = here.new()
    assert {vote.annotator: vote.choice for vote in votes} == {
        "user-1": Choice.LEFT, "user-2": Choice.RIGHT, "user-3": Choice.TIE,
    }  # fmt: skip
    assert len({vote.remote_id for vote in votes}) == 3


@pytest.mark.parametrize(("what", "n"), [("count", 1), ("ignore", 0)])
def test_ground_truth(asked: Callable[..., Asked], studio: Studio, what: str, n: int) -> None:
    here = asked(ground_truth=what)
    studio.vote(here.id(0), Choice.LEFT, ground_truth=True)
    assert len(here.new()) == n


def test_an_accepted_guess_is_flagged_though_guesses_are_hidden(asked: Callable[..., Asked], studio: Studio) -> None:
    """Somebody may have made predictions visible in Label Studio."""
    here = asked()
    result = [{**said(Choice.LEFT)[0], "origin": "prediction"}]
    studio.vote(here.id(0), Choice.LEFT, result=result)
    [vote] = here.new()
    assert vote.prelabel_shown


def test_an_answer_without_a_meaning_is_named_and_left_out(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked()
    odd = [{**said(Choice.LEFT)[0], "value": {"choices": ["maybe"]}}]
    made = studio.vote(here.id(0), Choice.LEFT, result=odd)
    studio.vote(here.id(1), Choice.LEFT)
    assert [vote.key for vote in here.new()] == [here.tasks[1].key]
    [refused] = here.refused
    assert refused.name == f"annotation {made['id']} of task {here.id(0)}"
    assert "maybe" in refused.problems[0]
    studio.edit(made["id"], Choice.RIGHT)
    assert [vote.choice for vote in here.new()] == [Choice.RIGHT]
    assert here.refused == ()


def test_answers_about_edited_texts_are_not_read(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked()
    data = studio.task(here.id(0))["data"]
    swapped = {**data, "left": data["right"], "right": data["left"]}
    studio._ok(studio.http.patch(f"/api/tasks/{here.id(0)}/", json={"data": swapped}))
    studio.vote(here.id(0), Choice.LEFT)
    assert here.new() == []
    assert "edited" in here.refused[0].problems[0]


def test_tasks_of_others_are_neither_read_nor_touched(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked()
    fields = {"prompt": "p", "left": "l", "right": "r"}
    theirs = [{"data": fields}, {"data": {**fields, "pairloop_key": here.tasks[0].key, "pairloop_campaign": "other"}}]
    made = studio._ok(
        studio.http.post(
            f"/api/projects/{here.options.project}/import", params={"return_task_ids": "true"}, json=theirs
        )
    )
    for task in made["task_ids"]:
        studio.vote(task, Choice.LEFT)
    before = [task for task in studio.tasks(here.options.project) if task["id"] in made["task_ids"]]
    assert here.new() == here.new() == []
    here.backend.cancel([task.key for task in here.tasks])
    after = [task for task in studio.tasks(here.options.project) if task["id"] in made["task_ids"]]
    assert [t["annotations"] for t in before] == [t["annotations"] for t in after]
    assert len(after) == 2


def test_a_deleted_task_is_reported_and_its_votes_stay(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked(4, sweep_minutes=0)
    studio.vote(here.id(0), Choice.LEFT)
    assert len(here.new()) == 1
    studio.delete_task(here.id(0))
    studio.delete_task(here.id(1))
    assert here.new() == []
    assert here.gone == (here.tasks[1].key,)


def test_a_missing_task_is_noticed_by_its_number_alone(asked: Callable[..., Asked], studio: Studio) -> None:
    """No sweep is due, but the number of tasks is not what it should be."""
    here = asked(sweep_minutes=10_000)
    here.new()
    studio.delete_task(here.id(2))
    here.new()
    assert here.gone == (here.tasks[2].key,)


def test_a_removed_project_stops_and_retracts_nothing(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked()
    studio.vote(here.id(0), Choice.LEFT)
    here.new()
    studio._ok(studio.http.delete(f"/api/projects/{here.options.project}/"))
    with pytest.raises(BackendRejected, match="is not there"):
        here.new()
    assert not any(vote.deleted for vote in here.backend._ledger.page(None).annotations)


def test_pages_that_end_while_people_work(asked: Callable[..., Asked], studio: Studio) -> None:
    """Between two pages an answered task is answered again, so that it moves behind all others."""
    here = asked(7, page=2, sweep_minutes=10_000)
    for index in range(7):
        studio.vote(here.id(index), Choice.LEFT)
    read, pages = here.backend._api.annotated, []

    def while_people_work(items: object, order: str, size: int, number: int) -> object:
        found = read(items, order, size, number)  # type: ignore[arg-type]
        if len(pages) < 3:
            studio.vote(here.id(len(pages)), Choice.RIGHT)
        pages.append(number)
        return found

    here.backend._api.annotated = while_people_work  # type: ignore[method-assign,assignment]
    votes = here.new() + here.new()
    assert compare(studio.tasks(here.options.project), votes, here.tasks) == []
    assert len(votes) == 10


def test_many_tasks_that_changed_at_the_same_moment(asked: Callable[..., Asked], fake: Studio) -> None:
    """A page full of one moment is followed by the next page, up to the 404 behind the last."""
    here = asked(6, page=2)
    assert fake.fake is not None
    for index in range(6):
        fake.vote(here.id(index), Choice.LEFT)
    for task in fake.fake.tasks.values():
        if task["project"] == here.options.project:
            task["updated_at"] = "2026-01-01T00:00:00.000000Z"
    assert len(here.new()) == 6


def test_a_pull_reads_what_changed_and_no_more(asked: Callable[..., Asked], fake: Studio) -> None:
    here = asked(30, overlap=0)
    assert fake.fake is not None
    for task in fake.fake.tasks.values():
        task["updated_at"] = "2026-01-01T00:00:00.000000Z"
    here.new()
    taken: list[int] = []
    take = here.backend._pull._take
    here.backend._pull._take = lambda task: (taken.append(task["id"]), take(task))[1]  # type: ignore[method-assign]
    fake.vote(here.id(7), Choice.LEFT)
    assert len(here.new()) == 1
    assert taken == [int(here.id(7))]


def test_a_lost_ledger_brings_the_same_votes(asked: Callable[..., Asked], studio: Studio, tmp_path: Path) -> None:
    here = asked()
    for index, choice in enumerate((Choice.LEFT, Choice.RIGHT, Choice.SKIP)):
        studio.vote(here.id(index), choice)
    before = here.new()
    here.folder = tmp_path / "another"
    fresh = studio.backend(here.folder, here.options)
    assert list(fresh.poll(here.cursor).annotations) == before
    assert dict(fresh.lookup([task.key for task in here.tasks])) == here.ids


# ------------------------------------------------------------------------------------------------- surplus


def test_an_unanswered_copy_goes_with_the_next_pull_but_one(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked()
    here.new()
    copy = studio.copy(here.options.project, here.id(0))
    here.new()
    assert copy in {task["id"] for task in studio.tasks(here.options.project)}, "somebody may just have opened it"
    here.new()
    assert copy not in {task["id"] for task in studio.tasks(here.options.project)}
    assert here.gone == ()


def test_an_answered_copy_stays_and_counts_for_the_same_question(asked: Callable[..., Asked], studio: Studio) -> None:
    """Then the first one is surplus, and goes if nobody answered it."""
    here = asked()
    copy = studio.copy(here.options.project, here.id(0))
    studio.vote(copy, Choice.RIGHT)
    votes = here.new() + here.new() + here.new()
    assert [(vote.key, vote.choice) for vote in votes] == [(here.tasks[0].key, Choice.RIGHT)]
    left = {task["id"] for task in studio.tasks(here.options.project)}
    assert copy in left
    assert int(here.id(0)) not in left


def test_a_copy_that_was_answered_since_the_last_look_stays(asked: Callable[..., Asked], studio: Studio) -> None:
    """The last look right before the deletion sees it."""
    here = asked(sweep_minutes=10_000)
    here.new()
    copy = studio.copy(here.options.project, here.id(0))
    here.new()
    project, _ = here.backend._api.project()
    assert project
    read = here.backend._pull.read
    here.backend._pull.read = lambda since: (read(since), studio.vote(copy, Choice.LEFT))[0]  # type: ignore[method-assign]
    here.new()
    assert copy in {task["id"] for task in studio.tasks(here.options.project)}


def test_a_draft_keeps_a_copy(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked()
    copy = studio.copy(here.options.project, here.id(0))
    studio._ok(studio.http.post(f"/api/tasks/{copy}/drafts", json={"result": said(Choice.LEFT)}))
    for _ in range(4):
        here.new()
    assert copy in {task["id"] for task in studio.tasks(here.options.project)}


# -------------------------------------------------------------------------------------------------- config


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('alias="left"', 'alias="first"', "has no value 'left'"),
        ('value="$left"', 'value="$other"', r"\$left is not displayed"),
        ('name="preference"', 'name="choice"', "must be a Choices"),
        ('choice="single-radio"', 'choice="multiple"', "several values"),
        ('<Choice value="tie" alias="tie" hotkey="2"/>', "", "has no value 'tie'"),
        (
            '<Choice value="tie"',
            '<Choice value="maybe" alias="maybe"/><Choice value="tie"',
            "without a meaning: 'maybe'",
        ),
        ('<Rating name="prompt_rating" toName="prompt" maxRating="5"/>', "", "must be a Rating"),
    ],
)
def test_a_config_that_means_something_else_stops_with_the_change(
    asked: Callable[..., Asked], fake: Studio, old: str, new: str, complaint: str
) -> None:
    here = asked()
    here.new()
    fake.vote(here.id(0), Choice.LEFT)
    assert fake.fake is not None
    config = own_config(markdown=False).strip()
    assert old in config
    fake.fake.projects[here.options.project or 0]["label_config"] = config.replace(old, new)
    with pytest.raises(BackendRejected, match=complaint) as stopped:
        here.new()
    assert "\n  -" in stopped.value.message, "the change is shown"
    fake.set(here.options.project, label_config=config)
    assert len(here.new()) == 1


def test_swapped_columns_stop(asked: Callable[..., Asked], fake: Studio) -> None:
    here = asked()
    config = own_config(markdown=False).replace("$left", "$x").replace("$right", "$left").replace("$x", "$right")
    assert fake.fake is not None
    fake.fake.projects[here.options.project or 0]["label_config"] = config
    with pytest.raises(BackendRejected, match="swapped"):
        here.new()


def test_another_wording_is_fine(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked()
    here.new()
    studio.vote(here.id(0), Choice.RIGHT)
    config = own_config(markdown=False).replace("B is better", "B ist besser").replace("60vh", "70vh")
    studio.set(here.options.project, label_config=config)
    assert [vote.choice for vote in here.new()] == [Choice.RIGHT]


def test_a_clock_of_ours_that_is_wrong_matters_not(asked: Callable[..., Asked], studio: Studio) -> None:
    here = asked()
    try:
        for days in (-900, 900, 0):
            clock.set_clock(lambda days=days: datetime.now(UTC) + timedelta(days=days))  # type: ignore[misc]
            studio.vote(here.id(0), Choice.LEFT)
            assert len(here.new()) == 1
    finally:
        clock.set_clock(None)


def test_an_answer_of_another_shape_changes_nothing(asked: Callable[..., Asked], fake: Studio) -> None:
    here = asked()
    fake.vote(here.id(0), Choice.LEFT)
    list_tasks = fake.fake._list_tasks  # type: ignore[union-attr]
    for spoiled in ({"tasks": [{"id": "7"}], "total": 1}, {"detail": "?"}, [], {"tasks": [{"id": 7}], "total": 3}):
        fake.fake._list_tasks = lambda spoiled=spoiled, **_: (200, spoiled)  # type: ignore[union-attr,method-assign,misc]
        with pytest.raises(BackendError):
            here.new()
    fake.fake._list_tasks = list_tasks  # type: ignore[union-attr,method-assign]
    assert len(here.new()) == 1


def test_tasks_of_others_that_come_and_go_cost_one_look(asked: Callable[..., Asked], studio: Studio) -> None:
    """A copy of ours is noticed beside them all the same."""
    here = asked(sweep_minutes=10_000)
    here.new()
    fields = {"prompt": "p", "left": "l", "right": "r"}
    studio._ok(studio.http.post(f"/api/projects/{here.options.project}/import", json=[{"data": fields}] * 4))
    listed: list[int] = []
    ids = here.backend._api.ids
    here.backend._api.ids = lambda *asked: (listed.append(1), ids(*asked))[1]  # type: ignore[method-assign]
    here.new()
    here.new()
    assert not listed
    copy = studio.copy(here.options.project, here.id(0))
    for _ in range(3):
        here.new()
    assert not listed, "the pull itself has seen the copy"
    assert copy not in {task["id"] for task in studio.tasks(here.options.project)}
