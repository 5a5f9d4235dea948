"""A saved model: ``model.safetensors`` (arrays), ``vocabulary.json`` and ``model.json`` (everything else).

No pickle anywhere. The same model gives the same bytes. ``model.json`` holds the sha256 of the other two files and
of itself, so that a changed byte is noticed and named.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairloop.errors import CorruptionDetected, DataError
from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import canonical_json, digest

FORMAT = 1
_ARRAYS, _VOCABULARY, _MODEL = "model.safetensors", "vocabulary.json", "model.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is stored: scalars and lists, the vocabulary, and arrays by name."""

    values: Mapping[str, Any]
    terms: tuple[str, ...]
    arrays: Mapping[str, NDArray[Any]]


def write_checkpoint(into: Path, kind: str, checkpoint: Checkpoint) -> None:
    """Write the three files into an existing folder, ``model.json`` last."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in sorted(checkpoint.arrays.items())}
    files = {_ARRAYS: save(arrays), _VOCABULARY: canonical_json(list(checkpoint.terms)).encode()}
    for name, content in files.items():
        write_atomic(into / name, content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    body = {"format": FORMAT, "kind": kind, "files": hashes, "values": dict(checkpoint.values)}
    write_atomic(into / _MODEL, canonical_json({**body, "sha256": digest(body)}) + "\n")


def read_checkpoint(folder: Path, kind: str) -> Checkpoint:
    """Read and check a folder that `write_checkpoint` wrote.

    Raises:
        CorruptionDetected: a file is missing, truncated or changed. DataError: another kind or a newer format.
    """
    from safetensors.numpy import load

    body = _read_model(folder / _MODEL)
    if body["kind"] != kind or body["format"] > FORMAT:
        raise DataError(
            f"{folder / _MODEL} is a '{body['kind']}' model of format {body['format']}, not a '{kind}' model of "
            f"format {FORMAT}",
            "Load it with the reward model and the release that wrote it.",
        )
    content = {name: _read_checked(folder / name, sha256) for name, sha256 in body["files"].items()}
    terms = tuple(json.loads(content[_VOCABULARY].decode()))
    return Checkpoint(body["values"], terms, load(content[_ARRAYS]))


def _read_model(path: Path) -> dict[str, Any]:
    content = _read(path)
    try:
        body = json.loads(content.decode())
        # byte by byte too: another last digit of a number may parse to the same number
        written = canonical_json(body).encode() + b"\n"
        claimed = body.pop("sha256")
        intact = digest(body) == claimed and content == written
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise _damaged(path) from error
    if not intact:
        raise _damaged(path)
    return dict(body)


def _read_checked(path: Path, sha256: str) -> bytes:
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _damaged(path)
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CorruptionDetected(f"the model file {path} is missing", _HINT) from error


def _damaged(path: Path) -> CorruptionDetected:
    return CorruptionDetected(f"the model file {path} is truncated or was changed: its checksum does not match", _HINT)


_HINT = "Restore it from a copy, or train again: the votes are all in the campaign's store."
