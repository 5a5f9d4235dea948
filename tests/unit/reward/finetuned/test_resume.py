"""A killed fit goes on from its last whole checkpoint and ends where the uninterrupted one does, to the byte."""

import os
import random
import signal

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_models import Killer, fit

pytestmark = pytest.mark.torch

ENCODED, STEPS = 120, 21  # reports of the pretrained network's states, then of optimiser steps


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(bert, tmp_path_factory):
    place = tmp_path_factory.mktemp("whole")
    watch = Killer(0)
    fit(bert, place / "cache", place / "model", watch)
    return place, watch


def run_killed(model, place, at):
    """The signal that ended a child that fits here and is killed at a report; 0 where it ended by itself."""
    child = os.fork()
    if child == 0:
        try:
            fit(model, place / "cache", place / "model", Killer(at))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def test_it_reports_what_it_does_with_the_time_left(whole):
    watch = whole[1]
    assert watch.labels[0].startswith("encoding 120 texts")
    assert "fine-tuning the reward model" in watch.labels


@pytest.mark.parametrize("where", ["encoding", "first steps", "later steps", "last states"])
def test_a_fit_that_was_killed_ends_as_if_it_had_not_been(bert, whole, tmp_path, where):
    ranges = {
        "encoding": (2, ENCODED), "first steps": (ENCODED + 2, ENCODED + 8),
        "later steps": (ENCODED + 12, ENCODED + STEPS), "last states": (ENCODED + STEPS + 4, ENCODED + STEPS + 100),
    }  # fmt: skip
    at = random.SystemRandom().randint(*ranges[where])
    assert run_killed(bert, tmp_path, at) == signal.SIGKILL, at
    jobs = list((tmp_path / "cache/finetuned").glob("jobs/*/checkpoints/step-*"))
    assert bool(jobs) == (where in ("later steps", "last states")) or where == "first steps", (at, jobs)
    watch = Killer(0)
    fit(bert, tmp_path / "cache", tmp_path / "model", watch)
    assert contents(tmp_path / "model") == contents(whole[0] / "model"), at
    if where != "encoding":
        assert watch.seen < whole[1].seen, "it went on instead of starting over"


def test_killed_twice_and_with_a_damaged_checkpoint(bert, whole, tmp_path):
    assert run_killed(bert, tmp_path, ENCODED + 10) == signal.SIGKILL
    assert run_killed(bert, tmp_path, 12) == signal.SIGKILL
    newest = max((tmp_path / "cache/finetuned").glob("jobs/*/checkpoints/step-*"))
    tensors = newest / "parameters.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-50])
    fit(bert, tmp_path / "cache", tmp_path / "model", Killer(0))
    assert contents(tmp_path / "model") == contents(whole[0] / "model")


def test_a_finished_fit_is_not_done_again_and_other_votes_are_another_job(bert, whole, tmp_path):
    again = Killer(0)
    fit(bert, whole[0] / "cache", tmp_path / "model", again)
    assert again.seen == 0
    assert contents(tmp_path / "model") == contents(whole[0] / "model")
    other = Killer(0)
    fit(bert, whole[0] / "cache", tmp_path / "other", other, learning_rate=1e-3)
    assert other.seen >= STEPS


def test_an_interrupt_leaves_a_fit_that_goes_on(bert, whole, tmp_path):
    class Stopped(KeyboardInterrupt):
        pass

    class Stopping(Killer):
        def advance(self, n=1, note=""):
            self.seen += 1
            if self.seen == ENCODED + 9:
                raise Stopped

    with pytest.raises(Stopped):
        fit(bert, tmp_path / "cache", tmp_path / "model", Stopping(0))
    fit(bert, tmp_path / "cache", tmp_path / "model", Killer(0))
    assert contents(tmp_path / "model") == contents(whole[0] / "model")
