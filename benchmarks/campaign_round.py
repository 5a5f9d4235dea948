"""One whole round of a real campaign at 100,000 labels and a million candidate pairs, state by state.

A campaign with its store, simulated annotators and every check that it makes: the first round asks for all the labels
at random, the second asks for a batch by the default strategy and is timed. What only the first round pays (reading
the data, the features of all texts) is shown apart.

    python benchmarks/campaign_round.py [--labels 100000] [--prompts 27800] [--responses 10] [--batch 500]
        [--folder KEEP]
"""

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tomlkit

from pairloop.campaign import Campaign
from pairloop.kit.threads import numeric_threads
from pairloop.lifecycle import stop_reason

WORDS = 4000


def write_data(path: Path, prompts: int, responses: int) -> None:
    """Synthetic texts of 20 to 60 words with a Zipf vocabulary; the hidden reward is a word's, summed."""
    rng = np.random.default_rng(0)
    weights = 1.0 / np.arange(1, WORDS + 1)
    weights /= weights.sum()
    worth = rng.standard_normal(WORDS)
    with path.open("w", encoding="utf-8") as file:
        for p in range(prompts):
            prompt = " ".join(f"w{i}" for i in rng.choice(WORDS, 12, p=weights)) + f" {p}"
            answers = [rng.choice(WORDS, int(rng.integers(20, 60)), p=weights) for _ in range(responses)]
            rows = [
                {"text": " ".join(f"w{i}" for i in words), "metadata": {"gold": float(worth[words].mean() * 5)}}
                for words in answers
            ]
            file.write(json.dumps({"prompt": prompt, "responses": rows}) + "\n")


def config(size: int, rounds: int, strategy: str) -> str:
    return tomlkit.dumps(
        {
            "campaign": {"id": "round", "seed": 0},
            "data": {"source": "jsonl", "path": "data.jsonl"},
            "backend": {"kind": "simulated", "options": {"gold": "metadata", "teacher": "crowd"}},
            "round": {"size": size, "max_rounds": rounds},
            "selection": {"strategy": strategy},
        }
    )


class Clock:
    """Wall and CPU seconds since the last lap."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def lap(self) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        out = wall - self.wall, cpu - self.cpu
        self.wall, self.cpu = wall, cpu
        return out


def drive(folder: Path, text: str, label: str) -> tuple[float, float]:
    """Run the campaign to its end, printing each step's seconds; returns their sum."""
    (folder / "campaign.toml").write_text(text, encoding="utf-8")
    total = [0.0, 0.0]
    clock = Clock()
    with Campaign(folder) as campaign:
        wall, cpu = clock.lap()
        print(f"{label:<8}{'open':<70}{wall:>9.1f}{cpu:>9.1f}", flush=True)
        while True:
            outcome = campaign.step()
            wall, cpu = clock.lap()
            total = [total[0] + wall, total[1] + cpu]
            print(f"{label:<8}{str(outcome)[:68]:<70}{wall:>9.1f}{cpu:>9.1f}", flush=True)
            latest = campaign.context.store.rounds.latest()
            if stop_reason(campaign.context.store, campaign.config, latest) and latest and latest.state.is_terminal:
                return total[0], total[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--labels", type=int, default=100_000)
    parser.add_argument("--prompts", type=int, default=27_800)
    parser.add_argument("--responses", type=int, default=10)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with numeric_threads(1), TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "data.jsonl").exists():
            write_data(folder / "data.jsonl", arguments.prompts, arguments.responses)
        print(f"{'round':<8}{'step':<70}{'wall s':>9}{'CPU s':>9}")
        drive(folder, config(arguments.labels, 1, "random"), "first")
        wall, cpu = drive(folder, config(arguments.batch, 2, "vopt"), "second")
        print(f"{'second':<8}{'the whole round':<70}{wall:>9.1f}{cpu:>9.1f}")


if __name__ == "__main__":
    main()
