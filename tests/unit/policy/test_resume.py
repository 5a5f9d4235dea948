"""A killed job goes on from its last whole checkpoint and ends where the uninterrupted one does, to the bit."""

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from policy_toys import OPTIONS, WordScorer, toy_job

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pairloop.kit.progress import Silent  # noqa: E402
from pairloop_policy.checkpoints import hash_folder  # noqa: E402
from pairloop_policy.rloo import RLOO  # noqa: E402

SCRIPT = Path(__file__).with_name("policy_toys.py")
FIRST_STEP = 3  # the call of the scorer at step 1, after those for the fingerprint and the reference


def tune(folder, initial):
    scorer = WordScorer()
    return RLOO(OPTIONS).tune(toy_job(folder, initial), scorer, Silent()), scorer


@pytest.fixture(scope="module")
def finished(initial, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "job"
    return folder, *tune(folder, initial)


@pytest.fixture
def uninterrupted(finished):
    return finished[1:]


@pytest.fixture
def done(finished, tmp_path):
    """A copy of the folder of the finished job."""
    return Path(shutil.copytree(finished[0], tmp_path / "job"))


@pytest.mark.parametrize("how", ["score", "rename"])
def test_a_job_that_was_killed_ends_as_if_it_had_not_been(initial, uninterrupted, tmp_path, how):
    """Killed at a random score call after the first checkpoint, or before the rename of a checkpoint."""
    hit = random.SystemRandom().randint(*((FIRST_STEP + 3, FIRST_STEP + 9) if how == "score" else (2, 4)))
    command = [sys.executable, str(SCRIPT), str(tmp_path / "job"), str(initial), how, str(hit)]
    died = subprocess.run(command, timeout=120, check=False, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, (hit, died.stderr)
    left = sorted(p.name for p in (tmp_path / "job" / "checkpoints").iterdir())
    assert any(name.startswith("step-") for name in left), (hit, left)
    whole, whole_scorer = uninterrupted
    resumed, scorer = tune(tmp_path / "job", initial)
    assert scorer.calls < whole_scorer.calls, "it really went on instead of starting over"
    assert resumed.metrics == whole.metrics, hit
    assert resumed.summary == whole.summary, hit
    assert resumed.stop_reason == whole.stop_reason, hit
    assert hash_folder(resumed.checkpoint) == hash_folder(whole.checkpoint), hit


def test_a_damaged_checkpoint_is_passed_over_and_said(initial, uninterrupted, done):
    last = max((done / "checkpoints").glob("step-*"))
    tensors = last / "policy.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-100])
    resumed, _ = tune(done, initial)
    whole, _ = uninterrupted
    assert f"damaged checkpoints were passed over: {last.name}" in resumed.stop_reason
    assert resumed.metrics == whole.metrics
    assert hash_folder(resumed.checkpoint) == hash_folder(whole.checkpoint)


def test_a_finished_job_is_not_done_again(initial, uninterrupted, done):
    again, scorer = tune(done, initial)
    whole, _ = uninterrupted
    assert scorer.calls == 3, "the fingerprint, and the two final looks at the probes"
    assert (again.metrics, again.stop_reason, again.summary) == (whole.metrics, whole.stop_reason, whole.summary)


@pytest.mark.parametrize("change", ["seed", "scorer", "reference"])
def test_checkpoints_of_another_job_are_not_used(initial, finished, done, change):
    """A finished job would be delivered at once, without a single step."""
    scorer = WordScorer("i" if change == "scorer" else "red")
    reference = finished[1].checkpoint if change == "reference" else initial
    job = toy_job(done, initial, reference, seed=6 if change == "seed" else 5)
    RLOO(OPTIONS).tune(job, scorer, Silent())
    assert scorer.calls > 8
