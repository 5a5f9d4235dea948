"""One process of a training job: ``torchrun --nproc-per-node 2 -m pairloop_reward.finetuned.worker FOLDER``.

accelerate starts the same module, ``accelerate launch --multi_gpu --num_processes 2 -m … FOLDER``, also on machines
without a GPU (with ``--cpu`` it would start one process, which is refused). Without a launcher it is a job of one
process. The folder is what the reward model names with ``reward.options.launch = "outside"``.
"""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from filelock import FileLock

from pairloop.errors import PairloopError, UsageError
from pairloop.kit.progress import Silent
from pairloop.protocols import Progress
from pairloop_reward.finetuned.job import Job, read_job
from pairloop_reward.finetuned.modes import prepare
from pairloop_reward.finetuned.network import Network, load_network
from pairloop_reward.finetuned.processes import Group, check_world, joined_group, launched_world
from pairloop_reward.finetuned.runtime import device_named, repeatable
from pairloop_reward.finetuned.state import State, put
from pairloop_reward.finetuned.training import Trainer

CHECKPOINTS = "checkpoints"


class Lines:
    """Implements `pairloop.protocols.Progress` by lines on standard output, which the starting process reads."""

    def start(self, label: str, total: int | None = None) -> None:
        """One line."""
        self._say(f"start {total or 0}")

    def advance(self, n: int = 1, note: str = "") -> None:
        """One line."""
        self._say(f"advance {n} {note}")

    def finish(self) -> None:
        """Nothing."""

    def _say(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def trained(job: Job, folder: Path, group: Group, progress: Progress) -> tuple[Network, State]:
    """Train the job, or go on with it; the network with the best epoch's weights, adapters still apart."""
    device = device_named(job.options.device)
    network = load_network(job.location, device)
    network.set_head(job.votes.head)
    parameters = prepare(network, job.options, job.seed)
    state = Trainer(job, network, parameters, folder / CHECKPOINTS, group, progress).run()
    put(parameters, state.best)
    return network, state


def _one_at_a_time(folder: Path, group: Group) -> AbstractContextManager[object]:
    """Wait for processes of a starter that was killed: they end at their next line of progress, with their step."""
    return FileLock(str(folder / "lock")) if group.rank == 0 else nullcontext()


def main(arguments: list[str]) -> int:
    """Train the job in the folder named; 0, or the exit code of the error."""
    try:
        if len(arguments) != 1:
            raise UsageError("name the folder of one job", "It is in what the reward model said.")
        folder = Path(arguments[0])
        job = read_job(folder)
        check_world(job.options.processes, launched_world())
        with repeatable(job.threads), joined_group(job.options.device) as group, _one_at_a_time(folder, group):
            trained(job, folder, group, Lines() if group.rank == 0 else Silent())
    except PairloopError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
