"""Pair sources, and programmatic gold scores."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from pairloop.records import PromptContent, RejectedRow, SourceRow


class PairSource(Protocol):
    """Reads prompts with responses from somewhere. Iterating twice gives the same rows."""

    def rows(self) -> Iterator[SourceRow | RejectedRow]:
        """Good and bad rows in file order; a bad row never ends the iteration."""

    def digest(self) -> str:
        """sha256 of what is read, for the manifest."""


@runtime_checkable
class SuggestsOptions(Protocol):
    """A pair source that can say under which options it would be read, e.g. which column it takes for what."""

    def suggested_options(self) -> Mapping[str, Any]:
        """Options to write into the configuration, where a person confirms or corrects them.

        Raises:
            DataError: the source cannot be read, or does not even allow a guess.
        """


class GoldScorer(Protocol):
    """A stated programmatic score, used by simulated annotators and to judge policies in benchmarks."""

    def score(self, prompt: PromptContent, response: str, metadata: Mapping[str, Any]) -> float:
        """The gold reward of a response; higher is better, any finite number."""
