"""From hidden states to one vector a text: pooling, then what a sentence-transformers model does with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pairloop_reward.backbone.sequences import Tokens

PoolingName = Literal["mean", "cls", "last"]


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer behind the pooling: ``activation(weight @ x + bias)``, weight (out, in)."""

    weight: Tensor
    bias: Tensor | None
    activation: Any


@dataclass(frozen=True, slots=True)
class Pooling:
    """How hidden states become an embedding.

    Attributes:
        name: "mean" of the states, in float32; "cls": the first; "last": the last.
        after: what follows, in order: `Dense` layers, and None for division by the length.
    """

    name: PoolingName
    after: tuple[Dense | None, ...] = ()

    def apply(self, states: Tensor, tokens: Tokens) -> Tensor:
        """(d,) float32 embedding of one text from its (L, h) hidden states."""
        if self.name == "cls":
            vector = states[0].float()
        elif self.name == "last":
            vector = states[-1].float()
        else:
            vector = states[tokens.start :].float().mean(dim=0)
        for step in self.after:
            if step is None:
                vector = torch.nn.functional.normalize(vector, dim=0)
            else:
                vector = step.activation(torch.nn.functional.linear(vector, step.weight, step.bias))
        return vector


def pooled(states: Sequence[Tensor], tokens: Sequence[Tokens], pooling: Pooling) -> Tensor:
    """(n, d) embeddings, text by text: a row has the same bits whatever stands beside it."""
    return torch.stack([pooling.apply(own, text) for own, text in zip(states, tokens, strict=True)])
