"""BERT and its kin without padding: all tokens of a pack in one matrix, attention text by text.

Queries, keys and values come from one product; texts of equal length share one call of attention. Rows of a pack
are a multiple of 64, so that every product runs whole tiles of the matrix kernels, where a row has the same bits in
whatever pack it stands. `backbone` checks that at load.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everybody writes it

from pairloop_reward.backbone.sequences import Tokens

ROWS = 64  # a pack has a multiple of this many rows
_CLASSES = ("BertModel", "RobertaModel", "XLMRobertaModel", "CamembertModel")
_FROM_PADDING = ("RobertaModel", "XLMRobertaModel", "CamembertModel")  # they number positions from padding + 1 on


@dataclass(frozen=True, slots=True)
class Layer:
    """Weights of one layer; ``qkv`` holds the three projections below each other."""

    qkv: tuple[Tensor, Tensor]
    out: tuple[Tensor, Tensor]
    norm: tuple[Tensor, Tensor]
    up: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]
    last_norm: tuple[Tensor, Tensor]
    activation: Any


@dataclass(frozen=True, slots=True)
class Packed:
    """The encoder as plain tensors.

    Attributes:
        words, positions: embedding tables; the embedding of token type 0 is added to ``positions``.
        norm: of the embeddings. heads: of attention. first_position: number of the first token's position.
    """

    words: Tensor
    positions: Tensor
    norm: tuple[Tensor, Tensor]
    layers: tuple[Layer, ...]
    heads: int
    eps: float
    first_position: int

    @torch.inference_mode()
    def states(self, texts: Sequence[Tokens]) -> list[Tensor]:
        """(L, d) hidden states of each text; texts of equal length should stand together."""
        lengths = [len(text.ids) for text in texts]
        total = -(-sum(lengths) // ROWS) * ROWS
        ids = torch.zeros(total, dtype=torch.long)
        ids[: sum(lengths)] = torch.tensor([i for text in texts for i in text.ids])
        places = torch.full((total,), self.first_position)
        places[: sum(lengths)] += torch.cat([torch.arange(length) for length in lengths])
        groups = list(_groups(lengths))
        width = self.words.shape[1]
        x = F.layer_norm(
            F.embedding(ids, self.words) + F.embedding(places, self.positions), (width,), *self.norm, self.eps
        )
        for layer in self.layers:
            x = self._layer(layer, x, groups)
        return list(torch.split(x[: sum(lengths)], lengths))

    def _layer(self, layer: Layer, x: Tensor, groups: Sequence[tuple[int, int, int]]) -> Tensor:
        width = x.shape[1]
        context = self._attention(F.linear(x, *layer.qkv), groups)
        x = F.layer_norm(F.linear(context, *layer.out).add_(x), (width,), *layer.norm, self.eps)
        inner = layer.activation(F.linear(x, *layer.up))
        return F.layer_norm(F.linear(inner, *layer.down).add_(x), (width,), *layer.last_norm, self.eps)

    def _attention(self, qkv: Tensor, groups: Sequence[tuple[int, int, int]]) -> Tensor:
        """(T, d) attended values; rows that fill the pack stay zero."""
        width = qkv.shape[1] // 3
        context = qkv.new_zeros(len(qkv), width)
        for start, count, length in groups:
            rows = slice(start, start + count * length)
            block = qkv[rows].view(count, length, 3, self.heads, width // self.heads)
            q, k, v = block.permute(2, 0, 3, 1, 4).unbind(0)
            found = F.scaled_dot_product_attention(q, k, v)
            context[rows] = found.transpose(1, 2).reshape(count * length, width)
        return context


def packable(model: Any) -> bool:
    """True for the architectures that `packed_from` reads."""
    config = model.config
    return bool(
        type(model).__name__ in _CLASSES
        and getattr(config, "position_embedding_type", "absolute") in (None, "absolute")
        and not getattr(config, "is_decoder", False)
        and not getattr(config, "add_cross_attention", False)
    )


def packed_from(model: Any, layers: int | None = None) -> Packed:
    """The same function as the first ``layers`` layers of this model (all of them if None)."""
    table, config = model.embeddings, model.config
    first = config.pad_token_id + 1 if type(model).__name__ in _FROM_PADDING else 0
    positions = table.position_embeddings.weight + table.token_type_embeddings.weight[0]
    chosen = list(model.encoder.layer)[:layers]
    return Packed(
        words=table.word_embeddings.weight.detach(),
        positions=positions.detach(),
        norm=_parameters(table.LayerNorm),
        layers=tuple(_layer(layer) for layer in chosen),
        heads=config.num_attention_heads,
        eps=config.layer_norm_eps,
        first_position=first,
    )


def _layer(layer: Any) -> Layer:
    own = layer.attention.self
    parts = (own.query, own.key, own.value)
    fused = torch.cat([part.weight for part in parts]).detach(), torch.cat([part.bias for part in parts]).detach()
    return Layer(
        qkv=fused,
        out=_parameters(layer.attention.output.dense),
        norm=_parameters(layer.attention.output.LayerNorm),
        up=_parameters(layer.intermediate.dense),
        down=_parameters(layer.output.dense),
        last_norm=_parameters(layer.output.LayerNorm),
        activation=layer.intermediate.intermediate_act_fn,
    )


def _parameters(module: Any) -> tuple[Tensor, Tensor]:
    return module.weight.detach(), module.bias.detach()


def _groups(lengths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(first row, texts, length) of each run of equal lengths."""
    start = 0
    for length, run in groupby(lengths):
        count = len(list(run))
        yield start, count, length
        start += count * length
