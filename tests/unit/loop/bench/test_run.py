"""Small real benchmarks: whole campaigns on toy data."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pairloop.bench.cell import campaign_toml, run_cell
from pairloop.bench.plan import cells, load_plan
from pairloop.bench.results import load
from pairloop.bench.runner import run_plan
from pairloop.cli.app import cli
from pairloop.config.load import parse_config
from pairloop.errors import CorruptionDetected, DataError
from pairloop.kit.progress import Silent

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
    config = parse_config(campaign_toml(cell), "cell")
    assert config.selection.strategy == "logdet"
    assert (config.round.size, config.round.max_rounds, config.budget.labels) == (20, 2, 40)
    assert (config.holdout.share, config.backend.prelabels) == (0.0, "off")


def test_votes_are_bounded_and_points_measure_the_same_held_out_groups(plan_file: Path, tmp_path: Path) -> None:
    points = run_cell(next(cells(load_plan(plan_file))), tmp_path / "cache")
    assert [point.votes for point in points] == [20, 40]
    assert points[0].groups.keys() == points[1].groups.keys()
    assert {g: c["n"] for g, c in points[0].groups.items()} == {g: c["n"] for g, c in points[1].groups.items()}
    assert all(0 <= c["hits"] <= c["n"] for point in points for c in point.groups.values())
    assert points[1].spearman is not None
    assert points[1].best_of_n is not None


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
        assert {k: [p.groups for p in v] for k, v in other.items()} == {
            k: [p.groups for p in v] for k, v in one.items()
        }


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
