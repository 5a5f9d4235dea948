"""The backend ``csv`` with people who fill in its files as soon as somebody looks for answers: backend ``filed``."""

import csv
import io
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pairloop.hookspecs import hookimpl
from pairloop.protocols import Backend, BackendContext, BackendSpec
from pairloop.records import Page
from pairloop_plugins.exchange.backend import ExchangeBackend
from pairloop_plugins.exchange.options import CsvOptions

WORDS = ("left", "Right", "same", "both bad", "left", "2", "A", "skip")


class Filed(ExchangeBackend):
    """The same backend; what people do is repeatable, so that a run can be killed and compared."""

    def __init__(self, options: CsvOptions, context: BackendContext) -> None:
        super().__init__("filed", options, context)
        self.capabilities = replace(self.capabilities, blocking=True)

    def poll(self, cursor: str | None) -> Page:
        for path in sorted(self.outbox.glob("round-*.csv")):
            fill_in(path)
        return super().poll(cursor)


def fill_in(path: Path) -> None:
    """Answer every line that nobody has answered; what is said depends on what is displayed."""
    if not path.read_bytes().startswith(b"\xef\xbb\xbf"):
        return  # a person has saved it already
    text = path.read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    for row in rows:
        row["choice"] = WORDS[zlib.crc32(f"{row['prompt']}|{row['left']}|{row['right']}".encode()) % len(WORDS)]
        row["minutes"] = "1,5"
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0], delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(out.getvalue().encode("cp1252", "replace"))


def _factory(options: Any, context: BackendContext) -> Backend:
    return Filed(options, context)


@hookimpl
def pairloop_backends() -> Sequence[BackendSpec]:
    return [BackendSpec("filed", _factory, CsvOptions, "the backend csv with people")]
