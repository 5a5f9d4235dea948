"""Features of (prompt, response): a fixed map from text to ψ, learned from trainable texts only.

A surface and a text block side by side (`blocks`). A prior margin of a given size means the same in both, whatever
their dimensions. At last rows are cut to three times the median length: outliers would otherwise dominate a
D-optimal design.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairloop.kit.text import plain
from pairloop.posterior import IntArray
from pairloop.protocols import BoolArray
from pairloop.records import ResponseView
from pairloop_reward.blocks import NO_SURFACE, SurfaceBlock, TextBlock, fit_surface, fit_text
from pairloop_reward.likelihood import Float64
from pairloop_reward.options import TfidfOptions
from pairloop_reward.surface import FEATURES, surface_row

Features = NDArray[np.float32]

VERSION = 1
"""Raised whenever the same texts would get other features."""

MEDIAN_LENGTHS = 3.0
"""Longer rows are cut to this many median lengths."""

_CHUNK = 8_192  # responses at a time


@dataclass(frozen=True, slots=True)
class Featurizer:
    """The fitted map. `transform` works row by row, so a response gets the same bits in every company.

    Attributes:
        surface, text: the blocks, in column order; either may have no columns.
        bound: longest row that is left as it is.
        max_characters: longer responses are cut.
    """

    surface: SurfaceBlock
    text: TextBlock
    bound: float
    max_characters: int

    @property
    def blocks(self) -> tuple[int, int]:
        """Dimensions of the surface and of the text block."""
        return len(self.surface.mean), len(self.text.mean)

    @property
    def dimensions(self) -> int:
        """Length d of ψ."""
        return sum(self.blocks)

    def transform(self, responses: Sequence[ResponseView], *, remember: bool = True) -> Features:
        """(R, d) features, float32, finite. Nothing is kept, whatever ``remember`` says."""
        rows = [self._rows(responses[i : i + _CHUNK]) for i in range(0, len(responses), _CHUNK)]
        return np.concatenate(rows) if rows else np.zeros((0, self.dimensions), dtype=np.float32)

    def _rows(self, responses: Sequence[ResponseView]) -> Features:
        texts = [response.text[: self.max_characters] for response in responses]
        blocks = [np.zeros((len(texts), 0))]
        if len(self.surface.mean):
            blocks.append(self.surface.apply(surface_matrix(responses, texts)))
        if self.text.terms:
            blocks.append(self.text.apply(self.text.rows(texts)))
        rows = np.concatenate(blocks, axis=1)
        shrink = np.minimum(1.0, self.bound / np.maximum(lengths_of(rows), 1e-300))
        return np.asarray(rows * shrink[:, None], dtype=np.float32)


def fit_featurizer(responses: Sequence[ResponseView], trainable: BoolArray, options: TfidfOptions) -> Featurizer:
    """Learn the map from the texts under the (R,) mask ``trainable``; the others are not looked at."""
    seen = [response for response, use in zip(responses, trainable, strict=True) if use]
    texts = [response.text[: options.max_characters] for response in seen]
    prompt, freedom = prompt_index(seen)
    text, rows = fit_text(texts, prompt, freedom, options.dimensions, options.vocabulary)
    surface, blocks = NO_SURFACE, [np.zeros((len(seen), 0))]
    if options.surface:
        raw = surface_matrix(seen, texts)
        surface = fit_surface(raw, prompt, freedom)
        blocks.append(surface.apply(raw))
    if text.terms:
        blocks.append(text.apply(rows))
    lengths = lengths_of(np.concatenate(blocks, axis=1))
    bound = MEDIAN_LENGTHS * float(np.median(lengths)) if len(lengths) else 1.0
    return Featurizer(surface, text, bound or 1.0, options.max_characters)


def surface_matrix(responses: Sequence[ResponseView], texts: Sequence[str]) -> Float64:
    """(n, s) raw surface features of the responses, whose texts were cut already."""
    prompts = [plain(response.prompt) for response in responses]
    rows = [surface_row(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))


def lengths_of(rows: Float64) -> Float64:
    """(n,) Euclidean lengths."""
    return np.asarray(np.sqrt(np.sum(rows * rows, axis=1)))


def prompt_index(responses: Sequence[ResponseView]) -> tuple[IntArray, int]:
    """Prompt number of each response, and the degrees of freedom n − P of what varies within prompts.

    Where hardly any prompt has two responses, everything counts as one prompt: the spread over the whole pool is
    then the best guess at the spread within a prompt.
    """
    number: dict[str, int] = {}
    prompt = np.array([number.setdefault(response.prompt_id, len(number)) for response in responses], dtype=np.intp)
    if len(prompt) - len(number) < len(prompt) / 4:
        return np.zeros_like(prompt), max(len(prompt) - 1, 1)
    return prompt, len(prompt) - len(number)
