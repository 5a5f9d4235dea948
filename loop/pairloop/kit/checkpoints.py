"""Training checkpoints: complete or absent, hashed, and never pickled.

``step-000020/`` holds files and ``state.json``, which names their sha256; it is written under another name, flushed to
the disk and renamed. Random numbers need no place in it: they are derived from the job's seed and the step.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairloop.kit.canonical import canonical_json, digest
from pairloop.kit.staging import staged
from pairloop.records import JsonObject

KEPT = 2


@dataclass(frozen=True, slots=True)
class Saved:
    """What a job goes on from: its state, its files' bytes by name, and newer checkpoints that are damaged."""

    state: JsonObject
    files: Mapping[str, bytes]
    damaged: tuple[str, ...]


def save(folder: Path, fingerprint: str, step: int, state: JsonObject, files: Mapping[str, bytes]) -> None:
    """Write the checkpoint of a step and drop all but the newest ``KEPT``.

    Raises:
        StorageFull: the disk is full, read-only or failing; older checkpoints are intact.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with staged(folder / f"step-{step:06d}") as into:
        for name, data in files.items():
            (into / name).write_bytes(data)
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        body = {"fingerprint": fingerprint, "step": step, "files": hashes, "state": dict(state)}
        (into / "state.json").write_text(canonical_json({**body, "digest": digest(body)}), "utf-8")
    for old in _newest_first(folder)[KEPT:]:
        shutil.rmtree(old)


def latest(folder: Path, fingerprint: str) -> Saved | None:
    """The newest checkpoint of this job that is whole; None if there is none. Those of other jobs do not count."""
    damaged: list[str] = []
    for candidate in _newest_first(folder):
        try:
            body, files = _read(candidate)
        except (OSError, ValueError, KeyError, TypeError) as error:
            damaged.append(f"{candidate.name} ({error})")
            continue
        if body["fingerprint"] == fingerprint:
            return Saved(body["state"], files, tuple(damaged))
    return None


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Body and files of one checkpoint; raises OSError, ValueError, KeyError or TypeError if it is damaged."""
    body = json.loads((folder / "state.json").read_text("utf-8"))
    if digest({key: value for key, value in body.items() if key != "digest"}) != body["digest"]:
        raise ValueError("state.json does not match its digest")
    files = {}
    for name, expected in body["files"].items():
        files[name] = (folder / name).read_bytes()
        if hashlib.sha256(files[name]).hexdigest() != expected:
            raise ValueError(f"{name} does not match its sha256")
    return body, files


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)
