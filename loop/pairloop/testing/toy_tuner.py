"""A policy tuner without a language model: a policy is a table of words with weights, and samples words.

Each of five steps multiplies every weight by exp(rate · reward of the word alone), which is what exact policy
gradient does to a policy of independent words, and leaves a checkpoint, so that a job that was killed goes on where it
stopped.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from pairloop.errors import CorruptionDetected
from pairloop.hookspecs import hookimpl
from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import canonical_json
from pairloop.kit.options import Options
from pairloop.kit.seeds import generator
from pairloop.protocols import Generated, PolicyJob, PolicyPrompt, PolicyResult, Progress, Scorer, TunerSpec
from pairloop.records import ResponseView

POLICY_FILE = "policy.json"
_LENGTH = 4

Table = dict[str, float]


class ToyTunerOptions(Options):
    """``[policy.options]`` of ``toy``."""

    steps: int = Field(default=5, ge=1)
    """Steps of a tuning."""
    rate: float = Field(default=0.3, gt=0)
    """How far one step goes."""


class ToyTuner:
    """Implements `pairloop.protocols.PolicyTuner`."""

    def __init__(self, options: ToyTunerOptions) -> None:
        self._options = options

    def prepare(self, model: str, corpus: Sequence[ResponseView], into: Path, *, seed: int, progress: Progress) -> None:
        """π0 from the words of the corpus, whatever ``model`` says."""
        counts = Counter(word for response in corpus for word in response.text.split())
        write_policy(into, {word: float(n) for word, n in sorted(counts.items())} or {"nothing": 1.0})

    def tune(self, job: PolicyJob, scorer: Scorer, progress: Progress) -> PolicyResult:
        """Five checkpointed steps towards words of high reward, less if the KL budget binds."""
        reference = read_policy(job.reference)
        table, metrics = _last_checkpoint(job.folder) or (read_policy(job.policy), [])
        rewards = _rewards(list(table), scorer, job.conservatism)
        before = _expected(read_policy(job.policy), rewards)
        stop = f"{self._options.steps} steps done"
        progress.start("tuning the toy policy", self._options.steps)
        for step in range(len(metrics), self._options.steps):
            proposed = {word: weight * math.exp(self._options.rate * rewards[word]) for word, weight in table.items()}
            if _kl(proposed, reference) > job.kl_budget:
                stop = f"the KL budget of {job.kl_budget:g} nats is used up"
                break
            table = proposed
            row = {"step": float(step + 1), "reward": _expected(table, rewards), "kl": _kl(table, reference)}
            metrics.append(row)
            write_atomic(
                job.folder / f"checkpoint-{step + 1:03d}.json", canonical_json({"table": table, "metrics": metrics})
            )
            progress.advance()
        progress.finish()
        result = job.folder / "result"
        result.mkdir(exist_ok=True)
        write_policy(result, table)
        return PolicyResult(result, metrics, stop, {"reward_before": before, "reward_after": _expected(table, rewards)})

    def generate(
        self,
        policy: Path,
        prompts: Sequence[PolicyPrompt],
        n: int,
        scorer: Scorer | None,
        *,
        seed: int,
        threads: int = 1,
    ) -> Sequence[Generated]:
        """``n`` times four words a prompt."""
        table = read_policy(policy)
        words, p = list(table), np.array(list(table.values()))
        p = p / p.sum()
        out = []
        for prompt in prompts:
            rng = generator(seed, prompt.id)
            for number in range(n):
                text = " ".join(words[i] for i in rng.choice(len(words), size=_LENGTH, p=p))
                out.append(Generated(prompt.id, text, {"number": number, "seed": seed}))
        return out


def read_policy(folder: Path) -> Table:
    """The word table in a policy's folder, in order of words.

    Raises:
        CorruptionDetected: the file is missing or damaged.
    """
    try:
        table = json.loads((folder / POLICY_FILE).read_text(encoding="utf-8"))["words"]
        return {str(word): float(weight) for word, weight in sorted(table.items())}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptionDetected(f"the policy {folder / POLICY_FILE} is missing or damaged: {error}") from error


def write_policy(folder: Path, table: Mapping[str, float]) -> None:
    """Write a word table."""
    write_atomic(folder / POLICY_FILE, canonical_json({"words": dict(table)}))


def _last_checkpoint(folder: Path) -> tuple[Table, list[dict[str, float]]] | None:
    found = sorted(folder.glob("checkpoint-*.json"))
    if not found:
        return None
    body = json.loads(found[-1].read_text(encoding="utf-8"))
    return {word: float(weight) for word, weight in sorted(body["table"].items())}, body["metrics"]


def _rewards(words: Sequence[str], scorer: Scorer, conservatism: float) -> Table:
    views = [ResponseView(f"r-{word}", "p", "", word, "") for word in words]
    mean, std = scorer.score(views)
    return {word: float(m - conservatism * s) for word, m, s in zip(words, mean, std, strict=True)}


def _shares(table: Mapping[str, float]) -> Table:
    total = sum(table.values())
    return {word: weight / total for word, weight in table.items()}


def _expected(table: Mapping[str, float], rewards: Mapping[str, float]) -> float:
    return sum(share * rewards[word] for word, share in _shares(table).items())


def _kl(table: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """Nats a response: ``_LENGTH`` independent words."""
    base = _shares(reference)
    return _LENGTH * sum(share * math.log(share / base[word]) for word, share in _shares(table).items() if share > 0)


def _factory(options: Any) -> ToyTuner:
    return ToyTuner(options or ToyTunerOptions())


@hookimpl
def pairloop_tuners() -> Sequence[TunerSpec]:
    """Offer the tuner ``toy``."""
    return [TunerSpec("toy", _factory, ToyTunerOptions, "a table of words, for tests")]
