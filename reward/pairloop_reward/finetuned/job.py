"""One training job in one folder: everything that decides its result, and nothing that a worker would have to guess.

``job.json`` names the model, its hash and the settings; ``votes.safetensors`` has token ids and votes. A worker process
needs nothing else, so that any launcher can start it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as arrays_to_bytes

from pairloop.errors import CorruptionDetected
from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import canonical_json, digest
from pairloop.kit.versions import installed_versions
from pairloop.posterior import IntArray
from pairloop_reward.backbone.location import Location
from pairloop_reward.finetuned.options import FinetunedOptions
from pairloop_reward.likelihood import Float64

FORMAT = 1
_HEADER, _VOTES = "job.json", "votes.safetensors"
_DECIDES_NOTHING = ("members", "left_out", "dimensions", "flip_rate", "annotators", "ties", "prelabel_shown_weight",
                    "checkpoint_every", "launch", "revision", "max_length")  # fmt: skip
_LIBRARIES = ("torch", "transformers", "peft")


@dataclass(frozen=True, slots=True)
class JobVotes:
    """What a member trains on.

    Attributes:
        tokens: (L,) ids of all sequences, end to end. ends: (S,) where each sequence ends.
        left, right: (N,) sequence numbers. outcome, weight, flip, offset: (N,), as in `Votes`; the offset has the
            common position bias in it.
        held: (N,) 1 for votes that are left out. head: (d,) first weights of the head. log_tie: log ν.
    """

    tokens: IntArray
    ends: IntArray
    left: IntArray
    right: IntArray
    outcome: IntArray
    weight: Float64
    flip: Float64
    offset: Float64
    held: IntArray
    head: Float64
    log_tie: float

    def sequences(self) -> list[list[int]]:
        """The S token sequences."""
        starts = [0, *self.ends.tolist()[:-1]]
        flat = self.tokens.tolist()
        return [flat[start:end] for start, end in zip(starts, self.ends.tolist(), strict=True)]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it by name."""
        named = {name: np.ascontiguousarray(getattr(self, name)) for name in self.__slots__ if name != "log_tie"}
        return {**named, "log_tie": np.array([self.log_tie])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "JobVotes":
        """The inverse of `arrays`."""
        return cls(**{**arrays, "log_tie": float(arrays["log_tie"][0])})  # type: ignore[arg-type]


def flattened(sequences: Sequence[Sequence[int]]) -> tuple[IntArray, IntArray]:
    """Token sequences end to end, and where each ends."""
    ends = np.cumsum([len(each) for each in sequences], dtype=np.int64)
    return np.array([token for each in sequences for token in each], dtype=np.int32), ends


@dataclass(frozen=True, slots=True)
class Job:
    """A job.

    Attributes:
        key: 32 hex digits of everything that decides the result. model: folder; model_key: hash of its files.
    """

    key: str
    model: str
    model_key: str
    options: FinetunedOptions
    seed: int
    threads: int
    votes: JobVotes

    @property
    def location(self) -> Location:
        """The model's folder with its hash."""
        return Location(self.options.model, Path(self.model), self.model_key)


def new_job(location: Location, options: FinetunedOptions, seed: int, threads: int, votes: JobVotes) -> Job:
    """A job with its key."""
    decides = {k: v for k, v in options.model_dump(mode="json").items() if k not in _DECIDES_NOTHING}
    decides.pop("model")  # its hash counts, not where it lies
    content = hashlib.sha256(arrays_to_bytes(votes.arrays())).hexdigest()
    versions = installed_versions(_LIBRARIES)
    key = digest([FORMAT, location.key, decides, seed, threads, content, versions])[:32]
    return Job(key, str(location.folder), location.key, options, seed, threads, votes)


def write_job(job: Job, folder: Path) -> None:
    """Write the job into a folder, the header last; one that is there already is the same."""
    if (folder / _HEADER).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    content = arrays_to_bytes(job.votes.arrays())
    write_atomic(folder / _VOTES, content)
    body = {
        "format": FORMAT, "key": job.key, "model": job.model, "model_key": job.model_key, "seed": job.seed,
        "threads": job.threads, "options": job.options.model_dump(mode="json"),
        "votes": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    write_atomic(folder / _HEADER, canonical_json(body) + "\n")


def read_job(folder: Path) -> Job:
    """The job in a folder.

    Raises:
        CorruptionDetected: it is missing or damaged.
    """
    try:
        body = json.loads((folder / _HEADER).read_text("utf-8"))
        content = (folder / _VOTES).read_bytes()
        if hashlib.sha256(content).hexdigest() != body["votes"]:
            raise ValueError("the votes do not match their hash")
        options = FinetunedOptions.model_validate(body["options"])
        votes = JobVotes.from_arrays(load_arrays(content))
        return Job(body["key"], body["model"], body["model_key"], options, body["seed"], body["threads"], votes)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptionDetected(
            f"{folder} holds no whole training job: {error}", "Delete the folder and train again; it is made anew."
        ) from error
