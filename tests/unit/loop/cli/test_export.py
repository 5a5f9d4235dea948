import csv
import errno
import io
import json

import pytest

from pairloop import Annotation, Campaign, Choice
from pairloop.exports.text import cell


@pytest.fixture
def judged(people, invoke):
    """Pairs with known votes: a tie, a clear left, a skip, and everything else right."""
    invoke("step", people)
    with Campaign(people) as campaign:
        batch = campaign.ask()
        choices = [Choice.TIE, Choice.LEFT, Choice.SKIP, Choice.BOTH_BAD, *[Choice.RIGHT] * 8]
        campaign.tell(
            Annotation(task.key, "manual", task.key, "1", f"ann{i % 2}", choice, reason="=1+1")
            for i, (task, choice) in enumerate(zip(batch.tasks, choices, strict=True))
        )
        return people, batch


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_preferences_say_what_was_chosen_and_keep_ties(judged, invoke) -> None:
    folder, batch = judged
    rows = {row["pair"]: row for row in lines(invoke("export", folder).stdout)}
    assert len(rows) == 11  # the skip judges nothing
    tie, left, _, bad, right = (rows.get(task.pair_id) for task in batch.tasks[:5])
    assert (tie["tie"], tie["p"]) == (True, 0.5)
    assert (left["chosen"], left["rejected"], left["tie"], left["p"]) == (
        batch.tasks[1].left,
        batch.tasks[1].right,
        False,
        1.0,
    )
    assert (bad["tie"], bad["both_bad"]) == (True, 1)
    assert right["chosen"] == batch.tasks[4].right
    assert right["annotators"] == ["ann0"]
    assert {row["arm"] for row in rows.values()} == {a.arm.value for a in batch.assignments}
    assert all(row["round"] == 1 and row["disagreement"] == 0.0 for row in rows.values())


def test_votes_have_one_row_each_skips_included(judged, invoke) -> None:
    folder, batch = judged
    rows = lines(invoke("export", folder, "--votes").stdout)
    assert [row["key"] for row in rows] == [task.key for task in batch.tasks]
    assert [row["choice"] for row in rows[:4]] == ["tie", "left", "skip", "both_bad"]
    assert (rows[1]["left"], rows[1]["right"]) == (batch.tasks[1].left, batch.tasks[1].right)


def test_verdicts_are_about_the_stored_order(judged, invoke) -> None:
    folder, batch = judged
    rows = {row["pair"]: row for row in lines(invoke("export", folder, "--verdicts").stdout)}
    for task in batch.tasks[4:]:
        row = rows[task.pair_id]
        assert row["p_first"] == (1.0 if row["first"] == task.right else 0.0)


def test_csv_has_a_header_and_neutral_cells(judged, invoke) -> None:
    folder, _ = judged
    rows = list(csv.DictReader(io.StringIO(invoke("export", folder, "--votes", "--format", "csv").stdout)))
    assert len(rows) == 12
    assert {row["reason"] for row in rows} == {"'=1+1"}
    assert rows[0]["flipped"] in ("true", "false")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=cmd()", "'=cmd()"),
        (" +1", "' +1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("＝x", "'＝x"),
        ("a=b", "a=b"),
        (-0.5, -0.5),
        (["=a", "b"], "'=a;b"),
        (True, "true"),
        (None, None),
    ],
)
def test_cells_that_could_start_a_formula_are_neutralised(value, written) -> None:
    assert cell("x", value) == written


def test_a_conversation_is_readable_in_a_csv_cell() -> None:
    assert cell("prompt", [{"role": "user", "content": "hi"}]) == "user: hi"


@pytest.mark.parametrize("what", ["--votes", "--verdicts", "--disagreements", None])
def test_an_export_without_rows_still_has_its_columns(what, people, invoke) -> None:
    invoke("step", people)
    extra = [what] if what else []
    header = invoke("export", people, "--format", "csv", *extra).stdout.splitlines()
    assert len(header) == 1
    assert "prompt" in next(csv.reader(header))


@pytest.mark.parametrize("what", ["--votes", "--verdicts", None])
def test_the_columns_of_a_csv_are_the_keys_of_the_rows(what, judged, invoke) -> None:
    folder, _ = judged
    extra = [what] if what else []
    keys = list(lines(invoke("export", folder, *extra).stdout)[0])
    if what is None:
        keys.remove("annotations")  # lists of objects are no cells; the columns n, p and annotators sum them up
    assert next(csv.reader(invoke("export", folder, "--format", "csv", *extra).stdout.splitlines())) == keys


def test_an_arm_can_be_picked(judged, invoke) -> None:
    folder, batch = judged
    rows = lines(invoke("export", folder, "--votes", "--arm", "holdout", "--arm", "random").stdout)
    wanted = [a.key for a in batch.assignments if a.arm.value in ("holdout", "random")]
    assert [row["key"] for row in rows] == wanted


def test_out_is_written_whole_and_facts_go_to_stdout(judged, invoke, tmp_path) -> None:
    folder, _ = judged
    out = tmp_path / "x.jsonl"
    facts = json.loads(invoke("export", folder, "--out", out, "--json").stdout)
    assert out.read_text() == invoke("export", folder).stdout
    assert (facts["rows"], facts["ties"], facts["bytes"], facts["written"]) == (11, 2, out.stat().st_size, True)
    assert list(tmp_path.glob(".x.jsonl*")) == []


def test_dry_run_counts_and_writes_nothing(judged, invoke, tmp_path) -> None:
    folder, _ = judged
    facts = json.loads(invoke("export", folder, "--out", tmp_path / "x", "--dry-run", "--json").stdout)
    assert (facts["rows"], facts["written"]) == (11, False)
    assert not (tmp_path / "x").exists()


def test_json_without_out_is_refused_since_stdout_has_the_rows(judged, invoke) -> None:
    result = invoke("export", judged[0], "--json")
    assert result.exit_code == 2
    assert "--out" in result.stderr


def test_a_target_in_a_folder_that_does_not_exist_is_refused_before_any_work(judged, invoke, tmp_path) -> None:
    for command in ("export", "report"):
        result = invoke(command, judged[0], "--out", tmp_path / "missing" / "x")
        assert result.exit_code == 2
        assert f"{tmp_path / 'missing'}: there is no such folder" in result.stderr


def test_a_full_disk_ends_with_74_and_keeps_the_old_file(judged, invoke, tmp_path) -> None:
    from pairloop.testing.failpoints import failing_at

    out = tmp_path / "x"
    out.write_text("old")
    with failing_at("atomic.before_rename", OSError(errno.ENOSPC, "No space left on device")):
        result = invoke("export", judged[0], "--out", out)
    assert result.exit_code == 74, result.output
    assert "No space left" in result.stderr
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x"]
    assert out.read_text() == "old"
