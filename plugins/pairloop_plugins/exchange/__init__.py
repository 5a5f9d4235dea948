"""The backends ``csv`` and ``jsonl``: questions leave as files, people fill them in, and the files come back.

One contract and one codec layer: what is read is recognised by its content, whatever the backend that wrote it.
"""

from collections.abc import Sequence
from typing import Any

from pairloop.hookspecs import hookimpl
from pairloop.protocols import Backend, BackendContext, BackendSpec
from pairloop_plugins.exchange.options import CsvOptions, JsonlExchangeOptions

__all__ = ["CsvOptions", "JsonlExchangeOptions", "pairloop_backends"]


def _csv(options: Any, context: BackendContext) -> Backend:
    from pairloop_plugins.exchange.backend import ExchangeBackend

    return ExchangeBackend("csv", options or CsvOptions(), context)


def _jsonl(options: Any, context: BackendContext) -> Backend:
    from pairloop_plugins.exchange.backend import ExchangeBackend

    return ExchangeBackend("jsonl", options or JsonlExchangeOptions(), context)


@hookimpl
def pairloop_backends() -> Sequence[BackendSpec]:
    """Offer the backends ``csv`` and ``jsonl``."""
    return [
        BackendSpec("csv", _csv, CsvOptions, "files that people fill in with a spreadsheet: see docs/csv.md"),
        BackendSpec(
            "jsonl", _jsonl, JsonlExchangeOptions, "the same as JSON, also in the shapes of Prodigy and Argilla"
        ),
    ]
