"""A pair source without a file: rows are made from word lists, and some responses are better than others.

A response is a few words. `goodness` is the gold score behind the toy annotators: good words count for it, bad words
against it, so that a model of words learns it from a few dozen votes.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from pairloop.hookspecs import hookimpl
from pairloop.kit.canonical import digest
from pairloop.kit.options import Options
from pairloop.kit.seeds import generator
from pairloop.protocols import GoldScorer, GoldSpec, PairSource, SourceSpec
from pairloop.records import PromptContent, Provenance, RejectedRow, SourceResponse, SourceRow

GOOD = ("clear", "kind", "true", "short", "calm", "exact")
BAD = ("vague", "rude", "false", "endless", "loud", "wrong")
NEUTRAL = ("stone", "river", "window", "paper", "seven", "table", "green", "walk")
WORDS = (*GOOD, *BAD, *NEUTRAL)


def goodness(text: str) -> float:
    """Good words minus bad words, a whole number for any text."""
    words = text.split()
    return float(sum(word in GOOD for word in words) - sum(word in BAD for word in words))


class ToyGold:
    """`goodness` as a gold scorer; implements `pairloop.protocols.GoldScorer`."""

    def score(self, prompt: PromptContent, response: str, metadata: Mapping[str, Any]) -> float:
        """Good words minus bad words of the response."""
        return goodness(response)


class ToyOptions(Options):
    """``[data.options]`` of ``toy``."""

    prompts: int = Field(default=24, ge=0)
    """How many prompts."""
    responses: int = Field(default=4, ge=1)
    """Responses to each."""
    seed: int = Field(default=0, ge=0)
    """Other words for other seeds."""


class ToySource:
    """Implements `pairloop.protocols.PairSource`."""

    def __init__(self, options: ToyOptions) -> None:
        self._options = options

    def rows(self) -> Iterator[SourceRow | RejectedRow]:
        """The rows; every prompt is its own group."""
        for number in range(self._options.prompts):
            rng = generator(self._options.seed, "toy", number)
            texts = [
                " ".join(WORDS[i] for i in rng.integers(len(WORDS), size=4)) + f" {chr(97 + k)}"
                for k in range(self._options.responses)
            ]
            responses = tuple(SourceResponse(text, Provenance(model=f"toy-{k}")) for k, text in enumerate(texts))
            yield SourceRow(f"Describe thing {number} of {digest(number)[:8]}.", responses, line=number + 1)

    def digest(self) -> str:
        """sha256 of the options."""
        return digest(self._options.model_dump(mode="json"))


def _factory(options: Any, _path: Path | None) -> PairSource:
    return ToySource(options or ToyOptions())


def _gold() -> GoldScorer:
    return ToyGold()


@hookimpl
def pairloop_gold_scorers() -> Sequence[GoldSpec]:
    """Offer the gold scorer ``toy``."""
    return [GoldSpec("toy", _gold, summary="good words minus bad words")]


@hookimpl
def pairloop_sources() -> Sequence[SourceSpec]:
    """Offer the source ``toy``."""
    return [SourceSpec("toy", _factory, ToyOptions, "rows made from word lists")]
