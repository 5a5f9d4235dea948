"""pairloop annotators: the table, exclusion with confirmation, and where an exclusion is seen."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pairloop.campaign import Campaign
from pairloop.cli.app import cli
from pairloop.store import Store

from .conftest import make_campaign

Invoke = Callable[..., Result]


@pytest.fixture
def crowd(tmp_path: Path, invoke: Invoke) -> Path:
    """Two rounds by four simulated people, gold items and second opinions among the questions."""
    pool = [{"name": "sim", "count": 4, "teacher": "oracle"}]
    folder = make_campaign(
        tmp_path / "crowd",
        backend={"kind": "simulated", "options": {"gold": "metadata", "pool": pool}},
        quality={"overlap_share": 0.5, "gold_path": "gold.jsonl", "gold_share": 0.25},
    )
    rows = [
        {"prompt": f"gold {i}", "response_a": f"fine {i}", "response_b": f"poor {i}", "correct": "a",
         "metadata_a": {"gold": 3.0}, "metadata_b": {"gold": 1.0}}
        for i in range(4)
    ]  # fmt: skip
    (folder / "gold.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    result = invoke("run", folder)
    assert result.exit_code == 0, result.output
    return folder


def facts(invoke: Invoke, *args: str | Path) -> dict[str, object]:
    result = invoke(*args, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_the_table_has_every_annotator_with_gold_and_agreement(crowd: Path, invoke: Invoke) -> None:
    found = facts(invoke, "annotators", crowd)
    people = found["annotators"]
    with Store.open_readonly(crowd) as store:
        votes = store.annotations.votes()
    assert sum(person["numbers"]["votes"] for person in people) == len(votes)
    golden = [person["numbers"]["gold"] for person in people if person["numbers"]["gold"]]
    assert golden
    assert all(gold["value"] == 1.0 for gold in golden), "these annotators always name the better response"
    assert sum(gold["n"] for gold in golden) == sum(vote.arm == "gold" for vote in votes) > 0
    assert found["shared"] > 0
    text = invoke("annotators", crowd).stdout
    assert all(person["name"] in text for person in people)
    assert "Flags" in text
    compared = facts(invoke, "annotators", crowd, "--compare", "noisy-bt", "--compare", "majority")["comparison"]
    assert set(compared["noisy-bt"]["skill"]) == {person["name"] for person in people}
    assert compared["majority"] == {"skill": {}, "correlation": None}, "a majority knows nothing of people"
    assert "skill by" in invoke("annotators", crowd, "--compare", "noisy-bt").stdout


def test_nobody_is_shown_before_anybody_voted(people: Path, invoke: Invoke) -> None:
    assert invoke("step", people).exit_code == 3, "it waits"
    assert invoke("annotators", people).stdout == "Nobody has voted yet.\n"


def test_an_exclusion_is_confirmed_seen_everywhere_and_lifted_again(crowd: Path, invoke: Invoke) -> None:
    everybody = facts(invoke, "annotators", crowd)["annotators"]
    name = everybody[0]["name"]
    asked = CliRunner().invoke(cli, ["annotators", str(crowd), "--exclude", name], input="n\n")
    assert asked.stdout.strip().endswith("Nothing was changed.")
    before = facts(invoke, "status", crowd)["votes"]
    assert before["excluded"] == 0

    done = facts(invoke, "annotators", crowd, "--exclude", name, "--reason", "clicks", "--by", "eve", "--yes")
    assert (done["excluded"], done["changed"]) == (True, True)
    votes = facts(invoke, "status", crowd)["votes"]
    assert votes["total"] == before["total"], "nothing is thrown away"
    assert votes["excluded_annotators"] == [name]
    assert f"{votes['excluded']} of {name} excluded" in invoke("status", crowd).stdout
    rows = [json.loads(line) for line in invoke("export", crowd, "--votes").stdout.splitlines()]
    assert {row["annotator"] for row in rows if row["annotator_excluded"]} == {name}
    assert len(rows) == votes["total"]
    preferences = [json.loads(line) for line in invoke("export", crowd).stdout.splitlines()]
    assert not any(name in row["annotators"] for row in preferences)
    pair = next(row["pair"] for row in rows if row["annotator_excluded"])
    assert "excluded, counts for nothing" in invoke("explain", pair, crowd).stdout
    shown = invoke("annotators", crowd).stdout
    assert "excluded by eve" in shown
    assert ": clicks" in shown
    again = facts(invoke, "annotators", crowd, "--exclude", name, "--yes")
    assert again["changed"] is False

    facts(invoke, "annotators", crowd, "--include", name, "--yes")
    assert facts(invoke, "status", crowd)["votes"]["excluded"] == 0
    with Store.open_readonly(crowd) as store:
        assert [d.excluded for d in store.quality.decisions()] == [True, False], "both decisions stay on record"
        kinds = [event.kind for event in store.events.tail(5)]
    assert [kind for kind in kinds if kind.startswith("annotator_")] == ["annotator_excluded", "annotator_included"]


def test_the_next_training_leaves_the_votes_out_and_takes_them_back(crowd: Path, invoke: Invoke) -> None:
    name = facts(invoke, "annotators", crowd)["annotators"][0]["name"]

    def trained() -> dict[str, int]:
        assert invoke("reopen", crowd).exit_code == 0
        assert invoke("run", crowd).exit_code == 0
        with Store.open_readonly(crowd) as store:
            row = store.models.all("reward")[-1]
        return {key: row.report[key] for key in ("train_votes", "holdout_votes")}

    full = trained()
    facts(invoke, "annotators", crowd, "--exclude", name, "--yes")
    less = trained()
    with Store.open_readonly(crowd) as store:
        own = [v for v in store.annotations.votes() if v.annotator == name and v.choice.is_decisive]
    assert full["train_votes"] - less["train_votes"] == sum(v.arm not in ("holdout", "gold") for v in own) > 0
    assert full["holdout_votes"] - less["holdout_votes"] == sum(v.arm == "holdout" for v in own)
    facts(invoke, "annotators", crowd, "--include", name, "--yes")
    assert trained() == full


def test_an_unknown_name_is_refused_with_a_suggestion(crowd: Path, invoke: Invoke) -> None:
    result = invoke("annotators", crowd, "--exclude", "sim-11", "--yes")
    assert result.exit_code == 2
    assert "sim-1" in result.stderr
    both = invoke("annotators", crowd, "--exclude", "sim-1", "--include", "sim-2")
    assert both.exit_code == 2


def test_the_report_shows_gold_flags_and_exclusion(crowd: Path, invoke: Invoke) -> None:
    name = facts(invoke, "annotators", crowd)["annotators"][0]["name"]
    facts(invoke, "annotators", crowd, "--exclude", name, "--reason", "<b>clicks</b>", "--yes", "--by", "eve")
    assert invoke("report", crowd).exit_code == 0
    page = (crowd / "report.html").read_text(encoding="utf-8")
    assert "excluded by eve" in page
    assert "&lt;b&gt;clicks" in page
    assert "4 gold items" in page


def test_gold_questions_are_paid_for_and_named_as_gold(crowd: Path, invoke: Invoke) -> None:
    with Campaign(crowd) as campaign:
        asked = [a for a in campaign.store.rounds.assignments() if a.arm == "gold"]
        assert asked
        spent = campaign.status()["budget"]["cost"]["spent"]
        assert spent == pytest.approx(0.5 * len(campaign.store.annotations.standing()))
    assert "it is a gold item" in invoke("explain", asked[0].key, crowd).stdout
    rows = [json.loads(line) for line in invoke("export", crowd, "--votes", "--arm", "gold").stdout.splitlines()]
    assert {row["key"] for row in rows} == {a.key for a in asked}


# ----------------------------------------------------------------------------------------- disagreements


def test_disagreements_have_all_votes_and_the_heaviest_comes_first(people: Path, invoke: Invoke) -> None:
    from pairloop.records import Annotation, Choice

    with Campaign(people) as campaign:
        batch = campaign.ask()
        tasks = batch.tasks[:3]
        told = [(0, "ann", Choice.LEFT), (0, "bob", Choice.LEFT), (1, "ann", Choice.LEFT), (1, "bob", Choice.RIGHT)]
        told += [
            (2, "ann", Choice.LEFT),
            (2, "bob", Choice.RIGHT),
            (2, "=cmd()", Choice.RIGHT),
            (2, "dan", Choice.LEFT),
        ]
        campaign.tell(
            Annotation(tasks[i].key, "manual", f"{i}{who}", "1", who, choice, reason="@SUM(1)")
            for i, who, choice in told
        )
    rows = [json.loads(line) for line in invoke("export", people, "--disagreements").stdout.splitlines()]
    assert [row["pair"] for row in rows] == [tasks[2].pair_id, tasks[1].pair_id]
    assert [row["bits"] for row in rows] == [4.0, 2.0]
    assert [row["with"] for row in rows] == [["people"], ["people"]]
    assert [len(row["votes"]) for row in rows] == [4, 2]
    text = invoke("export", people, "--disagreements", "--format", "csv").stdout
    import csv

    cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@", "\t")) for cell in cells)
    votes = invoke("export", people, "--votes", "--format", "csv").stdout
    assert "'=cmd()" in votes
    assert "'@SUM(1)" in votes
