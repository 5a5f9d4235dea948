"""Training checkpoints: complete or absent, hashed, and never pickled.

``step-000020/`` holds safetensors and ``state.json``, which names their sha256; it is written under another name,
flushed to the disk and renamed. Random numbers need no place in it: they are derived from the job's seed and the step.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

from pairloop.kit.canonical import canonical_json, digest
from pairloop.records import JsonObject
from pairloop_policy.models import staged

KEPT = 2
Tensors = Mapping[str, Mapping[str, Tensor]]
"""Tensors by file and name."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a job goes on from, and which newer checkpoints it could not read."""

    state: JsonObject
    tensors: Tensors
    damaged: tuple[str, ...]


def save(folder: Path, fingerprint: str, step: int, state: JsonObject, tensors: Tensors) -> None:
    """Write the checkpoint of a step and drop all but the newest ``KEPT``.

    Raises:
        StorageFull: the disk is full, read-only or failing; older checkpoints are intact.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with staged(folder / f"step-{step:06d}") as into:
        hashes = {}
        for name, group in tensors.items():
            data = tensors_to_bytes({key: value.detach().cpu().contiguous() for key, value in group.items()})
            (into / f"{name}.safetensors").write_bytes(data)
            hashes[name] = hashlib.sha256(data).hexdigest()
        body = {"fingerprint": fingerprint, "step": step, "files": hashes, "state": dict(state)}
        (into / "state.json").write_text(canonical_json({**body, "digest": digest(body)}), "utf-8")
    for old in _newest_first(folder)[KEPT:]:
        shutil.rmtree(old)


def latest(folder: Path, fingerprint: str) -> Checkpoint | None:
    """The newest checkpoint of this job that is whole; None if there is none. Those of other jobs do not count."""
    damaged: list[str] = []
    for candidate in _newest_first(folder):
        try:
            body, tensors = _read(candidate)
        except (OSError, ValueError, KeyError, TypeError) as error:
            damaged.append(f"{candidate.name} ({error})")
            continue
        if body["fingerprint"] == fingerprint:
            return Checkpoint(body["state"], tensors, tuple(damaged))
    return None


def _read(folder: Path) -> tuple[dict[str, Any], Tensors]:
    """Body and tensors of one checkpoint; raises OSError, ValueError, KeyError or TypeError if it is damaged."""
    body = json.loads((folder / "state.json").read_text("utf-8"))
    if digest({key: value for key, value in body.items() if key != "digest"}) != body["digest"]:
        raise ValueError("state.json does not match its digest")
    tensors = {}
    for name, expected in body["files"].items():
        data = (folder / f"{name}.safetensors").read_bytes()
        if hashlib.sha256(data).hexdigest() != expected:
            raise ValueError(f"{name}.safetensors does not match its sha256")
        tensors[name] = load_tensors(data)
    return body, tensors


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def hash_folder(folder: Path) -> str:
    """sha256 over names and contents of all files of a folder."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            total.update(f"{path.relative_to(folder)}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()
