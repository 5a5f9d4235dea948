"""A disk that is full: what was committed stays, the error says so, and the campaign goes on once there is room."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import forkserver, scenarios
from support.projection import differences, projection
from support.sweep import Sweep

from pairloop.campaign import Campaign, Finished
from pairloop.errors import StorageFull
from pairloop.steps import publish
from pairloop.store import Store
from pairloop.testing.failpoints import failing_at

Sweeps = Callable[[str], Sweep]

_LIMITED = """
import json, resource, signal, sys
sys.path.insert(0, {tests!r})
from support.forkserver import _run, _warm_up
_warm_up()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails with EFBIG instead
for request, limit in json.loads(sys.argv[1]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    print(json.dumps(_run(request)), flush=True)
"""


def limited(*requests: tuple[dict[str, Any], int]) -> list[dict[str, Any]]:
    """Run campaigns in one process that cannot write files beyond a size."""
    script = _LIMITED.format(tests=str(Path(forkserver.__file__).parents[1]))
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(requests)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_files_that_cannot_grow(sweeps: Sweeps) -> None:
    """Sizes at which making the database, storing a model or a commit fails; then without the limit, to the end."""
    sweep = sweeps("plain")
    sizes = [0, 4096, 60_000, 100_000, 150_000, 180_000, 200_000, 230_000]
    places = {size: sweep.place() for size in sizes}
    answers = limited(*(({"folder": str(places[size]), "scenario": "plain"}, size) for size in sizes))
    failed = {size: answer for size, answer in zip(sizes, answers, strict=True) if answer["outcome"] == "error"}
    assert len(failed) >= 5, "most of these sizes are too small for the campaign"
    for size, answer in failed.items():
        assert "StorageFull" in answer["error"], (size, answer)
        assert "what was committed is intact" in answer["error"], (size, answer)
    for place in places.values():
        assert sweep.resumed(place) == []
        shutil.rmtree(place.parent)


def test_a_file_system_that_is_full(tmp_path: Path) -> None:
    """A real one of 400 KiB: it fills up, some room is made, and the campaign goes on to the same end."""
    script = f"""
set -e
mkdir -p {tmp_path}/disk {tmp_path}/free
mount -t tmpfs -o size=400k tmpfs {tmp_path}/disk
dd if=/dev/zero of={tmp_path}/disk/ballast bs=1k count=180 status=none
{sys.executable} -c "$RUNNER" {tmp_path}/disk/campaign
{sys.executable} -c "$CHECK" {tmp_path}/disk/campaign
rm {tmp_path}/disk/ballast
mount -o remount,size=20m {tmp_path}/disk
{sys.executable} -c "$RUNNER" {tmp_path}/disk/campaign
cp -r {tmp_path}/disk/. {tmp_path}/free
"""
    tests = str(Path(forkserver.__file__).parents[1])
    runner = (
        f"import json, sys; sys.path.insert(0, {tests!r}); from support.forkserver import _run\n"
        "print(json.dumps(_run({'folder': sys.argv[1], 'scenario': 'plain'})))\n"
    )
    check = (
        "import sys; from pathlib import Path; from pairloop.store import Store\n"
        "with Store.open_readonly(Path(sys.argv[1])) as store:\n"
        "    store.annotations.verify(); print(repr(store.check()))\n"
    )
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"no private mounts here: {probe.stderr.decode().strip()}")
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script], env={"RUNNER": runner, "CHECK": check, "PATH": "/usr/bin:/bin:/sbin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    full, intact, resumed = done.stdout.splitlines()
    assert json.loads(full)["outcome"] == "error"
    assert "StorageFull" in json.loads(full)["error"]
    assert intact == "[]"
    assert json.loads(resumed)["outcome"] == "finished"
    with Store.open_readonly(tmp_path / "free" / "campaign") as store:
        assert store.check() == []


def test_the_full_file_system_changes_nothing(sweeps: Sweeps, tmp_path: Path) -> None:
    """A write that fails once, at each failpoint of a commit or a file, is like a kill there."""
    publish.CHUNK, before = scenarios.CHUNK, publish.CHUNK
    try:
        for number, (name, hit) in enumerate(
            [("artifact.before_rename", 2), ("atomic.before_rename", 3), ("transaction.before_commit", 20)]
        ):
            place = tmp_path / str(number) / "campaign"
            place.parent.mkdir()

            def run(place: Path = place) -> object:
                with Campaign(
                    place, registry=scenarios.registry(), config_text=scenarios.SCENARIOS["plain"]
                ) as campaign:
                    return campaign.run()

            with failing_at(name, OSError(28, "No space left on device"), hit), pytest.raises((StorageFull, OSError)):
                run()
            assert isinstance(run(), Finished)
            assert differences(sweeps("plain").expected, projection(place)) == []
    finally:
        publish.CHUNK = before
