"""Embeddings by content, computed once and kept on disk through a kill.

A shard is a checked file (`pairloop_reward.cache`) that appears whole: sha256 of its content in its name, keys, rows
and tokens cut inside. A new one is written every few seconds of encoding, and when encoding ends in whatever way;
what was computed after the last one is computed again. Shards may be deleted at any time.
"""

import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairloop.errors import StorageFull
from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import canonical_json
from pairloop.kit.ids import content_json
from pairloop.posterior import IntArray
from pairloop.protocols import Progress
from pairloop.records import ResponseView
from pairloop_reward.backbone.backbone import Backbone
from pairloop_reward.backbone.sequences import Tokens, alone, joined
from pairloop_reward.cache import checked, checked_arrays

Vectors = NDArray[np.float32]

_KEY = 16
_KEPT_MODELS = 4
_MANY_SHARDS = 24
_SECONDS_A_SHARD = 10.0
_WINDOW = 8192  # texts that are tokenised and sorted by length together
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing to embed: a text by itself, or (``response``) a response joined to its prompt."""

    text: str
    response: ResponseView | None = None

    def key(self) -> bytes:
        """16 bytes, a hash of the content."""
        hasher = hashlib.blake2b(digest_size=_KEY)
        if self.response is not None:
            prompt = canonical_json(content_json(self.response.prompt)).encode("utf-8", "surrogatepass")
            hasher.update(b"joined\x00" + len(prompt).to_bytes(8, "big") + prompt)
        hasher.update(b"\x00" + self.text.encode("utf-8", "surrogatepass"))
        return hasher.digest()


class Embeddings:
    """Embeddings of one model, in memory and on disk; the model is opened when something is missing."""

    def __init__(
        self,
        open_model: Callable[[], Backbone],
        key: str,
        cache: Path | None,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``key`` tells the model and its settings from others; without a cache folder nothing is written."""
        self._open, self._progress, self._clock = open_model, progress, clock
        self._folder = None if cache is None else cache / f"vectors-{key}"
        self._rows: dict[bytes, int] = {}
        self._blocks: list[Vectors] = []
        self._cuts: list[IntArray] = []
        self._read()

    def embed(self, units: Sequence[Unit], *, remember: bool = True) -> tuple[Vectors, IntArray]:
        """(n, d) embeddings and (n,) tokens that were cut; what is new is computed, and kept unless told otherwise."""
        keys = [unit.key() for unit in units]
        missing: dict[bytes, Unit] = {}
        for key, unit in zip(keys, units, strict=True):
            if key not in self._rows:
                missing.setdefault(key, unit)
        if not remember and missing:
            return self._without_memory(keys, missing)
        if missing:
            self._compute(missing)
        if not keys:
            return np.zeros((0, self.dimensions), dtype=np.float32), np.zeros(0, dtype=np.int64)
        picked = [self._rows[key] for key in keys]
        vectors, cuts = self._table()
        return vectors[picked], cuts[picked]

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self._blocks[0].shape[1] if self._blocks else self._open().dimensions

    def _without_memory(self, keys: Sequence[bytes], missing: dict[bytes, Unit]) -> tuple[Vectors, IntArray]:
        found = {key: (row, cut) for batch in self._encoded(missing) for key, row, cut in zip(*batch, strict=True)}
        if len(found) < len(set(keys)):
            vectors, cuts = self._table()
            found |= {key: (vectors[self._rows[key]], cuts[self._rows[key]]) for key in keys if key in self._rows}
        return np.stack([found[key][0] for key in keys]), np.array([found[key][1] for key in keys], dtype=np.int64)

    def _compute(self, missing: dict[bytes, Unit]) -> None:
        """Encode, and keep what is done even if encoding ends early."""
        fresh: list[tuple[list[bytes], Vectors, IntArray]] = []
        last = self._clock()
        try:
            for batch in self._encoded(missing):
                fresh.append(batch)
                if self._clock() - last >= _SECONDS_A_SHARD:
                    self._keep(fresh)
                    fresh, last = [], self._clock()
        finally:
            self._keep(fresh)

    def _encoded(self, missing: dict[bytes, Unit]) -> Iterable[tuple[list[bytes], Vectors, IntArray]]:
        """Batches of (keys, rows, tokens cut) with progress in texts and the time that is left."""
        model, began, done = self._open(), self._clock(), 0
        keys, units = list(missing), list(missing.values())
        self._progress.start(f"encoding {len(keys)} texts", len(keys))
        try:
            for first in range(0, len(keys), _WINDOW):
                texts = tokenised(model, units[first : first + _WINDOW])
                lengths = [len(text.ids) for text in texts]
                # texts of later windows are taken to be as long as these
                total = sum(lengths) / len(lengths) * (len(keys) - first) + done
                for batch in model.batches(lengths):
                    chosen = [texts[i] for i in batch]
                    rows = model.embed(chosen)
                    cut = np.array([text.cut for text in chosen], dtype=np.int64)
                    yield [keys[first + i] for i in batch], rows, cut
                    done += sum(lengths[i] for i in batch)
                    left = (self._clock() - began) * (total - done) / done
                    self._progress.advance(len(batch), f"about {_duration(left)} left")
        finally:
            self._progress.finish()

    def _keep(self, fresh: Sequence[tuple[list[bytes], Vectors, IntArray]]) -> None:
        if not fresh:
            return
        keys = [key for batch in fresh for key in batch[0]]
        vectors = np.concatenate([batch[1] for batch in fresh])
        cuts = np.concatenate([batch[2] for batch in fresh])
        self._add(keys, vectors, cuts)
        self._write(keys, vectors, cuts)

    def _add(self, keys: Sequence[bytes], vectors: Vectors, cuts: IntArray) -> None:
        known = sum(map(len, self._blocks))
        self._rows.update({key: known + i for i, key in enumerate(keys) if key not in self._rows})
        self._blocks.append(vectors)
        self._cuts.append(cuts)

    def _table(self) -> tuple[Vectors, IntArray]:
        if len(self._blocks) > 1:
            self._blocks, self._cuts = [np.concatenate(self._blocks)], [np.concatenate(self._cuts)]
        return self._blocks[0], self._cuts[0]

    # --------------------------------------------------------------------------------------------- disk

    def _read(self) -> None:
        if self._folder is None or not self._folder.is_dir():
            return
        shards = sorted(self._folder.glob("*.cache"))
        for path in shards:
            try:
                found = checked_arrays(path, path.read_bytes())
            except OSError:  # merged by another process a moment ago
                continue
            if found is not None:
                self._add([key.tobytes() for key in found["keys"]], found["vectors"], found["cut"])
        if len(shards) > _MANY_SHARDS and self._blocks:
            keys = sorted(self._rows, key=self._rows.__getitem__)
            vectors, cuts = self._table()
            rows = [self._rows[key] for key in keys]
            if self._write(keys, vectors[rows], cuts[rows]):
                self._drop(shards)

    def _write(self, keys: Sequence[bytes], vectors: Vectors, cuts: IntArray) -> Path | None:
        """Add a shard; a disk that cannot be written costs time and a warning."""
        if self._folder is None:
            return None
        table = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), _KEY)
        content = checked({"keys": table, "vectors": vectors, "cut": cuts})
        path = self._folder / f"{hashlib.sha256(content).hexdigest()[:32]}.cache"
        try:
            if not self._folder.is_dir():
                self._folder.mkdir(parents=True, exist_ok=True)
                _prune(self._folder)
            write_atomic(path, content)
        except (StorageFull, OSError) as error:
            _log.warning("the cache of embeddings cannot be written: %s", error)
            return None
        return path

    def _drop(self, shards: Iterable[Path]) -> None:
        for path in shards:
            path.unlink(missing_ok=True)


def tokenised(model: Backbone, units: Sequence[Unit]) -> list[Tokens]:
    """The units as the model reads them."""
    lowered = [unit.text.lower() if model.lower else unit.text for unit in units]
    single = [i for i, unit in enumerate(units) if unit.response is None]
    texts = alone(model.tokenizer, [lowered[i] for i in single], model.max_length, end=model.causal)
    found = dict(zip(single, texts, strict=True))
    return [
        found[i] if unit.response is None else joined(model.tokenizer, unit.response, model.max_length)
        for i, unit in enumerate(units)
    ]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 0.0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _prune(folder: Path) -> None:
    """Keep the embeddings of the latest models only."""
    others = [path for path in folder.parent.glob("vectors-*") if path != folder]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT_MODELS - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
