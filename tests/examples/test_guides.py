"""The examples of the guides run, and end where the guides say."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "guides" / script), str(folder)],
        check=False, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ask_and_tell(tmp_path: Path) -> None:
    told = run("ask_and_tell.py", tmp_path)
    assert "round 3: 12 answers, 36 votes in all" in told
    assert "a useful answer is worth +" in told
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_weeks_by_files(tmp_path: Path) -> None:
    told = run("weeks_by_files.py", tmp_path)
    assert "finished: round.max_rounds = 2 is reached" in told
    rows = [json.loads(line) for line in (tmp_path / "preferences.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 20
    assert "# " in (tmp_path / "preferences.jsonl.md").read_text("utf-8")


def test_a_benchmark_as_a_test(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "--import-mode=importlib", "-o", f"cache_dir={tmp_path}",
         str(ROOT / "examples" / "benchmark" / "test_reward_model.py")],
        check=False, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr
