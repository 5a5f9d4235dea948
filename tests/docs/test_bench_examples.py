"""The plans and the workflow that users start from are valid."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from pairloop.bench.plan import cells, load_plan
from pairloop.cli.app import cli

ROOT = Path(__file__).parents[2]
PLANS = sorted([*(ROOT / "examples/benchmark").glob("*.toml"), *(ROOT / "benchmarks/plans").glob("*.toml")])
WORKFLOW = ROOT / "examples/ci/benchmark.yml"


def test_there_are_plans() -> None:
    assert len(PLANS) >= 3


@pytest.mark.parametrize("file", PLANS, ids=lambda file: file.stem)
def test_every_plan_is_valid_and_says_how_to_run_it(file: Path) -> None:
    plan = load_plan(file)
    assert len(list(cells(plan))) >= 2 * plan.bench.seeds
    assert f"pairloop bench {file.relative_to(ROOT)}" in file.read_text().splitlines()[0]


def test_the_workflow_runs_a_plan_that_exists_with_conditions_that_match(monkeypatch: pytest.MonkeyPatch) -> None:
    from pairloop.bench.gate import parse

    (command,) = re.findall(r"- run: (pairloop bench .+)", WORKFLOW.read_text())
    words = shlex.split(command)[1:]
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(cli, [*words, "--dry-run"])
    assert done.exit_code == 0, done.output
    arms = {arm.name for arm in load_plan(ROOT / words[1]).strategies}
    conditions = [parse(words[i + 1]) for i, word in enumerate(words) if word == "--fail-if"]
    assert conditions
    assert {condition.arm for condition in conditions} <= arms
