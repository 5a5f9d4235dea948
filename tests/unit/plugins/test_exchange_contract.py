"""The backends csv and jsonl keep the contract, with people who fill in the files."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from pairloop.protocols import Backend, BackendContext
from pairloop.records import Choice
from pairloop.testing.backends import BackendContract, Factory
from pairloop_plugins.exchange.backend import ExchangeBackend
from pairloop_plugins.exchange.options import CsvOptions, ExchangeOptions, JsonlExchangeOptions

SAID = {
    Choice.LEFT: "Left",
    Choice.RIGHT: " RIGHT",
    Choice.TIE: "same",
    Choice.BOTH_BAD: "both bad",
    Choice.SKIP: "skip",
}


class TestCsv(BackendContract):
    name: ClassVar[str] = "csv"
    options: ClassVar[ExchangeOptions] = CsvOptions()

    @pytest.fixture
    def backend_factory(self, make_context: Callable[..., BackendContext]) -> Factory:
        return lambda folder: ExchangeBackend(self.name, self.options, make_context(folder))

    def answer(self, backend: Backend, choices: Mapping[str, Choice]) -> None:
        assert isinstance(backend, ExchangeBackend)
        for path in sorted(backend.outbox.glob("round-*")):
            path.write_bytes(self.filled(path.read_bytes(), choices))

    def filled(self, data: bytes, choices: Mapping[str, Choice]) -> bytes:
        separator = {"comma": ",", "semicolon": ";", "tab": "\t"}[getattr(self.options, "separator", "comma")]
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=separator))
        for row in rows:
            if row["key"] in choices:
                row["choice"] = SAID[choices[row["key"]]]
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, rows[0], delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().encode()


class TestSemicolons(TestCsv):
    options = CsvOptions(separator="semicolon", annotators=("ann", "Björk", "=cmd"))


class TestJsonl(TestCsv):
    name = "jsonl"
    options = JsonlExchangeOptions()

    def filled(self, data: bytes, choices: Mapping[str, Choice]) -> bytes:
        rows = [json.loads(line) for line in data.decode().split("\n") if line]
        for row in rows:
            if row["key"] in choices:
                self.fill(row, choices[row["key"]])
        return "".join(json.dumps(row) + "\n" for row in rows).encode()

    def fill(self, row: dict[str, object], choice: Choice) -> None:
        row["choice"] = SAID[choice]


class TestProdigy(TestJsonl):
    options = JsonlExchangeOptions(shape="prodigy", annotators=("ann", "bob", "cy"))

    def fill(self, row: dict[str, object], choice: Choice) -> None:
        """What Prodigy's ``choice`` view adds to a task."""
        row["answer"] = "ignore" if choice is Choice.SKIP else "accept"
        row["accept"] = [] if choice is Choice.SKIP else [choice.value]
        row["_timestamp"] = 1_700_000_000


class TestArgilla(TestJsonl):
    options = JsonlExchangeOptions(shape="argilla")

    def filled(self, data: bytes, choices: Mapping[str, Choice]) -> bytes:
        """What ``Dataset.records.to_json`` writes: one array, with answers by question and user."""
        records = json.loads(data)
        for record in records:
            if record["id"] in choices:
                answer = {"value": choices[record["id"]].value, "user_id": "2f6a9d8e-0000-4000-8000-000000000001"}
                record["responses"]["choice"] = [answer]
        return json.dumps(records).encode()


def test_the_folder_of_the_files_is_that_of_the_configuration(
    tmp_path: Path, make_context: Callable[..., BackendContext]
) -> None:
    backend = ExchangeBackend("csv", CsvOptions(outbox="out", inbox="/in"), make_context(tmp_path))
    assert backend.outbox == tmp_path / "out"
    assert backend.inbox == Path("/in")
    backend.close()
