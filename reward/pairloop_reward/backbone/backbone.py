"""A frozen model that turns token sequences into embeddings, the same bits for a text in every company.

Three ways through the model. *packed*: BERT and its kin, no padding (`packed`); at load it is compared with
transformers' own output, and packs of other texts, orders and sizes must not change a bit; otherwise the next way is
taken. *single*: any model, one text at a time. *padded*: on request, batches of similar length; rounding then
depends on the neighbours.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pairloop.errors import ConfigError
from pairloop.kit.extras import require
from pairloop.kit.threads import numeric_threads
from pairloop_reward.backbone.general import general_states
from pairloop_reward.backbone.loading import (
    check_vocabulary,
    context_length,
    is_causal,
    load_model,
    load_tokenizer,
    quiet,
)
from pairloop_reward.backbone.location import Location
from pairloop_reward.backbone.packed import Packed, packable, packed_from
from pairloop_reward.backbone.pooling import Pooling, PoolingName, pooled
from pairloop_reward.backbone.precision import DtypeName
from pairloop_reward.backbone.sentence import SentenceModel, read_sentence_model
from pairloop_reward.backbone.sequences import Tokens

Way = Literal["packed", "single", "padded"]
Embed = Callable[[Sequence[Tokens]], Tensor]

_log = logging.getLogger(__name__)
_PROBE = "The quick brown fox, aged 7, jumps over the lazy dog; why? Nobody knows. "
_PROBE_LENGTHS = (1, 3, 8, 8, 8, 17, 40, 64, 65, 130)
_CLOSE: dict[DtypeName, float] = {"float32": 1e-4, "bfloat16": 0.05}  # relative to the norm of the hidden states


@dataclass(frozen=True, slots=True)
class Settings:
    """Which model, and how it is read.

    Attributes:
        pooling: None takes that of a sentence-transformers folder, the last token of a causal model, else the mean.
        layer: number of the hidden state, 0 the embeddings, negative from the end; None the model's output.
        max_length: in tokens; None takes 512 or what the model can.
        padded: batches of similar length instead of the same bits in every company.
        budget: tokens in a batch, about.
    """

    location: Location
    pooling: PoolingName | None = None
    layer: int | None = None
    max_length: int | None = None
    dtype: DtypeName = "float32"
    padded: bool = False
    budget: int = 2048
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class Backbone:
    """An opened model.

    Attributes:
        architecture: name of its class. way: how texts go through it. causal: it looks back only.
        max_length: in tokens. lower: texts are put in lower case first.
        dimensions: of an embedding. note: why the packed way is not taken although the architecture allows it.
    """

    tokenizer: Any
    architecture: str
    way: Way
    causal: bool
    max_length: int
    lower: bool
    dimensions: int
    budget: int
    note: str
    embed_batch: Embed

    def batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Numbers of the texts of each batch, shortest texts first."""
        order = sorted(range(len(lengths)), key=lambda i: lengths[i])
        if self.way == "single":
            return [[i] for i in order]
        out: list[list[int]] = []
        filled = 0
        for i in order:
            # sorted, so that this text is the longest of its batch: padded to it, or laid end to end
            filled = lengths[i] * (len(out[-1]) + 1) if out and self.way == "padded" else filled + lengths[i]
            if not out or filled > self.budget:
                out.append([])
                filled = lengths[i]
            out[-1].append(i)
        return out

    def embed(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        """(n, d) embeddings of one batch, float32, on one thread."""
        with numeric_threads(), torch.inference_mode():
            return np.asarray(self.embed_batch(texts).numpy(), dtype=np.float32)


@lru_cache(maxsize=1)
def open_backbone(settings: Settings) -> Backbone:
    """Load the model and find the way through it; the last one is kept.

    Raises:
        ConfigError: the options do not fit the model, or it cannot be loaded. MissingExtra: a package is missing.
        CorruptionDetected: its weights are damaged.
    """
    sentence = read_sentence_model(settings.location.folder)
    if sentence is not None and sentence.pooling is None and settings.pooling is None:
        return _through_package(settings, sentence)
    model = load_model(settings.location, dtype=settings.dtype, trust_remote_code=settings.trust_remote_code)
    tokenizer = load_tokenizer(settings.location, trust_remote_code=settings.trust_remote_code)
    check_vocabulary(settings.location, model, tokenizer)
    causal = is_causal(model.config)
    if getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    pooling = _pooling(settings, sentence, causal)
    layer = _layer(settings, model)
    length = _max_length(settings, sentence, context_length(model.config, tokenizer))
    pad = next(i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if i is not None)

    def general(texts: Sequence[Tokens]) -> Tensor:
        return pooled(general_states(model, texts, pad, layer), texts, pooling)

    embed, way, note = general, "padded" if settings.padded else "single", ""
    if not settings.padded and packable(model):
        packed = packed_from(model, layer)
        note = _why_not_packed(packed, model, _probes(tokenizer, length), pad, layer, settings.dtype)
        if not note:
            way = "packed"

            def embed(texts: Sequence[Tokens]) -> Tensor:
                return pooled(packed.states(texts), texts, pooling)

        else:
            _log.warning("%s: texts go through the model one at a time: %s", settings.location.name, note)
    lower = sentence is not None and sentence.lower
    return _opened(settings, tokenizer, type(model).__name__, way, causal, length, lower, note, embed)


def _opened(
    settings: Settings,
    tokenizer: Any,
    name: str,
    way: Any,
    causal: bool,
    length: int,
    lower: bool,
    note: str,
    embed: Embed,
) -> Backbone:
    with numeric_threads(), torch.inference_mode():
        dimensions = embed(_probes(tokenizer, length)[:1]).shape[1]
    return Backbone(tokenizer, name, way, causal, length, lower, dimensions, settings.budget, note, embed)


def _through_package(settings: Settings, sentence: SentenceModel) -> Backbone:
    """The modules of a sentence-transformers model as that package runs them, one text at a time."""
    purpose = f"The sentence-transformers model {settings.location.name!r} ({sentence.why})"
    library = require("sentence_transformers", "minilm", purpose)
    if settings.layer is not None:
        raise ConfigError(
            f"{settings.location.folder}: layer cannot be chosen in this sentence-transformers model: {sentence.why}",
            'Name a pooling too (pooling = "mean"), to use its transformer alone.',
        )
    with quiet():
        model = library.SentenceTransformer(
            str(settings.location.folder), device="cpu", local_files_only=True,
            trust_remote_code=settings.trust_remote_code, model_kwargs={"use_safetensors": True},
        )  # fmt: skip
    tokenizer, limit = model.tokenizer, model.max_seq_length
    context = int(limit) if limit else int(min(tokenizer.model_max_length, 1 << 20))

    def embed(texts: Sequence[Tokens]) -> Tensor:
        rows = []
        for text in texts:
            ids = torch.tensor([text.ids])
            found = model({"input_ids": ids, "attention_mask": torch.ones_like(ids)})["sentence_embedding"]
            rows.append(found[0].float())
        return torch.stack(rows)

    length = _max_length(settings, sentence, context)
    return _opened(settings, tokenizer, "SentenceTransformer", "single", False, length, sentence.lower, "", embed)


def _pooling(settings: Settings, sentence: SentenceModel | None, causal: bool) -> Pooling:
    if settings.pooling is not None:
        return Pooling(settings.pooling)
    if sentence is not None and sentence.pooling is not None:
        return sentence.pooling
    return Pooling("last" if causal else "mean")


def _layer(settings: Settings, model: Any) -> int | None:
    if settings.layer is None:
        return None
    count = int(model.config.num_hidden_layers)
    if not -count - 1 <= settings.layer <= count:
        raise ConfigError(
            f"reward.options.layer: {settings.location.name} has {count} layers, and no layer {settings.layer}",
            f"Give a number from 0 (the embeddings) to {count}, or from -1 (the last) down.",
        )
    layer = settings.layer % (count + 1)
    return None if layer == count else layer


def _max_length(settings: Settings, sentence: SentenceModel | None, context: int) -> int:
    if settings.max_length is not None and settings.max_length > context:
        raise ConfigError(
            f"reward.options.max_length: {settings.max_length} is too much for {settings.location.name}, which takes "
            f"{context} tokens at most"
        )
    own = sentence.max_length if sentence is not None and sentence.max_length else 512
    return min(context, settings.max_length or own)


def _probes(tokenizer: Any, limit: int) -> list[Tokens]:
    ids = list(
        tokenizer(_PROBE * 16, add_special_tokens=True, truncation=True, max_length=max(_PROBE_LENGTHS))["input_ids"]
    )
    ids = ids * (max(_PROBE_LENGTHS) // max(len(ids), 1) + 1) or [0] * max(_PROBE_LENGTHS)
    return [Tokens(tuple(ids[:length])) for length in sorted(min(length, limit) for length in _PROBE_LENGTHS)]


def _why_not_packed(
    packed: Packed, model: Any, probes: Sequence[Tokens], pad: int, layer: int | None, dtype: DtypeName
) -> str:
    """Empty where the packed way gives what transformers gives, and the same bits for a text in any pack."""
    with numeric_threads(), torch.inference_mode():
        singles = [packed.states([text])[0] for text in probes]
        for text, found in zip(probes, singles, strict=True):
            own = general_states(model, [text], pad, layer)[0].float()
            error = float((found.float() - own).norm() / own.norm().clamp(min=1e-12))
            if not error <= _CLOSE[dtype]:
                return f"packed hidden states differ from those of transformers (relative error {error:.1e})"
        for texts in (list(range(len(probes))), list(range(len(probes)))[::-1] * 3, list(range(1, len(probes), 2))):
            together = packed.states([probes[i] for i in texts])
            if not all(torch.equal(found, singles[i]) for found, i in zip(together, texts, strict=True)):
                return "on this processor, rounding depends on what else is in a pack"
    return ""
