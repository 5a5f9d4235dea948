"""The feature map of ``encoder``: surface features beside embeddings of a frozen transformers model."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairloop.kit.text import plain
from pairloop.posterior import IntArray
from pairloop.protocols import BoolArray
from pairloop.records import ResponseView
from pairloop_reward.backbone.embeddings import Embeddings, Unit, Vectors
from pairloop_reward.blocks import NO_SURFACE, SurfaceBlock, fit_surface
from pairloop_reward.dense import DenseBlock, fit_dense
from pairloop_reward.encoder_options import EncoderOptions
from pairloop_reward.features import MEDIAN_LENGTHS, Features, lengths_of, prompt_index, surface_matrix
from pairloop_reward.likelihood import Float64

VERSION = 1
"""Raised whenever the same embeddings would get other features."""

_CHUNK = 8_192  # responses at a time


class Reader:
    """(prompt, response) as the model reads it: one embedding, or two of which the second is a product."""

    def __init__(self, embeddings: Embeddings, way: str) -> None:
        """``way`` as in ``EncoderOptions.input``."""
        self.embeddings, self.way = embeddings, way

    def read(self, responses: Sequence[ResponseView], *, remember: bool = True) -> tuple[list[Vectors], IntArray]:
        """(R, D) embeddings of the sequences of each response, and (R,) tokens that were cut of them."""
        count = len(responses)
        if self.way == "joined":
            vectors, cut = self.embeddings.embed([Unit(r.text, r) for r in responses], remember=remember)
            return [vectors], cut
        units = [Unit(response.text) for response in responses]
        if self.way == "separate":
            units += [Unit(plain(response.prompt)) for response in responses]
        vectors, cut = self.embeddings.embed(units, remember=remember)
        if self.way == "response":
            return [vectors], cut
        return [vectors[:count], vectors[count:]], cut[:count] + cut[count:]


def raw_blocks(vectors: Sequence[Vectors]) -> list[Float64]:
    """(n, D) embeddings of each block: the response's own, and its product with the prompt's where that was read."""
    own = vectors[0].astype(np.float64)
    return [own, *(own * prompt for prompt in vectors[1:])]


@dataclass(frozen=True, slots=True)
class EncodedFeaturizer:
    """The fitted map. A response gets the same bits in every company.

    Attributes:
        reader: gives the embeddings. surface, dense: the blocks, in column order. bound: longest row left as it is.
        max_characters: longer responses are cut for the surface features; the model cuts by tokens.
    """

    reader: Reader
    surface: SurfaceBlock
    dense: tuple[DenseBlock, ...]
    bound: float
    max_characters: int

    @property
    def blocks(self) -> tuple[int, ...]:
        """Dimensions of the surface block and of those of the embeddings."""
        return len(self.surface.mean), *(block.size for block in self.dense)

    @property
    def dimensions(self) -> int:
        """Length d of ψ."""
        return sum(self.blocks)

    def transform(self, responses: Sequence[ResponseView], *, remember: bool = True) -> Features:
        """(R, d) features, float32, finite."""
        vectors, _ = self.reader.read(responses, remember=remember)
        chunks = [slice(i, i + _CHUNK) for i in range(0, max(len(responses), 1), _CHUNK)]
        return np.concatenate([self._rows(responses[chunk], [own[chunk] for own in vectors]) for chunk in chunks])

    def _rows(self, responses: Sequence[ResponseView], vectors: Sequence[Vectors]) -> Features:
        blocks = [block.apply(rows) for block, rows in zip(self.dense, raw_blocks(vectors), strict=True)]
        if len(self.surface.mean):
            texts = [response.text[: self.max_characters] for response in responses]
            blocks.insert(0, self.surface.apply(surface_matrix(responses, texts)))
        rows = np.concatenate(blocks, axis=1)
        shrink = np.minimum(1.0, self.bound / np.maximum(lengths_of(rows), 1e-300))
        return np.asarray(rows * shrink[:, None], dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The map as arrays."""
        out: dict[str, NDArray[Any]] = {
            "scalars": np.array([self.surface.factor, self.bound, self.max_characters], dtype=np.float64),
            "surface_mean": self.surface.mean,
            "surface_scale": self.surface.scale,
        }
        for number, block in enumerate(self.dense):
            out[f"dense_{number}_mean"] = block.mean
            out[f"dense_{number}_components"] = block.components.astype(np.float32)
        return out

    def key(self, model: str) -> str:
        """Hash of the fitted map and of the model whose embeddings it takes."""
        hasher = hashlib.sha256(f"{VERSION}\n{model}\n{self.reader.way}".encode())
        for name, array in sorted(self.arrays().items()):
            hasher.update(f"\n{name}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return hasher.hexdigest()[:32]


def encoded_featurizer_from(reader: Reader, arrays: Mapping[str, NDArray[Any]]) -> EncodedFeaturizer:
    """The inverse of ``EncodedFeaturizer.arrays``."""
    factor, bound, max_characters = (float(value) for value in arrays["scalars"])
    surface = SurfaceBlock(arrays["surface_mean"], arrays["surface_scale"], factor)
    count = sum(name.endswith("_components") for name in arrays)
    dense = tuple(
        DenseBlock(arrays[f"dense_{i}_mean"], arrays[f"dense_{i}_components"].astype(np.float64)) for i in range(count)
    )
    return EncodedFeaturizer(reader, surface, dense, bound, int(max_characters))


def fit_encoded(
    reader: Reader, responses: Sequence[ResponseView], trainable: BoolArray, options: EncoderOptions
) -> EncodedFeaturizer:
    """Learn the map from the texts under the (R,) mask ``trainable``; the others are not looked at."""
    seen = [response for response, use in zip(responses, trainable, strict=True) if use]
    prompt, freedom = prompt_index(seen)
    found = raw_blocks(reader.read(seen)[0])
    dense = tuple(fit_dense(rows, prompt, options.dimensions) for rows in found)
    blocks = [block.apply(rows) for block, rows in zip(dense, found, strict=True)]
    surface = NO_SURFACE
    if options.surface:
        raw = surface_matrix(seen, [response.text[: options.max_characters] for response in seen])
        surface = fit_surface(raw, prompt, freedom)
        blocks.append(surface.apply(raw))
    lengths = lengths_of(np.concatenate(blocks, axis=1))
    bound = MEDIAN_LENGTHS * float(np.median(lengths)) if len(lengths) else 1.0
    return EncodedFeaturizer(reader, surface, dense, bound or 1.0, options.max_characters)
