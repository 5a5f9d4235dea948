"""The processes that train together, seen from one of them: who it is, and how sums are made over all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor

from pairloop.errors import UsageError


@dataclass(frozen=True, slots=True)
class Group:
    """One of ``world`` processes; number ``rank``."""

    rank: int = 0
    world: int = 1

    def add_up(self, tensor: Tensor) -> Tensor:
        """The sum of this tensor over all processes, in place."""
        if self.world > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def share(self, count: int) -> slice:
        """Which of ``count`` rows are this process's."""
        return slice(self.rank, count, self.world)


ALONE = Group()


def launched_world() -> int:
    """Processes that a launcher (torchrun, accelerate) says there are; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def check_world(wanted: int, found: int) -> None:
    """Refuse a launch with another number of processes than the job is for.

    The processes divide each batch between them, so any number would train; but a typing error in the launch command
    would silently change what the job's key stands for.

    Raises:
        UsageError: the numbers differ.
    """
    if wanted != found:
        raise UsageError(
            f"the job is for {wanted} processes (reward.options.processes), but {found} were started",
            f"Start {wanted}, as in: torchrun --nproc-per-node {wanted} -m pairloop_reward.finetuned.worker FOLDER",
        )


@contextmanager
def joined_group(device: str) -> Iterator[Group]:
    """Join the processes that a launcher started; alone where there is no launcher."""
    if launched_world() == 1:
        yield ALONE
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Group(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()
