"""What training holds between two steps, as a checkpoint and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

from pairloop.kit import checkpoints

Parameters = Mapping[str, Tensor]
_NOW, _MOMENTS, _BEST = "parameters.safetensors", "optimizer.safetensors", "best.safetensors"


@dataclass
class State:
    """The state of a job.

    Attributes:
        step: optimiser steps taken. epoch_losses: loss of the left-out votes before training and after each epoch,
            nats a vote. train_losses: of each step's votes. best_epoch: of the kept parameters ``best``.
        damaged: checkpoints that could not be read.
    """

    step: int = 0
    best_epoch: int = 0
    epoch_losses: list[float] = field(default_factory=list)
    train_losses: list[float] = field(default_factory=list)
    finished: bool = False
    damaged: tuple[str, ...] = ()
    best: dict[str, Tensor] = field(default_factory=dict)

    def keep(self, parameters: Parameters, epoch: int) -> None:
        """Remember these parameters as the best."""
        self.best_epoch = epoch
        self.best = {name: value.detach().cpu().clone() for name, value in parameters.items()}


def save_state(
    folder: Path, key: str, state: State, parameters: Parameters, optimizer: torch.optim.Optimizer | None
) -> None:
    """Write a checkpoint; without an optimiser it is the last one, with the best parameters only.

    Raises:
        StorageFull: the disk is full, read-only or failing; older checkpoints are intact.
    """
    body: dict[str, Any] = {
        "step": state.step, "best_epoch": state.best_epoch, "epoch_losses": state.epoch_losses,
        "train_losses": state.train_losses, "finished": state.finished,
    }  # fmt: skip
    groups: dict[str, Parameters] = {_BEST: state.best}
    if optimizer is not None:
        groups |= {_NOW: parameters, _MOMENTS: _moments(optimizer, parameters)}
    files = {
        name: tensors_to_bytes({key: value.detach().cpu().contiguous() for key, value in group.items()})
        for name, group in groups.items()
    }
    checkpoints.save(folder, key, state.step, body, files)


def load_state(folder: Path, key: str, parameters: Parameters, optimizer: torch.optim.Optimizer | None) -> State | None:
    """The state of the newest whole checkpoint, put back into parameters and optimiser; None where there is none."""
    found = checkpoints.latest(folder, key)
    if found is None:
        return None
    state = State(**found.state, damaged=found.damaged, best=load_tensors(found.files[_BEST]))
    if not state.finished and optimizer is not None:
        put(parameters, load_tensors(found.files[_NOW]))
        _put_moments(optimizer, parameters, load_tensors(found.files[_MOMENTS]))
    return state


def put(parameters: Parameters, values: Parameters) -> None:
    """Copy values into parameters of the same names."""
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(values[name])


def _moments(optimizer: torch.optim.Optimizer, parameters: Parameters) -> dict[str, Tensor]:
    return {
        f"{name}:{moment}": value
        for name, parameter in parameters.items()
        for moment, value in optimizer.state.get(parameter, {}).items()
    }


def _put_moments(optimizer: torch.optim.Optimizer, parameters: Parameters, values: Parameters) -> None:
    number = {name: i for i, name in enumerate(parameters)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in values.items():
        name, _, moment = key.rpartition(":")
        state.setdefault(number[name], {})[moment] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
