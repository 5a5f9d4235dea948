"""Small real benchmarks: whole campaigns on toy data."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pairloop.bench.cell import run_cell
from pairloop.bench.plan import cells, load_plan
from pairloop.bench.results import load
from pairloop.bench.runner import run_plan
from pairloop.cli.app import cli
from pairloop.config.load import parse_config
from pairloop.config.models import SelectionConfig
from pairloop.config.template import template
from pairloop.errors import CorruptionDetected, DataError
from pairloop.kit.ids import make_pair, prompt_id, response_id
from pairloop.kit.progress import Silent
from pairloop.registry import Registry

PLAN = """
[bench]
name = "tiny"
seeds = 2
votes = 40
batch = 20
bootstrap = 100
[[data]]
name = "demo"
source = "demo"
options = { prompts = 40 }
truth = "gold"
measured_pairs = 200
[[annotators]]
name = "noisy"
gold = "demo"
[[models]]
name = "small"
options = { dimensions = 8, flip_rate = 0.1 }
[[strategies]]
name = "random"
strategy = "random"
random_share = 1.0
[[strategies]]
name = "logdet"
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.toml"
    file.write_text(PLAN)
    return file


def test_a_cell_is_the_products_own_campaign(plan_file: Path) -> None:
    cell = list(cells(load_plan(plan_file)))[1]
    config = parse_config(template(cell.config), "cell")
    assert config.selection.strategy == SelectionConfig().strategy
    assert (config.round.size, cell.rounds, config.budget.labels) == (20, (20, 40), 40)
    assert (config.holdout.share, config.backend.prelabels) == (0.0, "off")


def test_votes_are_bounded_and_points_measure_the_same_held_out_groups(plan_file: Path, tmp_path: Path) -> None:
    points = run_cell(next(cells(load_plan(plan_file))), tmp_path / "cache")
    assert [point.votes for point in points] == [20, 40]
    first, second = (point.scores["gold"] for point in points)
    assert first.groups.keys() == second.groups.keys()
    assert {g: c["n"] for g, c in first.groups.items()} == {g: c["n"] for g, c in second.groups.items()}
    assert all(0 <= c["hits"] <= c["n"] for scores in (first, second) for c in scores.groups.values())
    assert second.spearman is not None
    assert second.best_of_n is not None


def test_a_second_run_reads_what_is_finished_and_workers_change_nothing(plan_file: Path, tmp_path: Path) -> None:
    plan = load_plan(plan_file)
    one = run_plan(plan, tmp_path / "one", Silent())
    files = sorted((tmp_path / "one/cells").iterdir())
    stamps = [file.stat().st_mtime_ns for file in files]
    files[0].unlink()
    again = run_plan(plan, tmp_path / "one", Silent())
    assert [file.stat().st_mtime_ns for file in files][1:] == stamps[1:]
    two = run_plan(
        plan.model_copy(update={"bench": plan.bench.model_copy(update={"workers": 2})}), tmp_path / "two", Silent()
    )
    for other in (again, two):
        assert {k: [p.scores for p in v] for k, v in other.items()} == {
            k: [p.scores for p in v] for k, v in one.items()
        }
    assert not (tmp_path / "one/prepared").exists()


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    file = tmp_path / "cell.json"
    file.write_text('{"points": [{"votes": 3')
    with pytest.raises(CorruptionDetected, match=r"cell\.json is damaged"):
        load(file)


def test_data_without_anything_to_measure_on_is_named(plan_file: Path, tmp_path: Path) -> None:
    plan_file.write_text(PLAN.replace('truth = "gold"', 'truth = "votes"'))
    with pytest.raises(DataError, match="hold nothing to measure on"):
        run_cell(next(cells(load_plan(plan_file))), tmp_path)


def test_the_command_writes_four_files_and_fails_by_interval(plan_file: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(cli, ["bench", str(plan_file), "--seeds", "1", "--dry-run", "--json"])
    assert [item["finished"] for item in json.loads(listed.stdout)["cells"]] == [False, False]
    done = runner.invoke(cli, ["bench", str(plan_file), "--seeds", "1", "--fail-if", "accuracy<0.01"])
    assert done.exit_code == 0, done.output
    out = plan_file.parent / "bench-tiny"
    assert {p.suffix for p in out.iterdir() if p.is_file()} == {".json", ".md", ".xml", ".svg"}
    failed = runner.invoke(cli, ["bench", str(plan_file), "--seeds", "1", "--fail-if", "accuracy>0.01", "--json"])
    assert failed.exit_code == 5
    assert {v["failed"] for v in json.loads(failed.stdout)["verdicts"]} == {True}
    compared = runner.invoke(
        cli, ["bench", str(plan_file), "--seeds", "1", "--baseline", str(out / "tiny.json"), "--fail-if", "area.drop>0"]
    )
    assert compared.exit_code == 0, compared.output


ROWS = [
    {"prompt": f"Question {i} about {word}?", "response_a": f"{word} good {i}", "response_b": f"bad {i} {word} no",
     "best": side, "sure": i % 3 > 0, "annotations": [{"annotator": f"p{j}", "preference": "a"} for j in range(3)]
     + [{"annotator": "judge", "type": "model", "preference": "b"}]}
    for i, (word, side) in enumerate([("rivers", "a"), ("bread", "b"), ("chess", "a"), ("trains", "tie")] * 10)
]  # fmt: skip

LABELS = """
[bench]
name = "labels"
seeds = 1
schedule = [12, 30]
holdout = 0.4
bootstrap = 100
cost_per_vote = 0.25
[[data]]
name = "rows"
near_duplicate_threshold = 1.0
options = { keep = ["best", "sure"] }
truths = [{ name = "clean", truth = "label", label = "best", only = "sure" }, { name = "votes" }]
[[annotators]]
name = "replay"
kind = "replay"
[[strategies]]
name = "three"
strategy = "random"
random_share = 1.0
config = { round = { replicas = 3 }, reward = { model = "classifier" } }
"""


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    file = tmp_path / "labels.toml"
    file.write_text(LABELS)
    return file


def test_labels_and_votes_measure_the_same_run(labels: Path) -> None:
    (cell,) = cells(load_plan(labels, {"rows": labels.parent / "rows.jsonl"}))
    points = run_cell(cell, labels.parent / "cache")
    assert [point.votes for point in points] == [12, 30]
    assert points[-1].cost == pytest.approx(30 * 0.25)
    clean, votes = (
        {name: sum(c[name] for c in points[-1].scores[truth].groups.values()) for name in ("n", "hits")}
        for truth in ("clean", "votes")
    )
    held = votes["n"] / 3  # every pair has three votes
    assert 10 <= held <= 20
    assert 0 < clean["n"] < 0.75 * held  # neither the unsure ones nor those labelled a tie
    # all votes are for "a", so a model that follows them is right about the votes, and about half of the labels
    assert votes["hits"] / votes["n"] > 0.9
    assert clean["hits"] / clean["n"] < 0.9


def test_data_from_the_command_line_and_what_it_lacks(labels: Path) -> None:
    runner = CliRunner()
    data = f"rows={labels.parent / 'rows.jsonl'}"
    listed = runner.invoke(cli, ["bench", str(labels), "--data", data, "--dry-run"])
    assert "to run" in listed.output, listed.output
    wrong = runner.invoke(cli, ["bench", str(labels), "--data", "rows"])
    assert wrong.exit_code == 2, wrong.output


def test_labels_follow_the_order_of_the_pair_and_only_what_is_sure_measures(labels: Path) -> None:
    from pairloop.bench.prepared import LABELS as FILE
    from pairloop.bench.prepared import prepare

    (cell,) = cells(load_plan(labels, {"rows": labels.parent / "rows.jsonl"}))
    folder = prepare(cell, labels.parent / "cache", "stamp", Registry())
    found = json.loads((folder / FILE).read_text())
    expected = {}
    for row in ROWS:
        prompt = prompt_id(row["prompt"])
        ids = [response_id(prompt, row[key]) for key in ("response_a", "response_b")]
        pair = make_pair(prompt, *ids)
        if row["sure"] and row["best"] != "tie":
            expected[pair.id] = int(pair.first != ids[0]) if row["best"] == "a" else int(pair.first == ids[0])
    assert found == {"clean": expected}
    assert set(expected.values()) == {0, 1}
    assert prepare(cell, labels.parent / "cache", "stamp", Registry()) == folder
