import json
import sqlite3

import pytest

from pairloop.store import Store


def snapshot(folder):
    """Every file below a folder with its bytes."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rounds(folder):
    with Store.open_readonly(folder) as store:
        return [(one.number, one.state.value) for one in store.rounds.all()]


def test_run_goes_to_the_end_and_says_every_move(campaign, invoke) -> None:
    result = invoke("run", campaign)
    assert result.exit_code == 0, result.output
    assert rounds(campaign) == [(1, "closed"), (2, "closed")]
    assert "40 prompts and 120 responses in" in result.output
    assert "round 2 → closed" in result.output
    assert "finished: round.max_rounds = 2 is reached" in result.output


def test_run_with_json_has_one_document_on_stdout_and_messages_on_stderr(campaign, invoke) -> None:
    result = invoke("run", campaign, "--json")
    facts = json.loads(result.stdout)
    assert facts["outcome"] == "finished"
    assert facts["status"]["votes"]["total"] == 24
    assert "round 1 → closed" in result.stderr


def test_waiting_for_people_ends_with_3(people, invoke) -> None:
    for command in ("run", "step"):
        result = invoke(command, people)
        assert result.exit_code == 3, result.output
        assert "waiting for annotators, 0 of 12 answered" in result.output
    assert json.loads(invoke("step", people, "--json").stdout)["outcome"] == "waiting"


def test_a_tick_ends_when_a_simulated_round_closed(campaign, invoke) -> None:
    assert invoke("step", campaign).exit_code == 0
    assert rounds(campaign) == [(1, "closed")]
    assert invoke("step", campaign).exit_code == 0
    assert rounds(campaign) == [(1, "closed"), (2, "closed")]
    last = invoke("step", campaign)
    assert last.exit_code == 0
    assert "finished" in last.output


def test_a_tick_with_people_publishes_the_next_batch_after_a_round_closed(people, invoke) -> None:
    from pairloop import Annotation, Campaign, Choice

    invoke("step", people)
    with Campaign(people) as campaign:
        keys = [assignment.key for assignment in campaign.ask().assignments]
        campaign.tell(
            Annotation(key, "manual", key, "1", f"ann{i % 2}", Choice.LEFT if i % 3 else Choice.RIGHT)
            for i, key in enumerate(keys)
        )
    result = invoke("step", people)
    assert result.exit_code == 3, result.output
    assert rounds(people) == [(1, "closed"), (2, "collecting")]


def test_once_makes_exactly_one_move(campaign, invoke) -> None:
    moves = [json.loads(invoke("step", "--once", "--json", campaign).stdout) for _ in range(4)]
    assert [(move["round"], move["state"]) for move in moves] == [
        (0, "selecting"),
        (1, "publishing"),
        (1, "collecting"),
        (1, "training"),
    ]


def test_dry_run_of_a_new_campaign_lists_what_would_be_asked_and_writes_nothing(campaign, invoke) -> None:
    before = snapshot(campaign)
    result = invoke("run", campaign, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    move = json.loads(result.stdout)
    assert (move["would"], move["round"], move["questions"], move["cost"]) == ("publish", 1, 12, 6.0)
    assert {task["arm"] for task in move["tasks"]} == {"active", "random", "holdout"}
    assert snapshot(campaign) == before


def test_a_dry_run_names_exactly_the_questions_that_are_then_published(campaign, invoke) -> None:
    invoke("step", campaign)
    before = snapshot(campaign)
    planned = json.loads(invoke("step", campaign, "--dry-run", "--json").stdout)
    assert snapshot(campaign) == before
    invoke("step", campaign)
    with Store.open_readonly(campaign) as store:
        asked = [a.key for a in store.rounds.assignments(2)]
    assert [task["key"] for task in planned["tasks"]] == asked


@pytest.mark.parametrize(
    ("moves", "would"),
    [(2, "publish"), (3, "collect votes; nothing is published until the round closes"), (4, "train the reward model")],
)
def test_a_dry_run_says_what_the_state_is_about(moves, would, campaign, invoke) -> None:
    for _ in range(moves):
        invoke("step", "--once", campaign)
    move = json.loads(invoke("run", campaign, "--dry-run", "--json").stdout)
    assert move["would"] == would
    assert move["questions"] == (12 if would == "publish" else 0)


def test_a_dry_run_of_a_finished_campaign_says_why(finished, invoke) -> None:
    assert "Would finish: round.max_rounds = 2 is reached" in invoke("run", finished, "--dry-run").output


def test_a_dry_run_takes_no_lock(campaign, invoke) -> None:
    invoke("step", campaign)
    with Store.open(campaign):
        assert invoke("run", campaign, "--dry-run").exit_code == 0
        assert invoke("run", campaign).exit_code == 75


def test_a_database_of_another_release_is_refused(finished, invoke) -> None:
    with sqlite3.connect(finished / "campaign.sqlite3") as db:
        table = next(row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE name LIKE '%migration%'"))
        db.execute(f"UPDATE {table} SET name = 'm999_future' WHERE rowid = (SELECT max(rowid) FROM {table})")  # noqa: S608
    for command in ("run", "status", "export"):
        result = invoke(command, finished)
        assert result.exit_code == 6
        assert "newer release" in result.stderr
    assert invoke("run", finished, "--dry-run").exit_code == 6
