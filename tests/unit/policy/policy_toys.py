"""A toy job for the policy tests; also run as a script, to be killed in the middle."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pairloop.kit.ids import prompt_id, response_id
from pairloop.kit.progress import Silent
from pairloop.protocols import PolicyJob, PolicyPrompt
from pairloop.records import ResponseView
from pairloop_policy.options import RLOOOptions, ScratchOptions

THINGS = ("the apple", "the river", "the old house", "my bicycle", "a cloud", "the moon", "this road", "a small dog")
WORDS = ("red", "kind", "slow", "cold", "bright", "happy")
SMALL = ScratchOptions(vocabulary=320, width=32, layers=3, heads=2, context=96, steps=160, batch_size=8)
OPTIONS = RLOOOptions(
    steps=8,
    prompts_per_step=4,
    samples_per_prompt=4,
    max_new_tokens=14,
    learning_rate=5e-3,
    probe_every=3,
    checkpoint_every=2,
    probe_prompts=3,
    scratch=SMALL,
)


def toy_prompts() -> list[PolicyPrompt]:
    """One prompt a thing."""
    return [PolicyPrompt(prompt_id(f"How is {t}?"), f"How is {t}?", t) for t in THINGS]


def toy_corpus() -> list[ResponseView]:
    """Every word about every thing."""
    texts = [(p, f"{p.group} is {w} and {v}.") for p in toy_prompts() for w in WORDS for v in WORDS if v != w]
    return [ResponseView(response_id(p.id, t), p.id, p.content, t, p.group) for p, t in texts]


class WordScorer:
    """How often a word comes, per ten characters; always equally sure. May kill the process at a call."""

    def __init__(self, word: str = "red", kill_at: int | None = None) -> None:
        self.word, self.kill_at, self.calls, self.seen = word, kill_at, 0, list[str]()

    def score(self, responses: Sequence[ResponseView]) -> tuple[Any, Any]:
        self.calls += 1
        if self.calls == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen += [r.text for r in responses]
        return np.array([float(r.text.count(self.word)) for r in responses]), np.full(len(responses), 0.25)


def toy_job(folder: Path, policy: Path, reference: Path | None = None, **changes: Any) -> PolicyJob:
    """Six prompts to tune on, two to probe."""
    folder.mkdir(parents=True, exist_ok=True)
    prompts = toy_prompts()
    fields: dict[str, Any] = {
        "folder": folder, "policy": policy, "reference": reference or policy, "prompts": prompts[:6],
        "probe": prompts[6:], "kl_weight": 0.02, "kl_budget": 60.0, "conservatism": 1.0, "seed": 5,
    }  # fmt: skip
    return PolicyJob(**fields | changes)


def kill_at_rename(hit: int) -> None:
    """Kill this process just before its ``hit``-th rename: a checkpoint is written, but not yet there."""
    original, count = Path.replace, [0]

    def replace(self: Path, target: Path) -> Path:
        count[0] += 1
        if count[0] == hit:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, target)

    Path.replace = replace  # type: ignore[method-assign, assignment]


def main(folder: str, policy: str, how: str, hit: str) -> None:
    """Tune, and die at a call of the scorer or at a rename."""
    from pairloop_policy.rloo import RLOO

    if how == "rename":
        kill_at_rename(int(hit))
    scorer = WordScorer(kill_at=int(hit) if how == "score" else None)
    RLOO(OPTIONS).tune(toy_job(Path(folder), Path(policy)), scorer, Silent())


if __name__ == "__main__":
    main(*sys.argv[1:])
