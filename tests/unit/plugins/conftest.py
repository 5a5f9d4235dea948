"""What the tests of the built-in backends and sources share."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pairloop.kit.ids import assignment_key
from pairloop.protocols import Backend, BackendContext
from pairloop.records import Annotation, PromptContent, Task

ROOT = Path(__file__).parents[3]


class NumberInText:
    """Gold score: the number behind the last "gold=" of a text; 0 without one."""

    def __init__(self) -> None:
        self.calls = 0

    def score(self, prompt: PromptContent, response: str, metadata: Mapping[str, Any]) -> float:
        self.calls += 1
        _, found, number = response.rpartition("gold=")
        return float(number.split()[0]) if found and number.split() else 0.0


@pytest.fixture
def shared_data() -> Path:
    folder = Path(os.environ.get("PAIRLOOP_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("the shared data is not beside this checkout (PAIRLOOP_SHARED)")
    return folder


@pytest.fixture
def gold() -> NumberInText:
    return NumberInText()


@pytest.fixture
def make_context(tmp_path: Path, gold: NumberInText) -> Callable[..., BackendContext]:
    def make(folder: Path | None = None, **changes: Any) -> BackendContext:
        place = folder or tmp_path / "backend"
        place.mkdir(exist_ok=True)
        return BackendContext(
            **{"folder": place, "campaign": "c", "seed": 7, "gold": gold, "cost_per_vote": 0.1, **changes}
        )

    return make


@pytest.fixture
def make_task() -> Callable[..., Task]:
    def make(index: int = 0, left: float | str = 1.0, right: float | str = 0.0, **changes: Any) -> Task:
        round_number, replica = changes.get("round", 1), changes.get("replica", 0)
        pair = changes.get("pair_id", f"q{index:06d}")
        texts = [text if isinstance(text, str) else f"some words gold={text}" for text in (left, right)]
        fields = {
            "key": assignment_key("c", round_number, pair, replica),
            "round": round_number, "replica": replica, "pair_id": pair,
            "prompt": "Which one?", "left": texts[0], "right": texts[1],
        }  # fmt: skip
        return Task(**{**fields, **changes})

    return make


@pytest.fixture
def read_all() -> Callable[..., dict[str, Annotation]]:
    """Polls from the beginning until nothing comes any more; annotations by key."""

    def read(backend: Backend, cursor: str | None = None) -> dict[str, Annotation]:
        found: dict[str, Annotation] = {}
        while (page := backend.poll(cursor)).annotations:
            for one in page.annotations:
                assert one.key not in found, "reported once"
                found[one.key] = one
            cursor = page.cursor
        return found

    return read
