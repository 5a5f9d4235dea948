"""Features of responses, computed once: fits the featurizer, or finds it and its features in the cache."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pairloop.kit.canonical import canonical_json
from pairloop.protocols import BoolArray
from pairloop.records import ResponseView
from pairloop_reward.blocks import SurfaceBlock, TextBlock
from pairloop_reward.cache import DiskCache, content_keys
from pairloop_reward.features import VERSION, Features, Featurizer, fit_featurizer
from pairloop_reward.options import TfidfOptions


class RowMap(Protocol):
    """A fixed map from responses to feature rows."""

    @property
    def dimensions(self) -> int:
        """Length of a row."""

    def transform(self, responses: Sequence[ResponseView], *, remember: bool = True) -> Features:
        """(R, d) rows; each is the same in every company. ``remember`` False: the texts never come back."""


F = TypeVar("F", bound=RowMap)


def featurizer_arrays(featurizer: Featurizer) -> dict[str, NDArray[Any]]:
    """The featurizer as arrays, the terms apart."""
    surface, text = featurizer.surface, featurizer.text
    return {
        "scalars": np.array([surface.factor, featurizer.bound, featurizer.max_characters], dtype=np.float64),
        "surface_mean": surface.mean,
        "surface_scale": surface.scale,
        "text_idf": text.idf,
        "text_components": text.components.astype(np.float32),
        "text_mean": text.mean,
    }


def featurizer_from(arrays: Mapping[str, NDArray[Any]], terms: Sequence[str]) -> Featurizer:
    """The inverse of `featurizer_arrays`."""
    factor, bound, max_characters = (float(value) for value in arrays["scalars"])
    surface = SurfaceBlock(arrays["surface_mean"], arrays["surface_scale"], factor)
    components = arrays["text_components"].astype(np.float64)
    text = TextBlock(tuple(terms), arrays["text_idf"], components, arrays["text_mean"])
    return Featurizer(surface, text, bound, int(max_characters))


def fitted_featurizer(
    responses: Sequence[ResponseView], trainable: BoolArray, options: TfidfOptions, cache: DiskCache
) -> Featurizer:
    """`fit_featurizer`, or what it gave for the same texts and options before."""
    key = _fit_key(responses, trainable, options)
    found = cache.read("featurizer", key)
    if found is not None:
        terms = found.pop("terms").tobytes().decode().split("\n")
        return featurizer_from(found, [term for term in terms if term])
    featurizer = fit_featurizer(responses, trainable, options)
    # tokens hold no line break, so one separates them
    terms_array = np.frombuffer("\n".join(featurizer.text.terms).encode(), dtype=np.uint8)
    cache.write("featurizer", key, {**featurizer_arrays(featurizer), "terms": terms_array})
    return featurizer


def _fit_key(responses: Sequence[ResponseView], trainable: BoolArray, options: TfidfOptions) -> str:
    settings = {name: getattr(options, name) for name in ("dimensions", "vocabulary", "surface", "max_characters")}
    return trainable_key(responses, trainable, [VERSION, settings])


def trainable_key(responses: Sequence[ResponseView], trainable: BoolArray, told: Sequence[Any]) -> str:
    """Hash of the texts that may be learned from, with their prompts, and of what else decides a map."""
    hasher = hashlib.sha256(canonical_json(list(told)).encode())
    for response, content, use in zip(responses, content_keys(responses), trainable, strict=True):
        if use:
            hasher.update(response.prompt_id.encode("utf-8", "surrogatepass") + b"\x00" + content)
    return hasher.hexdigest()[:32]


def _map_key(featurizer: Featurizer) -> str:
    """Hash of the fitted map: features of another map never match."""
    hasher = hashlib.sha256("\n".join((str(VERSION), *featurizer.text.terms)).encode())
    for name, array in sorted(featurizer_arrays(featurizer).items()):
        hasher.update(f"\n{name}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()[:32]


class FeatureStore(Generic[F]):
    """Features of one map, kept in memory and on disk by the content of (prompt, response)."""

    def __init__(self, featurizer: F, cache: DiskCache, key: str | None = None, *, kind: str | None = None) -> None:
        """The key tells the map from others of its kind in the cache; a `Featurizer` has its own."""
        self.featurizer = featurizer
        self._cache = cache
        self._key = _map_key(featurizer) if key is None and isinstance(featurizer, Featurizer) else str(key)
        # apart from features of fitted maps, of which every round brings new ones that push the oldest out
        self._kind = kind or ("features" if key is None else "embeddings")
        self._rows: dict[bytes, int] = {}
        self._features: Features | None = None
        self._read()

    def features(self, responses: Sequence[ResponseView], *, remember: bool = True) -> Features:
        """(R, d) features, float32; what is new is computed, and remembered unless told otherwise."""
        keys = content_keys(responses)
        missing: dict[bytes, ResponseView] = {}
        for key, response in zip(keys, responses, strict=True):
            if key not in self._rows:
                missing.setdefault(key, response)
        table = self._table()
        known = len(table)
        if missing:
            table = np.concatenate([table, self.featurizer.transform(list(missing.values()), remember=remember)])
        rows = {key: known + row for row, key in enumerate(missing)}
        picked = table[[rows[key] if key in rows else self._rows[key] for key in keys]] if keys else table[:0]
        if missing and remember:
            self._features = table
            self._rows.update(rows)
            self._write(table)
        return picked

    def _table(self) -> Features:
        if self._features is None:
            self._features = np.zeros((0, self.featurizer.dimensions), dtype=np.float32)
        return self._features

    def _read(self) -> None:
        found = self._cache.read(self._kind, self._key)
        if found is not None:
            self._features = found["features"]
            self._rows = {key.tobytes(): row for row, key in enumerate(found["keys"])}

    def _write(self, table: Features) -> None:
        keys = np.frombuffer(b"".join(self._rows), dtype=np.uint8).reshape(len(self._rows), -1)
        self._cache.write(self._kind, self._key, {"keys": keys, "features": table})
