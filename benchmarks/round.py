"""One round at 10,000 labels and 200,000 candidate pairs: refit, score, select 500, each against a physical floor.

The floor of a phase is the time to read once, at the memory bandwidth measured in this very run, the numbers that the
phase cannot avoid looking at. CPU seconds on one thread; the ratio is what may be compared between machines.

    python benchmarks/round.py [--labels 10000] [--prompts 4445] [--responses 10] [--batch 500]
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pairloop.kit.threads import numeric_threads
from pairloop.protocols import ModelContext, SelectionContext, TrainingData
from pairloop.records import ResponseView
from pairloop.registry import Registry, options_of

WORDS = 4000


@dataclass(frozen=True)
class Phase:
    name: str
    seconds: float
    floor_bytes: int


def corpus(prompts: int, responses: int, rng: np.random.Generator) -> list[ResponseView]:
    """Synthetic texts of 20 to 60 words with a Zipf vocabulary."""
    vocabulary = np.array([f"w{i}" for i in range(WORDS)])
    weights = 1.0 / np.arange(1, WORDS + 1)
    weights /= weights.sum()
    out = []
    for p in range(prompts):
        prompt = " ".join(rng.choice(vocabulary, 12, p=weights))
        for r in range(responses):
            text = " ".join(rng.choice(vocabulary, int(rng.integers(20, 60)), p=weights))
            out.append(ResponseView(f"r{p}-{r}", f"p{p}", prompt, text, f"g{p}"))
    return out


def votes(table: list[ResponseView], responses: int, n: int, rng: np.random.Generator) -> TrainingData:
    """Random votes of a noisy annotator who likes long texts."""
    prompt = rng.integers(0, len(table) // responses, n)
    left = prompt * responses + rng.integers(0, responses, n)
    right = prompt * responses + (left % responses + rng.integers(1, responses, n)) % responses
    length = np.array([len(view.text) for view in table], dtype=float)
    margin = (length[left] - length[right]) / length.std()
    outcome = (rng.random(n) > 1 / (1 + np.exp(-margin))).astype(np.int8)
    outcome[rng.random(n) < 0.1] = 2
    return TrainingData(
        responses=table,
        trainable=np.ones(len(table), dtype=bool),
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        outcome=outcome,
        annotator=rng.integers(0, 50, n).astype(np.int32),
        annotators=tuple(f"a{i}" for i in range(50)),
        weight=np.ones(n),
        group=prompt.astype(np.int32),
        control=rng.random(n) < 0.15,
        prelabel_shown=np.zeros(n, dtype=bool),
        round=np.ones(n, dtype=np.int32),
    )


def bandwidth() -> float:
    """Bytes a CPU second when summing an array larger than the caches; median of five."""
    block = np.ones(100_000_000 // 4, dtype=np.float32)
    rates = []
    for _ in range(5):
        start = time.process_time()
        block.sum()
        rates.append(block.nbytes / (time.process_time() - start))
    return float(np.median(rates))


def timed(work: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--labels", type=int, default=10_000)
    parser.add_argument("--prompts", type=int, default=4_445)
    parser.add_argument("--responses", type=int, default=10)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--strategy", default="vopt")
    arguments = parser.parse_args()
    with numeric_threads(1), TemporaryDirectory() as cache:
        for line in report(arguments, Path(cache)):
            print(line, flush=True)


def report(arguments: argparse.Namespace, cache: Path) -> list[str]:
    rng = np.random.default_rng(0)
    table = corpus(arguments.prompts, arguments.responses, rng)
    data = votes(table, arguments.responses, arguments.labels, rng)
    registry = Registry()
    spec = registry.spec("reward", "tfidf", "reward.model")
    options = options_of(spec, {}, "benchmark", "reward.options")
    rate = bandwidth()
    phases = []

    def new_model():  # type: ignore[no-untyped-def]
        return spec.factory(options, ModelContext(cache))

    seconds, _ = timed(lambda: new_model().prior(table, data.trainable, seed=0))
    text_bytes = sum(len(view.text) + len(view.prompt) for view in table)
    phases.append(Phase("features, first time (read all texts)", seconds, text_bytes))
    model = new_model()
    seconds, _ = timed(lambda: model.fit(data, seed=0))
    posterior = model.posterior(table)
    width = posterior.whitened.shape[1]
    phases.append(Phase("refit (read the vote differences)", seconds, arguments.labels * width * 8))
    seconds, _ = timed(lambda: model.posterior(table))
    phases.append(Phase("score (read all features)", seconds, len(table) * width * 4))
    i, j = np.triu_indices(arguments.responses, k=1)
    base = (np.arange(arguments.prompts) * arguments.responses)[:, None]
    pairs = np.stack([(base + i).ravel(), (base + j).ravel()], axis=1).astype(np.int32)
    prompt = np.repeat(np.arange(arguments.prompts), arguments.responses).astype(np.int32)
    context = SelectionContext(
        posterior,
        pairs,
        prompt,
        prompt,
        np.empty((0, 2), np.int32),
        np.empty((0, 2), np.int32),
        np.ones(len(pairs)),
        per_prompt=1,
        seed=0,
    )
    strategy = registry.spec("strategy", arguments.strategy, "selection.strategy")
    chooser = strategy.factory(options_of(strategy, {}, "benchmark", "selection.options"))
    seconds, _ = timed(lambda: chooser.select(context, arguments.batch))
    phases.append(Phase(f"select {arguments.batch} (read all pair differences)", seconds, len(pairs) * width * 4))
    lines = [
        f"{arguments.labels:,} labels, {len(table):,} responses, {len(pairs):,} candidate pairs, {width} dimensions",
        f"memory bandwidth {rate / 1e9:.1f} GB/s (one thread)",
        f"{'phase':<46}{'CPU s':>9}{'floor s':>11}{'ratio':>10}",
    ]
    for phase in phases:
        floor = phase.floor_bytes / rate
        lines.append(f"{phase.name:<46}{phase.seconds:>9.3f}{floor:>11.5f}{phase.seconds / floor:>10.1f}")
    return lines


if __name__ == "__main__":
    main()
