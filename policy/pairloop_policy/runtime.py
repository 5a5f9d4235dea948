"""Process-wide switches of torch, set for the length of one call and put back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.deterministic
from transformers.utils import logging

from pairloop.errors import ConfigError

_memory: Any = torch.utils.deterministic


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of transformers: progress goes through `pairloop.protocols.Progress`."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def deterministic(threads: int = 1) -> Iterator[None]:
    """Deterministic kernels on ``threads`` processor threads; sums then have one order."""
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        _memory.fill_uninitialized_memory,
    )
    torch.set_num_threads(threads)
    # warn_only: some CUDA kernels have no deterministic variant, which is no reason to refuse the GPU.
    torch.use_deterministic_algorithms(True, warn_only=True)
    _memory.fill_uninitialized_memory = False  # a seventh of the time; nothing here reads such memory
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1], warn_only=before[2])
        _memory.fill_uninitialized_memory = before[3]


def device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "policy.options.device is 'cuda', but torch finds no CUDA device on this machine.",
            "Set device = 'cpu', or install a CUDA build of torch on a machine with a GPU.",
        )
    return torch.device(name)
