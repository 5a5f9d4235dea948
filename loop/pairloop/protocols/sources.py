"""Pair sources, and programmatic gold scores."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from pairloop.records import PromptContent, RejectedRow, SourceRow


class PairSource(Protocol):
    """Reads prompts with responses from somewhere. Iterating twice gives the same rows."""

    def rows(self) -> Iterator[SourceRow | RejectedRow]:
        """Good and bad rows in file order; a bad row never ends the iteration."""

    def digest(self) -> str:
        """sha256 of what is read, for the manifest."""


class GoldScorer(Protocol):
    """A stated programmatic score, used by simulated annotators and to judge policies in benchmarks."""

    def score(self, prompt: PromptContent, response: str, metadata: Mapping[str, Any]) -> float:
        """The gold reward of a response; higher is better, any finite number."""
