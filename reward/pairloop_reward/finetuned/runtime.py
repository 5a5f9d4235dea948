"""Switches of torch, set for the length of one call and put back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.deterministic

from pairloop.errors import ConfigError
from pairloop.kit.threads import numeric_threads

_memory: Any = torch.utils.deterministic


@contextmanager
def repeatable(threads: int = 1) -> Iterator[None]:
    """Deterministic kernels on ``threads`` processor threads, so that sums have one order."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn, fill = (
        torch.is_deterministic_algorithms_warn_only_enabled(),
        _memory.fill_uninitialized_memory,
    )
    torch.set_num_threads(threads)
    # warn_only: some CUDA kernels have no deterministic variant, which is no reason to refuse the GPU
    torch.use_deterministic_algorithms(True, warn_only=True)
    _memory.fill_uninitialized_memory = False  # nothing here reads such memory
    try:
        with numeric_threads(threads):
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1], warn_only=warn)
        _memory.fill_uninitialized_memory = fill


def device_named(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "reward.options.device is 'cuda', but torch finds no CUDA device on this machine.",
            "Set device = 'cpu', or install a CUDA build of torch on a machine with a GPU.",
        )
    return torch.device(name)
