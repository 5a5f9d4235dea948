"""Last hidden states of responses, one text at a time, so that neighbours change no bit; kept on disk by content."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import ModelContext
from pairloop.records import ResponseView
from pairloop_reward.backbone.backbone import Backbone
from pairloop_reward.backbone.embeddings import Embeddings, Unit
from pairloop_reward.backbone.sequences import Tokens, joined
from pairloop_reward.finetuned.network import Network

VERSION = 1
"""Raised whenever the same network would give the same texts other states."""


class States:
    """Last hidden states by one network."""

    def __init__(self, network: Network, key: str, max_length: int, context: ModelContext, part: str) -> None:
        """``key`` tells the network from others; ``part`` names the folder of the cache that they share."""
        self.network, self.key, self.max_length = network, key, min(max_length, network.context)
        folder: Path | None = None if context.cache is None else context.cache / "finetuned" / part
        told = f"{VERSION} {key} {self.max_length}"
        self._embeddings = Embeddings(
            self._backbone, hashlib.sha256(told.encode()).hexdigest()[:32], folder, context.progress
        )

    def of(self, responses: Sequence[ResponseView], *, remember: bool = True) -> tuple[FloatArray, IntArray]:
        """(R, d) float32 states, and (R,) tokens that were cut."""
        if not responses:
            return np.zeros((0, self.network.head.in_features), dtype=np.float32), np.zeros(0, dtype=np.int64)
        return self._embeddings.embed([Unit(each.text, each) for each in responses], remember=remember)

    def tokens(self, response: ResponseView) -> Tokens:
        """The sequence that goes through the network."""
        return joined(self.network.tokenizer, response, self.max_length)

    def _backbone(self) -> Backbone:
        network = self.network

        def hidden(texts: Sequence[Tokens]) -> Tensor:
            return network.hidden([text.ids for text in texts]).cpu()

        name, width = type(network.model).__name__, network.head.in_features
        return Backbone(network.tokenizer, name, "single", network.causal, self.max_length, False, width, 1, "", hidden)
