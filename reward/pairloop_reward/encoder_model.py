"""The ``encoder`` reward model: the head of ``tfidf`` on embeddings of any frozen transformers model."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pairloop.errors import DataError
from pairloop.kit.canonical import canonical_json
from pairloop.protocols import BoolArray, ModelContext
from pairloop.records import ResponseView
from pairloop_reward.backbone.backbone import Backbone, Settings, open_backbone
from pairloop_reward.backbone.embeddings import Embeddings
from pairloop_reward.backbone.location import locate
from pairloop_reward.backbone.precision import DtypeName, chosen_dtype
from pairloop_reward.cache import DiskCache
from pairloop_reward.checkpoint import read_checkpoint
from pairloop_reward.encoder_features import (
    VERSION,
    EncodedFeaturizer,
    Reader,
    encoded_featurizer_from,
    fit_encoded,
)
from pairloop_reward.encoder_options import EncoderOptions
from pairloop_reward.maps import MapParts, cut_characters
from pairloop_reward.model import LinearRewardModel
from pairloop_reward.store import FeatureStore, trainable_key

_WHERE = "reward.options.model"


class EncoderMaps:
    """Implements `pairloop_reward.maps.FeatureMaps`: embeddings, and surface features."""

    kind = "encoder"

    def __init__(self, options: EncoderOptions, context: ModelContext, dtype: DtypeName | None = None) -> None:
        self._options, self._context = options, context
        self._cache = DiskCache(context.cache)
        location = locate(
            options.model,
            where=_WHERE,
            base=context.base,
            revision=options.revision,
            trust_remote_code=options.trust_remote_code,
        )
        self.settings = Settings(
            location=location,
            pooling=None if options.pooling == "default" else options.pooling,
            layer=options.layer,
            max_length=options.max_length,
            dtype=dtype or chosen_dtype(options.dtype),
            padded=options.batching == "padded",
            budget=options.token_budget,
            trust_remote_code=options.trust_remote_code,
        )
        self._reader: Reader | None = None

    @property
    def blocks(self) -> tuple[str, ...]:
        """The product of prompt and response is a block of its own: its prior is chosen apart."""
        return ("surface", "embedding", "product")[: 3 if self._options.input == "separate" else 2]

    @property
    def typical(self) -> tuple[float, ...]:
        """As of ``tfidf``; where there are two blocks of embeddings they share."""
        return (1.0, 0.5, 0.5) if self._options.input == "separate" else (1.0, 0.7)

    def open(self) -> Backbone:
        """The model, loaded."""
        return open_backbone(self.settings)

    @property
    def reader(self) -> Reader:
        """Embeddings by this model, those on disk read already."""
        if self._reader is None:
            key, context = _embeddings_key(self.settings), self._context
            embeddings = Embeddings(partial(open_backbone, self.settings), key, context.cache, context.progress)
            self._reader = Reader(embeddings, self._options.input)
        return self._reader

    def fit(self, responses: Sequence[ResponseView], trainable: BoolArray) -> FeatureStore[EncodedFeaturizer]:
        """Embed what may be learned from, and learn the map; or find the map in the cache."""
        names = ("dimensions", "surface", "max_characters", "input")
        told = [VERSION, _embeddings_key(self.settings), {name: getattr(self._options, name) for name in names}]
        key = trainable_key(responses, trainable, told)
        found = self._cache.read("encodedmap", key)
        if found is not None:
            return self._store(encoded_featurizer_from(self.reader, found))
        featurizer = fit_encoded(self.reader, responses, trainable, self._options)
        self._cache.write("encodedmap", key, featurizer.arrays())
        return self._store(featurizer)

    def _store(self, featurizer: EncodedFeaturizer) -> FeatureStore[EncodedFeaturizer]:
        return FeatureStore(featurizer, self._cache, featurizer.key(_embeddings_key(self.settings)), kind="encoded")

    def seen(
        self, store: FeatureStore[EncodedFeaturizer], responses: Sequence[ResponseView]
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        """How many responses were cut for the surface features, and how many for the model."""
        numbers, notes = cut_characters(responses, self._options.max_characters) if self._options.surface else ({}, ())
        cut = store.featurizer.reader.read(responses)[1]
        truncated, tokens = int((cut > 0).sum()), int(cut.sum())
        numbers |= {"responses_truncated": float(truncated), "tokens_cut": float(tokens)}
        if truncated:
            what = "responses" if self._options.input == "response" else "responses or their prompts"
            notes = (*notes, f"{truncated} {what} were longer than the model takes: {tokens} tokens were cut")
        return numbers, notes

    def dump(self, store: FeatureStore[EncodedFeaturizer]) -> MapParts:
        """The map; of the model only its hash."""
        settings = self.settings
        values = {"model": settings.location.name, "key": settings.location.key, "dtype": settings.dtype}
        return MapParts(store.featurizer.arrays(), (), values)

    def restore(self, parts: MapParts) -> FeatureStore[EncodedFeaturizer]:
        """The inverse of `dump`.

        Raises:
            DataError: the model that is there now is another one.
        """
        location = self.settings.location
        if location.key != parts.values["key"]:
            raise DataError(
                f"{_WHERE}: the files of {location.name!r} in {location.folder} are not those that the reward model "
                "was trained on",
                "Put them back; or name another model in the configuration of a new campaign.",
            )
        return self._store(encoded_featurizer_from(self.reader, parts.arrays))


class EncoderRewardModel(LinearRewardModel):
    """The ``encoder`` reward model."""

    def __init__(self, options: EncoderOptions, context: ModelContext, dtype: DtypeName | None = None) -> None:
        self.maps = EncoderMaps(options, context, dtype)
        super().__init__(options, self.maps)

    def check(self) -> str:
        """Load the model and say what it is and how texts go through it."""
        model, settings = self.maps.open(), self.maps.settings
        way = {"packed": "packed", "single": "one text at a time", "padded": "padded batches"}[model.way]
        note = f" ({model.note})" if model.note else ""
        return (
            f"{model.architecture} in {settings.location.folder}: {model.dimensions} dimensions, {settings.dtype}, "
            f"{way}{note}, up to {model.max_length} tokens"
        )

    @classmethod
    def load(cls, folder: Path, context: ModelContext) -> "EncoderRewardModel":
        """The model in this folder; its posterior equals the saved model's bit for bit.

        The encoder is not in the folder: it is found as the options say, and must be the same one.

        Raises:
            CorruptionDetected: a file is missing, truncated or changed.
            DataError: the folder holds another kind of model, or the encoder is no longer the same.
        """
        checkpoint = read_checkpoint(folder, EncoderMaps.kind)
        options = EncoderOptions.model_validate(checkpoint.values["options"])
        model = cls(options, context, checkpoint.values["map"]["dtype"])
        model.restore(checkpoint)
        return model


def _embeddings_key(settings: Settings) -> str:
    """Hash of everything that an embedding depends on, except the text."""
    told: list[Any] = [VERSION, settings.location.key, settings.pooling, settings.layer, settings.max_length]
    told += [settings.dtype, settings.padded]
    return hashlib.sha256(canonical_json(told).encode()).hexdigest()[:32]
