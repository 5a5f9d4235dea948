"""The folder for trainers: splits, ties, margins, conversations, pseudonyms, and what stays out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pairloop import Choice
from pairloop.exports.columns import TYPES
from pairloop.exports.rows import COLUMNS
from pairloop.store import Store
from pairloop_plugins.jsonl import JsonlOptions
from pairloop_plugins.jsonl.source import JsonlSource

Invoke = Callable[..., Result]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def everything(folder: Path, name: str = "data") -> list[dict[str, Any]]:
    return rows(folder / name / "train.jsonl") + rows(folder / name / "test.jsonl")


@pytest.fixture
def export(invoke: Invoke, tmp_path: Path) -> Callable[..., Path]:
    def run(campaign: Path, *options: str, name: str = "out") -> Path:
        result = invoke("export", campaign, "--format", "trl", "--out", tmp_path / name, *options)
        assert result.exit_code == 0, result.output
        return tmp_path / name

    return run


def test_the_holdout_is_the_test_split_and_ties_are_apart(mixed: Path, export: Callable[..., Path]) -> None:
    out = export(mixed)
    train, test = rows(out / "data" / "train.jsonl"), rows(out / "data" / "test.jsonl")
    assert {row["arm"] for row in test} == {"holdout"}
    assert "holdout" not in {row["arm"] for row in train}
    assert {row["group"] for row in train}.isdisjoint(row["group"] for row in test)
    ties = everything(out, "ties")
    assert (len(train) + len(test), len(ties)) == (9, 2)
    assert sorted(row["both_bad"] for row in ties) == [0, 1]
    assert all("chosen" not in row for row in ties)


def test_chosen_is_what_people_preferred(mixed: Path, export: Callable[..., Path]) -> None:
    with Store.open_readonly(mixed) as store:
        texts = {response.id: response.text for response in store.pool.responses()}
        preferred = {
            vote.pair_id: texts[vote.left if vote.choice is Choice.LEFT else vote.right]
            for vote in store.annotations.votes()
            if vote.choice.is_decisive
        }
    assert {row["pair"]: row["chosen"] for row in everything(export(mixed))} == preferred


def divided(number: int, task: Any) -> list[tuple[str, Choice]]:
    """Two against one on every pair."""
    return [("ann", Choice.LEFT), ("bob", Choice.LEFT), ("cleo", Choice.RIGHT)]


def test_margins_are_shares_or_strengths(told: Callable[..., Path], export: Callable[..., Path]) -> None:
    campaign = told(divided)
    (share,) = {row["margin"] for row in everything(export(campaign))}
    (strength,) = {row["margin"] for row in everything(export(campaign, "--margin", "strength", name="strong"))}
    assert share == pytest.approx(1 / 3)
    assert strength == pytest.approx(0.6 / 3)
    assert "margin" not in everything(export(campaign, "--margin", "none", name="without"))[0]


def test_one_row_a_vote_keeps_dissent(told: Callable[..., Path], export: Callable[..., Path]) -> None:
    found = everything(export(told(divided), "--votes"))
    assert len(found) == 36
    by_pair: dict[str, list[dict[str, Any]]] = {}
    for row in found:
        by_pair.setdefault(row["pair"], []).append(row)
    for votes in by_pair.values():
        ann, bob, cleo = votes
        assert ann["chosen"] == bob["chosen"] == cleo["rejected"]
        assert {row["margin"] for row in votes} == {1.0}


def test_people_have_pseudonyms_unless_names_are_asked_for(
    told: Callable[..., Path], export: Callable[..., Path]
) -> None:
    campaign = told(divided)
    out = export(campaign)
    assert all(name not in (out / "data" / "train.jsonl").read_text() for name in ('"ann"', '"bob"', '"cleo"'))
    assert everything(out)[0]["annotators"] == ["annotator-1", "annotator-2", "annotator-3"]
    assert everything(export(campaign, "--names", name="named"))[0]["annotators"] == ["ann", "bob", "cleo"]


def test_pseudonyms_do_not_depend_on_the_arm_that_is_exported(
    told: Callable[..., Path], export: Callable[..., Path]
) -> None:
    campaign = told(lambda number, task: [(f"person {number}", Choice.LEFT)])
    whole = {row["pair"]: row["annotators"] for row in everything(export(campaign))}
    part = {row["pair"]: row["annotators"] for row in everything(export(campaign, "--arm", "holdout", name="part"))}
    assert 0 < len(part) < len(whole)
    assert part == {pair: whole[pair] for pair in part}


def test_one_conversation_makes_conversations_of_all_prompts(
    told: Callable[..., Path], export: Callable[..., Path]
) -> None:
    found = everything(export(told(divided, talk=True)))
    assert {row["prompt"][0]["role"] for row in found} == {"system", "user"}
    assert all(turn["role"] == "assistant" for row in found for turn in (*row["chosen"], *row["rejected"]))


def test_chat_can_be_asked_for(mixed: Path, export: Callable[..., Path]) -> None:
    row = everything(export(mixed, "--chat"))[0]
    assert [turn["role"] for turn in row["prompt"]] == ["user"]
    assert [turn["role"] for turn in row["chosen"]] == ["assistant"]


@pytest.mark.parametrize("talk", [False, True])
@pytest.mark.parametrize("table", ["data", "ties"])
def test_the_source_reads_the_folder_with_all_its_votes(
    told: Callable[..., Path], export: Callable[..., Path], talk: bool, table: str
) -> None:
    out = export(told(lambda n, task: [("ann", Choice.TIE if n % 2 else Choice.LEFT)], talk=talk))
    found = list(JsonlSource(JsonlOptions(), out / table / "train.jsonl").rows())
    assert [type(row).__name__ for row in found] == ["SourceRow"] * len(rows(out / table / "train.jsonl"))
    said = {vote.choice for row in found for _, vote in row.recorded}
    assert said == {Choice.TIE if table == "ties" else Choice.LEFT}


def test_ties_only(told: Callable[..., Path], export: Callable[..., Path]) -> None:
    out = export(told(lambda number, task: [("ann", Choice.TIE)]))
    assert not (out / "data").exists()
    assert len(everything(out, "ties")) == 12


def test_excluded_annotators_and_skips_are_left_out_and_counted(
    told: Callable[..., Path], export: Callable[..., Path], invoke: Invoke
) -> None:
    campaign = told(lambda n, task: [("ann", Choice.LEFT), ("bot", Choice.RIGHT), ("cleo", Choice.SKIP)])
    assert invoke("annotators", campaign, "--exclude", "bot", "--reason", "r", "--yes").exit_code == 0
    out = export(campaign, "--names")
    assert {tuple(row["annotators"]) for row in everything(out)} == {("ann",)}
    card = (out / "README.md").read_text()
    assert "Left out: 12 votes (excluded annotators)" in card
    assert "Left out: 12 votes (skips)" in card


def test_gold_items_train_nothing(told: Callable[..., Path], export: Callable[..., Path], invoke: Invoke) -> None:
    campaign = told(lambda n, task: [("ann", Choice.LEFT)], gold=True)
    asked = [json.loads(line) for line in invoke("export", campaign, "--votes").stdout.splitlines()]
    gold = {row["pair"] for row in asked if row["arm"] == "gold"}
    assert len(gold) == 3
    out = export(campaign)
    assert {row["pair"] for row in everything(out)} == {row["pair"] for row in asked} - gold
    assert "Left out: 3 votes (gold items)" in (out / "README.md").read_text()


def test_a_campaign_without_votes_is_refused(told: Callable[..., Path], invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("export", told(lambda number, task: []), "--format", "trl", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "no votes that a trainer could use" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(mixed: Path, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    result = invoke("export", mixed, "--format", "trl", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "options",
    [["--chat"], ["--margin", "none"], ["--files", "parquet"], ["--card"], ["--format", "trl"],
     ["--format", "trl", "--verdicts", "--out", "x"], ["--format", "argilla", "--votes"], ["--license", "no: licence"]],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(mixed: Path, invoke: Invoke, options: list[str]) -> None:
    result = invoke("export", mixed, *options)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_the_same_campaign_gives_the_same_bytes(mixed: Path, export: Callable[..., Path]) -> None:
    one, other = export(mixed), export(mixed, name="again")
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) >= 3
    assert [(one / name).read_bytes() for name in files] == [(other / name).read_bytes() for name in files]


def test_every_column_has_a_type() -> None:
    assert {name for columns in COLUMNS.values() for name in columns} <= set(TYPES)
