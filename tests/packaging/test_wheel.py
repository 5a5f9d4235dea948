"""sdist → wheel → empty environment outside the tree: what a user gets from `pip install pairloop`, without torch."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("pairloop", "pairloop_plugins", "pairloop_reward", "pairloop_policy")

pytestmark = pytest.mark.skipif(
    os.environ.get("PAIRLOOP_OFFLINE") == "1", reason="PAIRLOOP_OFFLINE=1: no package registry to install from"
)


def run(*command: str | Path, cwd: Path, timeout: float = 900) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)  # the wheel is made from the sdist
    return out


@pytest.fixture(scope="module")
def environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    wheel = next(built.glob("*.whl"))
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return folder


def test_the_wheel_holds_the_four_packages_and_nothing_else(built: Path) -> None:
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    for package in PACKAGES:
        source = next(folder / package for folder in ROOT.iterdir() if (folder / package / "__init__.py").is_file())
        here = {
            path.relative_to(source.parent).as_posix()
            for path in source.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert {name for name in names if name.startswith(f"{package}/")} == here


def test_the_sdist_has_what_a_packager_needs(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "Makefile", "tests/conftest.py"} <= names


def test_the_empty_environment_has_no_torch_and_no_conflict(environment: Path) -> None:
    listed = run(environment / "bin/python", "-m", "pip", "list", "--format=freeze", cwd=environment).lower()
    assert "pairloop==" in listed
    for heavy in ("torch==", "transformers==", "label-studio-sdk==", "label_studio_sdk==", "pandas=="):
        assert heavy not in listed
    run(environment / "bin/python", "-m", "pip", "check", cwd=environment)


def test_the_program_says_its_version(environment: Path) -> None:
    from pairloop import __version__

    assert __version__ in run(environment / "bin/pairloop", "--version", cwd=environment)


def test_a_two_round_demo_runs_without_torch(environment: Path, tmp_path: Path) -> None:
    run(environment / "bin/pairloop", "demo", "--rounds", "2", cwd=tmp_path)
    status = run(environment / "bin/pairloop", "status", "--json", "demo-campaign", cwd=tmp_path)
    assert '"rounds_done": 2' in status
    assert (tmp_path / "demo-campaign/report.html").stat().st_size > 10_000


def test_policy_tuning_without_torch_names_the_extra(environment: Path, tmp_path: Path) -> None:
    command = [environment / "bin/pairloop", "demo", "--rounds", "4", "--policy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 2
    assert "pairloop[torch]" in done.stderr
