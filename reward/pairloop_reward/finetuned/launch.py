"""Having a job trained: in this process, or in several."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from pairloop.errors import Diverged, ModelError
from pairloop.protocols import Progress
from pairloop_reward.finetuned.job import Job, write_job
from pairloop_reward.finetuned.network import Network
from pairloop_reward.finetuned.processes import ALONE
from pairloop_reward.finetuned.runtime import repeatable
from pairloop_reward.finetuned.state import State, load_state
from pairloop_reward.finetuned.worker import CHECKPOINTS, trained

_MODULE = "pairloop_reward.finetuned.worker"


def train(job: Job, folder: Path, progress: Progress) -> tuple[Network, State]:
    """The trained network and how training went; a job that was killed goes on, and a finished one is only read.

    Raises:
        Diverged: a number is not finite. ModelError: a process failed, or the job waits to be started outside.
    """
    if job.options.processes > 1:
        write_job(job, folder)
        if not _finished(job, folder):
            if job.options.launch == "outside":
                raise ModelError(
                    f"a training job for {job.options.processes} processes waits in {folder}",
                    f"Start it: torchrun --nproc-per-node {job.options.processes} -m {_MODULE} {folder}\n"
                    f"  or: accelerate launch --multi_gpu --num_machines 1 --num_processes {job.options.processes} "
                    f"-m {_MODULE} {folder}\n"
                    "  then run the same command again.",
                )
            _launch(job, folder, progress)
    with repeatable(job.threads):
        return trained(job, folder, ALONE, progress)


def _finished(job: Job, folder: Path) -> bool:
    state = load_state(folder / CHECKPOINTS, job.key, {}, None)
    return state is not None and state.finished


def _launch(job: Job, folder: Path, progress: Progress) -> None:
    """Run the processes of a job on this machine, and end them with this one.

    Raises:
        ModelError: one of them failed.
    """
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(job.options.processes),
        "-m", _MODULE, str(folder),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": str(job.threads)}
    with (folder / "errors.log").open("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, start_new_session=True
        )
        try:
            _report(process.stdout or (), progress)
            code = process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
        if code:
            errors.seek(0)
            raise _failure(job, folder, errors.read())


def _failure(job: Job, folder: Path, said: str) -> ModelError:
    for line in said.splitlines():
        if line.startswith("fine-tuning diverged"):
            return Diverged(line, f"Lower reward.options.learning_rate (it is {job.options.learning_rate:g}).")
    return ModelError(
        f"a process that fine-tunes the reward model failed; what it said is in {folder / 'errors.log'}",
        "The next run goes on from the last checkpoint.",
    )


def _report(lines: Iterable[str], progress: Progress) -> None:
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        count, _, note = rest.partition(" ")
        if word == "start":
            progress.start("fine-tuning the reward model", int(count) or None)
        elif word == "advance":
            progress.advance(int(count), note)
    progress.finish()
