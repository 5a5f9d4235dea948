"""Toy stores with hand-made rows."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pairloop.config import Config
from pairloop.fallback import decide
from pairloop.kit.clock import set_clock
from pairloop.kit.ids import assignment_key, make_pair, prompt_id, response_id
from pairloop.records import (
    Annotation,
    Arm,
    Assignment,
    Choice,
    Pair,
    Prompt,
    PromptContent,
    Provenance,
    Response,
    Split,
)
from pairloop.report.facts import Facts, gather
from pairloop.report.page import render
from pairloop.saving import fractions
from pairloop.store import Store

BACKEND = "toy"


@dataclass
class Toy:
    """A campaign written row by row, without steps and models."""

    store: Store
    config: Config = field(default_factory=Config)
    asked: int = 0

    def pair(
        self,
        prompt: PromptContent,
        one: str,
        other: str,
        *,
        group: str = "g1",
        split: Split = Split.TRAIN,
        models: tuple[Provenance, Provenance] = (Provenance(model="a"), Provenance(model="b")),
    ) -> Pair:
        """A prompt with two responses, and the pair of them."""
        pid = prompt_id(prompt)
        ids = [response_id(pid, one), response_id(pid, other)]
        pair = make_pair(pid, *ids)
        with self.store.transaction():
            self.store.pool.add_group(group, split)
            self.store.pool.add_prompt(Prompt(pid, prompt, group), "listed")
            for rid, text, model in zip(ids, (one, other), models, strict=True):
                self.store.pool.add_response(Response(rid, pid, text, (model,)))
            self.store.pool.add_pair(pair)
        return pair

    def open(self) -> int:
        """A new round."""
        with self.store.transaction():
            return self.store.rounds.open().number

    def vote(
        self,
        pair: Pair,
        annotator: str,
        choice: Choice,
        *,
        number: int = 1,
        arm: Arm = Arm.ACTIVE,
        flipped: bool = False,
        p_left: float | None = None,
        **more: Any,
    ) -> str:
        """Ask about a pair and answer; ``p_left`` is what a model said before. Returns the key."""
        replica, self.asked = self.asked, self.asked + 1
        key = assignment_key("toy", number, pair.id, replica)
        assignment = Assignment(
            key, number, pair.id, replica, flipped, arm, "logdet", float(replica), replica, None, None, 0.5, "sent", key
        )
        annotation = Annotation(key, BACKEND, key, "1", annotator, choice, **more)
        with self.store.transaction():
            self.store.rounds.add_assignments([assignment])
            got = self.store.annotations.ingest([annotation], during=number)
            self.store.events.add("annotations_received", number, new=got.new, late=got.late, revised=got.revised)
            if p_left is not None:
                self.store.models.add_predictions("m", [(self.store.annotations.last_seq(), p_left)])
        return key

    def model(
        self, role: str, report: dict[str, Any], *, number: int = 1, votes: int = 0, accepted: bool = True
    ) -> None:
        """A trained (or rejected) model."""
        name = f"{role}-{number}"
        with self.store.transaction():
            if accepted:
                self.store.artifacts.add_row(name, role, 1, {})
            artifact = name if accepted else None
            seq = self.store.annotations.last_seq()
            self.store.models.add(role, number, artifact, votes=votes, last_seq=seq, report=report)

    def facts(self) -> Facts:
        """The facts of the report."""
        return gather(self.store, self.config)

    def page(self) -> str:
        """The report."""
        return render(self.facts())


@contextmanager
def _opened(folder: Path) -> Iterator[Toy]:
    set_clock(lambda: datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
    with Store.open(folder) as store:
        for pragma in ("synchronous=OFF", "journal_mode=MEMORY"):  # hundreds of commits; durability is tested elsewhere
            store._db.raw.conn.execute(f"PRAGMA {pragma}")
        yield Toy(store)
    set_clock(None)


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Toy]:
    """An empty campaign at a fixed moment."""
    with _opened(tmp_path / "toy") as toy:
        yield toy


def _pairs(toy: Toy, n: int) -> Sequence[Pair]:
    return [toy.pair(f"prompt {i}", f"short {i}", f"a longer text {i}", group=f"g{i}") for i in range(n)]


@pytest.fixture
def pairs(toy: Toy) -> Callable[[int], Sequence[Pair]]:
    """``n`` pairs in as many groups; the second text given is the longer one."""
    return lambda n: _pairs(toy, n)


_SHADOWS = {
    "round": 1, "strategy": "logdet", "votes": 40, "pairs": 90, "fractions": [0.5, 1.0], "bounds": [0.5, 0.5],
    "differences": [[0.2, 0.25] * 45, [-0.1, 0.1, -0.2] * 30],
}  # fmt: skip
_OUTLOOK = {
    "next_batch": {"votes": 40, "accuracy": 0.004, "log_loss": 0.01},
    "curve": {"exponent": 0.5, "n": 120, "clusters": 30, "more": 170,
              "double": {"value": 0.03, "low": 0.01, "high": 0.05},
              "gain": {"value": 0.01, "low": 0.004, "high": 0.016}},
    "ceiling": {"value": 0.9, "low": 0.85, "high": 0.95, "n": 60, "clusters": 60},
    "stability": {"agreement": 0.98, "kappa": 0.9, "pairs": 2000},
    "advice": {"level": "go_on", "reasons": [], "sentence": "Going on should pay: about 210 more votes."},
}  # fmt: skip


def _selection() -> dict[str, Any]:
    return decide(
        None, [_SHADOWS], strategy="logdet", round_number=1, grid=fractions(1 / 3), worthwhile=1 / 3, patience=3,
        may_switch=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Toy, str]]:
    """A campaign with something in every section, and its page: made once, since plots take seconds."""
    estimate = {"value": 0.7, "low": 0.6, "high": 0.8, "n": 40, "clusters": 12}
    holdout = dict.fromkeys(("accuracy", "log_loss", "brier", "ece"), estimate)
    arms = {"votes_per_arm": 30, **dict.fromkeys(("active", "random", "difference"), estimate)}
    steps = [{"step": i, "reward": i / 9, "kl": i, "length": 20 - i} for i in range(6)]
    with _opened(tmp_path_factory.mktemp("full")) as toy:
        toy.open()
        for i, pair in enumerate(_pairs(toy, 60)):
            for j, name in enumerate(("ann", "bob")):
                choice = (Choice.LEFT, Choice.RIGHT, Choice.TIE)[(i + j) % 3]
                toy.vote(pair, name, choice, arm=tuple(Arm)[i % 4], p_left=0.5 + i / 130, seconds=9.0, cost=0.2)
        more = {"selection": _selection(), "shadows": _SHADOWS, "outlook": _OUTLOOK}
        toy.model(
            "reward", {"holdout": holdout, "arms": arms, "flip_rate": 0.2, "notes": ["a note"], **more}, votes=120
        )
        toy.model("policy", {"tuner": "rloo", "metrics": steps, "kl_budget": 20.0, "stop_reason": "all done"})
        toy.model("policy", {"tuner": "best_of_n", "metrics": [{"n": n, "reward": n} for n in (1, 2, 4)]}, number=1)
        yield toy, toy.page()
