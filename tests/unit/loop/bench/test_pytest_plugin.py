"""Benchmarks from pytest: what it costs others, what a failure says, and what is kept between runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pairloop.bench.summary import Interval
from pairloop.errors import DataError, UsageError
from pairloop.testing.bench import BenchResult, assert_no_regression

pytest_plugins = ("pytester",)

PLAN = {
    "bench": {"name": "tiny", "seeds": 1, "votes": 20, "batch": 20, "bootstrap": 100},
    "data": [{"name": "demo", "source": "demo", "truth": "gold", "measured_pairs": 50, "options": {"prompts": 12}}],
    "annotators": [{"name": "noisy", "gold": "demo"}],
    "models": [{"name": "small", "options": {"dimensions": 0, "annotators": "pooled", "flip_rate": 0.1}}],
    "strategies": [{"name": "random", "strategy": "random", "random_share": 1.0}],
}


def result(low: float, high: float, folder: Path = Path("out")) -> BenchResult:
    middle = {"value": (low + high) / 2, "low": low, "high": high}
    arm = {
        "name": "default", "seeds": 7, "votes": [50.0], "curves": {"accuracy": [middle]}, "area": middle,
        "votes_to_target": None, "against": {"area": middle}, "saved": None, "matches": {},
    }  # fmt: skip
    block = {"data": "d", "annotators": "a", "model": "m", "baseline": "random", "target": 0.7, "groups": 9}
    return BenchResult("mine", folder, [{**block, "arms": [arm]}])


def test_the_plugin_loads_nothing_but_the_standard_library() -> None:
    """Modules are counted, not milliseconds: it is loaded in every pytest run of every project beside it."""
    code = (
        "import sys, pytest\nbefore = set(sys.modules)\nimport pairloop.pytest_plugin\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names\n"
        "print(sorted(new), sorted(name for name in set(sys.modules) - before if name.startswith('pairloop')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['pairloop'] ['pairloop', 'pairloop.pytest_plugin']"


def test_a_run_without_the_fixture_loads_nothing_more(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_nothing_was_loaded():
            loaded = [name for name in sys.modules if name.startswith("pairloop.")]
            assert loaded == ["pairloop.pytest_plugin"]
            assert "numpy" not in sys.modules
        """
    )
    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_benchmark_in_a_test_is_run_once_and_judged(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import pytest
        PLAN = {PLAN!r}

        def test_it(pairloop_bench, pairloop_bench_folder):
            first = pairloop_bench(PLAN)
            cells = list(pairloop_bench_folder.glob("*/cells/*.json"))
            assert len(cells) == 1
            stamp = cells[0].stat().st_mtime_ns
            again = pairloop_bench(PLAN)
            assert cells[0].stat().st_mtime_ns == stamp
            assert again.arm("random").votes == [20.0]
            first.save("baseline.json")
            again.assert_no_regression("baseline.json", "accuracy.drop>0.001", "random:accuracy<0.01")

        def test_that_fails(pairloop_bench):
            pairloop_bench(PLAN).assert_no_regression(None, "accuracy>0.01")
        """
    )
    found = pytester.runpytest_subprocess("-p", "no:xdist")
    found.assert_outcomes(passed=1, failed=1)
    found.stdout.fnmatch_lines(["*1 of 1 conditions failed*", "*accuracy>0.01 at demo/noisy/small/random: 95 %*"])
    pytester.runpytest_subprocess("-p", "no:xdist", "-p", "no:cacheprovider", "-k", "fails").assert_outcomes(failed=1)


def test_a_failure_says_interval_seeds_and_what_to_do(tmp_path: Path) -> None:
    old, new = result(0.80, 0.82), result(0.70, 0.72, tmp_path)
    with pytest.raises(AssertionError) as caught:
        assert_no_regression(new, old, "default:accuracy.drop>0.02", "accuracy<0.1")
    text = str(caught.value)
    assert "1 of 2 conditions failed" in text
    assert "default:accuracy.drop>0.02 at d/a/m/default: 95 % interval [0.0800, 0.1200]" in text
    assert "7 paired seeds and 9 held-out groups" in text
    assert "result.save(PATH)" in text
    assert str(tmp_path / "mine.svg") in text
    assert_no_regression(old, new, "default:accuracy.drop>0.02")  # a gain is no regression


def test_a_baseline_is_a_file_too(tmp_path: Path) -> None:
    result(0.80, 0.82).save(tmp_path / "old.json")
    assert json.loads((tmp_path / "old.json").read_text())["name"] == "mine"
    with pytest.raises(AssertionError, match="accuracy"):
        result(0.70, 0.72).assert_no_regression(tmp_path / "old.json", "accuracy.drop>0")
    with pytest.raises(DataError, match="cannot be read"):
        result(0.70, 0.72).assert_no_regression(tmp_path / "none.json", "accuracy.drop>0")
    with pytest.raises(UsageError, match="no condition"):
        result(0.70, 0.72).assert_no_regression(None)


def test_accessors() -> None:
    arm = result(0.7, 0.8).arm("default", data="d")
    assert arm.end("accuracy") == Interval(0.75, 0.7, 0.8)
    assert arm.summary("area") == Interval(0.75, 0.7, 0.8)
    assert arm.summary("saved") is None
    assert arm.against("area").low == 0.7
    with pytest.raises(UsageError, match="was not measured"):
        arm.end("spearman")
    with pytest.raises(UsageError, match="0 arms are called 'bald'"):
        result(0.7, 0.8).arm("bald")
