"""The pair source ``demo``: the data that ships with the package."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from pydantic import Field

from pairloop.kit.options import Options
from pairloop.records import Provenance, RejectedRow, SourceResponse, SourceRow


class DemoOptions(Options):
    """Options of the source ``demo``."""

    prompts: int | None = Field(default=None, ge=2)
    """Take only the first so many prompts. The file goes through all topics again and again, so that every beginning
    of it is balanced. None takes all."""


class DemoSource:
    """Implements `pairloop.protocols.PairSource`; reads nothing but its own package."""

    def __init__(self, options: DemoOptions) -> None:
        self._limit = options.prompts

    def rows(self) -> Iterator[SourceRow | RejectedRow]:
        """The prompts in the order of the file; none is rejected."""
        for number, line in enumerate(self._lines(), start=1):
            yield _row(json.loads(line), number)

    def digest(self) -> str:
        """sha256 of the lines that are read."""
        return hashlib.sha256("".join(self._lines()).encode()).hexdigest()

    def _lines(self) -> list[str]:
        text = files("pairloop_plugins.demo").joinpath("data", "demo.jsonl").read_text(encoding="utf-8")
        return text.splitlines(keepends=True)[: self._limit]


def _row(row: Mapping[str, Any], number: int) -> SourceRow:
    responses = tuple(SourceResponse(given["text"], Provenance(model=given["model"])) for given in row["responses"])
    return SourceRow(row["prompt"], responses, group=row["group"], metadata=row["metadata"], line=number)
