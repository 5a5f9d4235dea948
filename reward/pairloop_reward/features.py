"""Features of (prompt, response): a fixed map from text to ψ, learned from trainable texts only.

Two blocks, each scaled so that two responses to one prompt are at mean squared distance 1:

* surface: standardised by their within-prompt spread, but not rotated. Rotating them as well (full whitening) makes
  rare combinations, such as many words but few characters, as big as length itself, and cost 2 to 4 points of
  accuracy at 150 votes on two sets of human votes.
* text: the within-prompt principal directions of TF-IDF, whitened.

A prior margin of given size then means the same in both, whatever their dimensions. At last rows are cut to three
times the median length: outliers would otherwise dominate a D-optimal design.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairloop.kit.text import plain
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import IntArray
from pairloop.protocols import BoolArray
from pairloop.records import ResponseView
from pairloop_reward.likelihood import Float64
from pairloop_reward.options import TfidfOptions
from pairloop_reward.surface import FEATURES, surface_row
from pairloop_reward.textspace import fit_vectorizer, new_vectorizer, principal_directions, within_prompt

Features = NDArray[np.float32]

VERSION = 1
"""Raised whenever the same texts would get other features."""

_WINSOR = 6.0  # spreads; a rare mark has a tiny spread, and one response that is full of it a huge value
_MEDIAN_NORMS = 3.0
_CHUNK = 8_192  # responses at a time


@dataclass(frozen=True, slots=True)
class Featurizer:
    """The fitted map; `transform` is row-wise, so a response gets the same bits in every company.

    Attributes:
        terms: V words and word pairs; empty without a text block.
        idf: (V,) inverse document frequencies. components: (V, k) float32, scaled. text_mean: (k,).
        surface_mean, surface_scale: (s,) centre and 1/spread; block: factor of the surface block.
        bound: longest row that is left as it is.
        max_characters: longer responses are cut.
    """

    terms: tuple[str, ...]
    idf: Float64
    components: NDArray[np.float32]
    text_mean: Float64
    surface_mean: Float64
    surface_scale: Float64
    block: float
    bound: float
    max_characters: int

    @property
    def blocks(self) -> tuple[int, int]:
        """Dimensions of the surface and of the text block."""
        return len(self.surface_mean), len(self.text_mean)

    @property
    def dimensions(self) -> int:
        """Length d of ψ."""
        return sum(self.blocks)

    def transform(self, responses: Sequence[ResponseView]) -> Features:
        """(R, d) features, float32, finite."""
        rows = [self._rows(responses[i : i + _CHUNK]) for i in range(0, len(responses), _CHUNK)]
        return np.concatenate(rows) if rows else np.zeros((0, self.dimensions), dtype=np.float32)

    def _rows(self, responses: Sequence[ResponseView]) -> Features:
        texts = [response.text[: self.max_characters] for response in responses]
        rows = np.concatenate([self._surface(responses, texts), self._text(texts)], axis=1)
        norms = np.sqrt(np.sum(rows * rows, axis=1))
        return np.asarray(rows * np.minimum(1.0, self.bound / np.maximum(norms, 1e-300))[:, None], dtype=np.float32)

    def _surface(self, responses: Sequence[ResponseView], texts: Sequence[str]) -> Float64:
        if not len(self.surface_mean):
            return np.zeros((len(texts), 0))
        raw = surface_matrix(responses, texts)
        return self.block * np.clip((raw - self.surface_mean) * self.surface_scale, -_WINSOR, _WINSOR)

    def _text(self, texts: Sequence[str]) -> Float64:
        if not self.terms:
            return np.zeros((len(texts), 0))
        vectorizer = new_vectorizer(None, self.terms)
        vectorizer.idf_ = self.idf
        with numeric_threads():
            return np.asarray(vectorizer.transform(texts) @ self.components.astype(np.float64)) - self.text_mean


def surface_matrix(responses: Sequence[ResponseView], texts: Sequence[str]) -> Float64:
    """(n, s) raw surface features of the responses, whose texts were cut already."""
    prompts = [plain(response.prompt) for response in responses]
    rows = [surface_row(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))


def fit_featurizer(responses: Sequence[ResponseView], trainable: BoolArray, options: TfidfOptions) -> Featurizer:
    """Learn the map from the texts under the (R,) mask ``trainable``; the others are not looked at."""
    seen = [response for response, use in zip(responses, trainable, strict=True) if use]
    texts = [response.text[: options.max_characters] for response in seen]
    prompt, freedom = _prompt_index(seen)
    terms, idf, components, text_mean = _fit_text(texts, prompt, freedom, options)
    mean, scale, block = _fit_surface(surface_matrix(seen, texts), prompt, freedom, options)
    unbounded = Featurizer(terms, idf, components, text_mean, mean, scale, block, np.inf, options.max_characters)
    norms = np.linalg.norm(unbounded.transform(seen), axis=1)
    bound = _MEDIAN_NORMS * float(np.median(norms)) if len(norms) else 1.0
    return Featurizer(terms, idf, components, text_mean, mean, scale, block, bound or 1.0, options.max_characters)


def _prompt_index(responses: Sequence[ResponseView]) -> tuple[IntArray, int]:
    """Prompt number of each response, and the degrees of freedom n − P of what varies within prompts.

    Where hardly any prompt has two responses, everything counts as one prompt: spread over the whole pool is then
    the best guess at the spread within a prompt.
    """
    number: dict[str, int] = {}
    prompt = np.array([number.setdefault(response.prompt_id, len(number)) for response in responses], dtype=np.intp)
    if len(prompt) - len(number) < len(prompt) / 4:
        return np.zeros_like(prompt), max(len(prompt) - 1, 1)
    return prompt, len(prompt) - len(number)


def _fit_text(
    texts: Sequence[str], prompt: IntArray, freedom: int, options: TfidfOptions
) -> tuple[tuple[str, ...], Float64, NDArray[np.float32], Float64]:
    """Terms, idf, scaled components and mean; all empty where there is nothing to tell texts apart by."""
    fitted = fit_vectorizer(texts, options.vocabulary) if options.dimensions and texts else None
    if fitted is not None:
        terms, idf, matrix = fitted
        with numeric_threads():
            directions, values = principal_directions(matrix, prompt, options.dimensions)
            if len(values):
                # k whitened directions of unit variance put two responses at mean squared distance 2k
                components = (directions * (np.sqrt(freedom / (2.0 * len(values))) / values)).astype(np.float32)
                return tuple(terms), idf, components, (matrix @ components.astype(np.float64)).mean(axis=0)
    return (), np.zeros(0), np.zeros((0, 0), dtype=np.float32), np.zeros(0)


def _fit_surface(raw: Float64, prompt: IntArray, freedom: int, options: TfidfOptions) -> tuple[Float64, Float64, float]:
    """Centre, 1/spread and block factor of the surface features; a constant feature gets the factor 0."""
    if not options.surface:
        return np.zeros(0), np.zeros(0), 1.0
    if not len(raw):
        return np.zeros(raw.shape[1]), np.zeros(raw.shape[1]), 1.0
    within = (within_prompt(raw, prompt) ** 2).sum(axis=0) / freedom
    # a tenth of the total spread as a floor: a feature that hardly varies within prompts must not be blown up
    spread = np.sqrt(within + 0.01 * raw.var(axis=0))
    scale = np.where(spread > 1e-9, 1.0 / np.maximum(spread, 1e-9), 0.0)
    centre = raw.mean(axis=0)
    standard = within_prompt(np.clip((raw - centre) * scale, -_WINSOR, _WINSOR), prompt)
    total = 2.0 * float((standard**2).sum()) / freedom
    return centre, scale, 1.0 / np.sqrt(total) if total > 0 else 1.0
