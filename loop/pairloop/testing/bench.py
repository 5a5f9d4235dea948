"""Benchmarks in tests: run a plan, look at its numbers, and fail on a real regression only.

With the pytest plugin that comes with pairloop::

    def test_selection_still_pays(pairloop_bench):
        result = pairloop_bench("plan.toml")
        assert result.arm("default").end("accuracy").value > 0.6
        result.assert_no_regression("baseline.json", "default:accuracy.drop>0.02")
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairloop.bench.gate import Verdict, judge, parse
from pairloop.bench.output import document, markdown, write_all
from pairloop.bench.plan import Plan, finished_plan, load_plan
from pairloop.bench.results import read_blocks
from pairloop.bench.runner import run_plan
from pairloop.bench.summary import Interval, block_json, summarise
from pairloop.config.load import validate
from pairloop.errors import UsageError
from pairloop.kit.atomic import write_atomic
from pairloop.kit.progress import Silent


@dataclass(frozen=True)
class ArmResult:
    """One arm of a result.

    Attributes:
        block: what it belongs to. values: the arm as the JSON result has it.
    """

    block: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def votes(self) -> list[float]:
        """Votes after each round."""
        return list(self.values["votes"])

    def curve(self, metric: str) -> list[Interval]:
        """The metric after each round, with 95 % intervals.

        Raises:
            UsageError: it was not measured.
        """
        curves = self.values["curves"]
        if metric not in curves:
            raise UsageError(f"{metric!r} was not measured", f"There is: {', '.join(sorted(curves))}")
        return [_interval(item) for item in curves[metric]]

    def end(self, metric: str) -> Interval:
        """The metric after the last round."""
        return self.curve(metric)[-1]

    def summary(self, name: str) -> Interval | None:
        """``area``, ``votes_to_target`` or ``saved``; None where it does not apply."""
        item = self.values[name]
        return None if item is None else _interval(item)

    def against(self, metric: str) -> Interval:
        """Difference to the baseline arm, paired by seed."""
        return _interval(self.values["against"][metric])


@dataclass(frozen=True)
class BenchResult:
    """What a benchmark found.

    Attributes:
        name: of the plan. folder: where table, JSON, JUnit and plots are. blocks: as in the JSON result.
    """

    name: str
    folder: Path
    blocks: Sequence[Mapping[str, Any]]

    def __str__(self) -> str:
        return markdown(self.name, self.blocks, [])

    def arm(self, name: str, *, data: str | None = None) -> ArmResult:
        """An arm by name; ``data`` names the block where there are several.

        Raises:
            UsageError: no arm, or several.
        """
        found = [
            ArmResult(block, arm)
            for block in self.blocks
            for arm in block["arms"]
            if arm["name"] == name and data in (None, block["data"])
        ]
        if len(found) != 1:
            known = ", ".join(f"{block['data']}/{arm['name']}" for block in self.blocks for arm in block["arms"])
            raise UsageError(f"{len(found)} arms are called {name!r}", f"There is: {known}. Name the data too.")
        return found[0]

    def save(self, path: str | Path) -> None:
        """Write the JSON result, to be the baseline of later runs."""
        text = json.dumps(document(self.name, self.blocks, []), indent=1, sort_keys=True) + "\n"
        write_atomic(Path(path), text, mode=0o644)

    def assert_no_regression(self, baseline: "str | Path | BenchResult | None", *conditions: str) -> None:
        """As `assert_no_regression`."""
        assert_no_regression(self, baseline, *conditions)


def run_bench(
    plan: str | Path | Mapping[str, Any] | Plan,
    folder: Path,
    *,
    origin: Path | None = None,
    data: Mapping[str, str | Path] | None = None,
    seeds: int | None = None,
    workers: int | None = None,
) -> BenchResult:
    """Run what is not finished yet, and write all results into the folder.

    Args:
        plan: a TOML file, its content as a mapping, or a `Plan`.
        folder: where finished cells are kept.
        origin: what relative paths of a mapping are relative to; the working directory when left out.
        data: data files by name, instead of the plan's. seeds, workers: instead of the plan's.

    Raises:
        ConfigError: names the key. PairloopError: of a cell that fails.
    """
    paths = {name: Path(path) for name, path in (data or {}).items()}
    home = (origin or Path.cwd()) / "plan.toml"
    if isinstance(plan, Mapping):
        plan = validate(Plan, dict(plan), "the benchmark")
    loaded = finished_plan(plan, home, paths) if isinstance(plan, Plan) else load_plan(Path(plan), paths)
    changes = {key: value for key, value in (("seeds", seeds), ("workers", workers)) if value is not None}
    loaded = loaded.model_copy(update={"bench": loaded.bench.model_copy(update=changes)})
    results = run_plan(loaded, folder, Silent())
    blocks = [block_json(block) for block in summarise(loaded, results)]
    write_all(folder, loaded.bench.name, blocks, [])
    return BenchResult(loaded.bench.name, folder, blocks)


def assert_no_regression(result: BenchResult, baseline: "str | Path | BenchResult | None", *conditions: str) -> None:
    """Fail if a whole 95 % interval lies on the failing side of a condition.

    Args:
        result: the run.
        baseline: an older result, or its JSON file; None where no condition compares.
        conditions: as ``--fail-if``: ``accuracy<0.6``, ``default:accuracy.drop>0.02``.

    Raises:
        AssertionError: says which condition failed where, by what interval, and what to do.
        UsageError: a condition cannot be read or matches no arm. DataError: no such baseline.
    """
    if not conditions:
        raise UsageError("no condition was given", 'Give one, for example "default:accuracy.drop>0.02".')
    old = baseline.blocks if isinstance(baseline, BenchResult) else None
    if isinstance(baseline, str | Path):
        old = read_blocks(Path(baseline))
    verdicts = judge([parse(text) for text in conditions], result.blocks, old)
    failed = [verdict for verdict in verdicts if verdict.failed]
    if failed:
        raise AssertionError(_explained(result, failed, len(verdicts)))


def _explained(result: BenchResult, failed: Sequence[Verdict], of: int) -> str:
    arms = [arm for block in result.blocks for arm in block["arms"]]
    groups = max(block["groups"] for block in result.blocks)
    lines = [f"benchmark {result.name!r}: {len(failed)} of {of} conditions failed"]
    lines += [f"  {verdict.condition} at {verdict.where}: {verdict.detail}" for verdict in failed]
    return "\n".join(
        [
            *lines,
            f"The whole interval is on the failing side, with {arms[0]['seeds']} paired seeds and {groups} held-out"
            " groups, so luck is no likely reason.",
            f"Curves: {result.folder / (result.name + '.svg')}",
            "To see whether it holds for other seeds too, raise bench.first_seed. If the change is meant, take the new"
            " numbers as the baseline: result.save(PATH).",
            "",
            str(result),
        ]
    )


def _interval(item: Mapping[str, Any]) -> Interval:
    return Interval(item["value"], item["low"], item["high"])
