"""Feature maps of linear reward models: how they are learned from texts, written into a checkpoint, and read back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from pairloop.protocols import BoolArray
from pairloop.records import ResponseView
from pairloop_reward.cache import DiskCache
from pairloop_reward.features import Featurizer
from pairloop_reward.options import TfidfOptions
from pairloop_reward.store import FeatureStore, featurizer_arrays, featurizer_from, fitted_featurizer


@dataclass(frozen=True, slots=True)
class MapParts:
    """A feature map as a checkpoint keeps it: arrays by name, a vocabulary, and values that JSON can hold."""

    arrays: Mapping[str, NDArray[Any]]
    terms: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


class FeatureMaps(Protocol):
    """One kind of feature map ψ, in blocks of columns whose prior strengths are chosen apart."""

    @property
    def kind(self) -> str:
        """Name of the reward model in its checkpoints."""

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks, in column order; ``featurizer.blocks`` of the store has their sizes."""

    @property
    def typical(self) -> tuple[float, ...]:
        """Prior standard deviation of a typical margin due to each block, before any vote."""

    def fit(self, responses: Sequence[ResponseView], trainable: BoolArray) -> FeatureStore[Any]:
        """Learn ψ from the texts under the (R,) mask, and no others."""

    def seen(
        self, store: FeatureStore[Any], responses: Sequence[ResponseView]
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        """What a report must say of how these texts were read (cut, above all): numbers, and notes."""

    def dump(self, store: FeatureStore[Any]) -> MapParts:
        """The map for a checkpoint."""

    def restore(self, parts: MapParts) -> FeatureStore[Any]:
        """The inverse of ``dump``."""


class TfidfMaps:
    """Implements `FeatureMaps`: TF-IDF and surface features."""

    kind = "tfidf"
    blocks = ("surface", "text")
    typical = (1.0, 0.7)

    def __init__(self, options: TfidfOptions, cache: DiskCache) -> None:
        self._options, self._cache = options, cache

    def fit(self, responses: Sequence[ResponseView], trainable: BoolArray) -> FeatureStore[Featurizer]:
        """`fitted_featurizer`, and the store of its features."""
        return FeatureStore(fitted_featurizer(responses, trainable, self._options, self._cache), self._cache)

    def seen(
        self, store: FeatureStore[Featurizer], responses: Sequence[ResponseView]
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        """How many responses were cut."""
        return cut_characters(responses, self._options.max_characters)

    def dump(self, store: FeatureStore[Featurizer]) -> MapParts:
        """Arrays and vocabulary."""
        return MapParts(featurizer_arrays(store.featurizer), store.featurizer.text.terms)

    def restore(self, parts: MapParts) -> FeatureStore[Featurizer]:
        """The inverse of `dump`."""
        return FeatureStore(featurizer_from(parts.arrays, parts.terms), self._cache)


def cut_characters(responses: Sequence[ResponseView], limit: int) -> tuple[dict[str, float], tuple[str, ...]]:
    """Number and note about responses that are longer than ``limit`` characters."""
    cut = sum(len(response.text) > limit for response in responses)
    note = (f"{cut} responses were cut to {limit} characters for the model",) if cut else ()
    return {"responses_cut": float(cut)}, note
