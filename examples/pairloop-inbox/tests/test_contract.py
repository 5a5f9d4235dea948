"""The plugin keeps pairloop's contracts, and pairloop finds it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pairloop.acquisition.batch import from_acquisition
from pairloop.protocols import Backend, BackendContext, BatchStrategy
from pairloop.records import Choice
from pairloop.registry import Registry
from pairloop.testing.backends import BackendContract, Factory
from pairloop.testing.strategies import StrategyContract
from pairloop_inbox.backend import InboxBackend, InboxOptions
from pairloop_inbox.plugin import widest


class TestInbox(BackendContract):
    @pytest.fixture
    def backend_factory(self) -> Factory:
        return lambda folder: InboxBackend(InboxOptions(), BackendContext(Path(folder), "contract", seed=0))

    def answer(self, backend: Backend, choices: Mapping[str, Choice]) -> None:
        assert isinstance(backend, InboxBackend)
        for key, choice in choices.items():
            path = backend._file(key)
            path.write_text(path.read_text(encoding="utf-8").replace("answer: ", f"answer: {choice.value}", 1), "utf-8")


class TestWidest(StrategyContract):
    @pytest.fixture
    def strategy(self) -> BatchStrategy:
        return from_acquisition(widest, "widest")


@pytest.mark.parametrize(("kind", "name"), [("backend", "inbox"), ("strategy", "widest")])
def test_the_installed_plugin_is_found(kind: str, name: str) -> None:
    offer = next(offer for offer in Registry().offers(kind) if offer.name == name)
    assert offer.distribution == "pairloop-inbox"


def test_its_specs_are_delivered() -> None:
    registry = Registry()
    assert registry.spec("backend", "inbox", "backend.kind").options is InboxOptions
    assert registry.spec("strategy", "widest", "selection.strategy").factory(None) is not None
