"""The same seed gives the same campaign, whatever hash seed, threads, cores or processes it runs with."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import forkserver, scenarios
from support.forkserver import ForkServer
from support.projection import Projection, differences, projection
from support.sweep import Sweep

from pairloop.campaign import Campaign, Finished

Sweeps = Callable[[str], Sweep]

ENVIRONMENTS = {
    "another hash seed, two threads": ({"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}, 2),
    "a random hash seed, one core": ({"PYTHONHASHSEED": "random", "OMP_NUM_THREADS": "1"}, 1),
}


def run_elsewhere(folder: Path, scenario: str, environment: dict[str, str], cores: int) -> Projection:
    """Run a scenario in a process of its own and project it."""
    script = (
        "import json, os, sys\n"
        f"os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{cores}])\n"
        f"sys.path.insert(0, {str(Path(forkserver.__file__).parents[1])!r})\n"
        "from support.forkserver import _run\n"
        f"print(json.dumps(_run(json.loads(sys.argv[1]))))\n"
    )
    clean = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps({"folder": str(folder), "scenario": scenario})],
        env=clean | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["outcome"] == "finished", done.stdout
    return projection(folder)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("scenario", ["people", "real"])
def test_the_environment_changes_nothing(sweeps: Sweeps, scenario: str, environment: str) -> None:
    sweep = sweeps(scenario)
    place = sweep.place()
    assert differences(sweep.expected, run_elsewhere(place, scenario, *ENVIRONMENTS[environment])) == []
    shutil.rmtree(place.parent)


@pytest.mark.parametrize("scenario", ["plain", "real"])
def test_one_process_a_step_changes_nothing(sweeps: Sweeps, fork_server: ForkServer, scenario: str) -> None:
    """As cron does it: a process for every step, and nothing is carried from one to the next but the folder."""
    sweep = sweeps(scenario)
    place = sweep.place()
    answer = {"outcome": "stopped"}
    processes = 0
    while answer["outcome"] == "stopped":
        answer = fork_server.run(place, scenario, steps=1)
        processes += 1
        assert processes < 200
    assert answer["outcome"] == "finished"
    assert differences(sweep.expected, projection(place)) == []
    shutil.rmtree(place.parent)


def test_the_same_seed_gives_the_same_campaign_again(sweeps: Sweeps, fork_server: ForkServer) -> None:
    """In a fresh folder; nothing but the clock differs."""
    sweep = sweeps("people")
    assert sweep.problems([]) == []


def test_another_seed_gives_another_campaign(sweeps: Sweeps, tmp_path: Path) -> None:
    """Otherwise the comparisons above would show nothing."""
    text = scenarios.SCENARIOS["plain"].replace("seed = 7", "seed = 8")
    with Campaign(tmp_path / "campaign", registry=scenarios.registry(), config_text=text) as campaign:
        assert isinstance(campaign.run(), Finished)
    changed = {
        line.partition(":")[0] for line in differences(sweeps("plain").expected, projection(tmp_path / "campaign"))
    }
    assert {"assignments", "annotations", "models", "groups"} <= changed


def test_a_random_id_changes_nothing_but_keys(tmp_path: Path) -> None:
    """Two campaigns without a fixed id ask the same questions and learn the same model."""
    text = scenarios.SCENARIOS["plain"].replace('id = "toy"\n', "")
    found = []
    for name in ("one", "two"):
        with Campaign(tmp_path / name / "campaign", registry=scenarios.registry(), config_text=text) as campaign:
            campaign.run()
            asked = [(a.pair_id, a.flipped, a.arm, a.score) for a in campaign.store.rounds.assignments()]
            models = [(row.artifact, row.report) for row in campaign.store.models.all("reward")]
            found.append((asked, models, campaign.id))
    assert found[0][:2] == found[1][:2]
    assert found[0][2] != found[1][2]
