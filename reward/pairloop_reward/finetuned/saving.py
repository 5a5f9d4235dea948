"""A fitted model as a folder: transformers' own files, and ``posterior/`` with everything that they cannot hold.

Nothing is pickled. ``posterior/model.json`` has the sha256 of every other file.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pairloop.errors import CorruptionDetected
from pairloop.kit.staging import disk_trouble
from pairloop.protocols import ModelContext
from pairloop_reward.annotators import Annotators
from pairloop_reward.backbone.loading import quiet
from pairloop_reward.backbone.location import Location
from pairloop_reward.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from pairloop_reward.finetuned.lastlayer import LastLayer
from pairloop_reward.finetuned.member import Member
from pairloop_reward.finetuned.network import load_network
from pairloop_reward.finetuned.options import FinetunedOptions
from pairloop_reward.finetuned.runtime import device_named
from pairloop_reward.finetuned.states import States

KIND = "finetuned"
_POSTERIOR = "posterior"
_ARRAYS = ("weights", "matrix", "mean", "factor")


def save(into: Path, fitted: Sequence[Member], values: dict[str, Any], annotators: Annotators | None) -> None:
    """Write the members into an empty folder."""
    arrays: dict[str, NDArray[Any]] = {}
    described = dict(values)
    for number, member in enumerate(fitted):
        folder = _member_folder(into, number, len(fitted))
        with disk_trouble(into), quiet():
            folder.mkdir(exist_ok=True)
            member.network.model.save_pretrained(str(folder))
            member.network.tokenizer.save_pretrained(str(folder))
        layer = member.layer
        found = (member.weights, layer.matrix, layer.mean, member.factor)
        arrays |= {f"{number}.{name}": array for name, array in zip(_ARRAYS, found, strict=True)}
    if annotators is not None:
        described["annotators"] = list(annotators.names)
        arrays["annotators"] = annotators.array()
    described["members"] = [
        {"key": member.states.key, "max_length": member.states.max_length, "own": member.layer.own} for member in fitted
    ]
    described["files"] = _hashes(into)
    with disk_trouble(into):
        (into / _POSTERIOR).mkdir()
    write_checkpoint(into / _POSTERIOR, KIND, Checkpoint(described, (), arrays))


def read(folder: Path) -> Checkpoint:
    """What is beside transformers' files, all files checked.

    Raises:
        CorruptionDetected: a file is missing, truncated or changed. DataError: the folder holds another model.
    """
    checkpoint = read_checkpoint(folder / _POSTERIOR, KIND)
    for name, wanted in checkpoint.values["files"].items():
        path = folder / name
        if not path.is_file() or _sha256(path) != wanted:
            raise CorruptionDetected(
                f"the model file {path} is missing, truncated or was changed",
                "Restore it from a copy, or train again: the votes are all in the campaign's store.",
            )
    return checkpoint


def members(folder: Path, checkpoint: Checkpoint, options: FinetunedOptions, context: ModelContext) -> list[Member]:
    """The members of a checked folder."""
    device = device_named(options.device)
    out = []
    described = checkpoint.values["members"]
    for number, each in enumerate(described):
        place = _member_folder(folder, number, len(described))
        network = load_network(Location(options.model, place, each["key"]), device)
        states = States(network, each["key"], each["max_length"], context, "trained")
        weights, matrix, mean, factor = (checkpoint.arrays[f"{number}.{name}"] for name in _ARRAYS)
        out.append(Member(network, states, weights, LastLayer(matrix, mean, each["own"]), factor))
    return out


def _member_folder(folder: Path, number: int, count: int) -> Path:
    return folder if count == 1 else folder / f"member-{number}"


def _hashes(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in paths}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
