"""Several processes give what one gives; their number is checked; they end with who started them."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_models import Killer, fit
from tiny_models import options as quick

from pairloop.errors import ModelError, UsageError
from pairloop.protocols import ModelContext
from pairloop.testing.reward_models import toy_responses, toy_votes
from pairloop_reward.finetuned.model import FinetunedRewardModel
from pairloop_reward.finetuned.processes import Group, check_world

pytestmark = pytest.mark.torch

WORKER = "pairloop_reward.finetuned.worker"


def fitted(model, cache, **changes):
    out = FinetunedRewardModel(quick(model, left_out=0.2, **changes), ModelContext(cache))
    report = out.fit(toy_votes(toy_responses()), seed=1)
    return out, report


def environment():
    place = {name: value for name, value in os.environ.items() if name not in ("WORLD_SIZE", "RANK", "LOCAL_RANK")}
    return {**place, "OMP_NUM_THREADS": "1"}


def test_processes_share_every_batch_once():
    rows = np.arange(13)
    for world in (1, 2, 3):
        parts = [rows[Group(rank, world).share(len(rows))] for rank in range(world)]
        assert sorted(np.concatenate(parts).tolist()) == rows.tolist()


def test_another_number_of_processes_is_refused():
    check_world(2, 2)
    with pytest.raises(UsageError, match=r"for 2 processes .* 3 were started"):
        check_world(2, 3)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(bert, tmp_path):
    """To rounding: the sums over a batch are made in another order."""
    one, alone = fitted(bert, tmp_path / "one")
    two, both = fitted(bert, tmp_path / "two", processes=2)
    responses = toy_responses()
    assert both.numbers["steps"] == alone.numbers["steps"] > 10
    assert both.numbers["best_epoch"] == alone.numbers["best_epoch"]
    assert both.numbers["train_loss_last"] == pytest.approx(alone.numbers["train_loss_last"], abs=1e-4)
    np.testing.assert_allclose(two.posterior(responses).mean, one.posterior(responses).mean, atol=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "accelerate"])
def test_a_job_may_be_started_outside(bert, tmp_path, launcher):
    with pytest.raises(ModelError, match="waits in") as waiting:
        fitted(bert, tmp_path, processes=2, launch="outside", epochs=1)
    folder = str(waiting.value.message).rpartition(" ")[2]
    if launcher == "torchrun":
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    else:
        pytest.importorskip("accelerate")
        start = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
        start += ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_processes"]
    wrong = subprocess.run(
        [*start, "3", "-m", WORKER, folder], env=environment(), capture_output=True, text=True, check=False, timeout=170
    )
    assert wrong.returncode != 0
    assert "the job is for 2 processes (reward.options.processes), but 3 were started" in wrong.stderr
    done = subprocess.run(
        [*start, "2", "-m", WORKER, folder], env=environment(), capture_output=True, text=True, check=False, timeout=170
    )
    assert done.returncode == 0, done.stderr
    model, report = fitted(bert, tmp_path, processes=2, launch="outside", epochs=1)
    assert report.numbers["steps"] == 10
    assert model.posterior(toy_responses()).fitted


@pytest.mark.slow
def test_a_process_that_fails_is_an_error_that_says_where_to_look(bert, tmp_path):
    with pytest.raises(ModelError, match=r"diverged|failed"):
        fitted(bert, tmp_path, processes=2, learning_rate=1e30)


@pytest.mark.slow
def test_processes_end_with_their_starter_and_the_next_run_goes_on(bert, tmp_path):
    """No process may write beside those of the next run; the end is that of an uninterrupted run, to the byte."""
    changes = {"processes": 2, "epochs": 4, "members": 1}
    fit(bert, tmp_path / "whole", tmp_path / "expected", Killer(0), **changes)
    child = os.fork()
    if child == 0:
        try:
            fit(bert, tmp_path / "cache", tmp_path / "model", Killer(120 + 14), **changes)
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    watch = Killer(0)
    fit(bert, tmp_path / "cache", tmp_path / "model", watch, **changes)
    expected, found = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("expected", "model")
    )
    assert found == expected
