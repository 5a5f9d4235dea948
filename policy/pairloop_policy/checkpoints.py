"""Training checkpoints of RL: tensors in `pairloop.kit.checkpoints`."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

from pairloop.kit import checkpoints
from pairloop.records import JsonObject

_SUFFIX = ".safetensors"
Tensors = Mapping[str, Mapping[str, Tensor]]
"""Tensors by file and name."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a job goes on from, and which newer checkpoints it could not read."""

    state: JsonObject
    tensors: Tensors
    damaged: tuple[str, ...]


def save(folder: Path, fingerprint: str, step: int, state: JsonObject, tensors: Tensors) -> None:
    """Write the checkpoint of a step and drop all but the newest ones.

    Raises:
        StorageFull: the disk is full, read-only or failing; older checkpoints are intact.
    """
    files = {
        name + _SUFFIX: tensors_to_bytes({key: value.detach().cpu().contiguous() for key, value in group.items()})
        for name, group in tensors.items()
    }
    checkpoints.save(folder, fingerprint, step, state, files)


def latest(folder: Path, fingerprint: str) -> Checkpoint | None:
    """The newest checkpoint of this job that is whole; None if there is none. Those of other jobs do not count."""
    found = checkpoints.latest(folder, fingerprint)
    if found is None:
        return None
    tensors = {name.removesuffix(_SUFFIX): load_tensors(data) for name, data in found.files.items()}
    return Checkpoint(found.state, tensors, found.damaged)


def hash_folder(folder: Path) -> str:
    """sha256 over names and contents of all files of a folder."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            total.update(f"{path.relative_to(folder)}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()
