"""What choosing a batch costs, as ratios to reading the data once.

    python benchmarks/selection.py                 # 200,000 pairs, 160 dimensions, batch of 500
    python benchmarks/selection.py --large         # 1,000,000 pairs, 384 dimensions (about 4 GB of memory)
    python benchmarks/selection.py --busy          # what another process on the second core costs, in wall time

CPU seconds of one thread. The floor is a matrix-vector product, measured in every round next to the phases, in two
sizes: over the responses (what is stored) and over an N × D matrix of pairs (what a full pass for a pick would
read). Ratios are medians over the rounds with their range. The picks are then checked against a dense greedy search
on a subsample; running that on the large pool would take minutes for each round.

With ``--busy`` the whole selection is timed by the wall clock, alone and beside a process that loops, in turn, on a
machine that does nothing else: threads that spin while they wait for a core make such a neighbour cost many times over.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pairloop.acquisition import LogdetStrategy, RandomStrategy, bald, entropy, from_acquisition
from pairloop.acquisition.functions import expected_information
from pairloop.acquisition.geometry import differences, squared_lengths
from pairloop.acquisition.keys import canonical, pair_keys
from pairloop.kit.threads import numeric_threads
from pairloop.posterior import PreferencePosterior
from pairloop.protocols import SelectionContext

RESPONSES = 4  # a prompt, so six pairs


def make_pool(pairs: int, dimensions: int, *, fitted: bool, seed: int) -> SelectionContext:
    """Clustered prompts, decaying spectrum, some near-duplicate responses; margins and variances as after a fit."""
    generator = np.random.default_rng(seed)
    prompts = -(-pairs // (RESPONSES * (RESPONSES - 1) // 2))
    spectrum = (1.0 / np.sqrt(1.0 + np.arange(dimensions))).astype(np.float32)
    centres = generator.standard_normal((200, dimensions), dtype=np.float32)
    whitened = generator.standard_normal((prompts * RESPONSES, dimensions), dtype=np.float32)
    whitened += np.repeat(centres[generator.integers(200, size=prompts)], RESPONSES, axis=0)
    whitened *= spectrum * (0.35 if fitted else 1.0)
    copies = generator.integers(prompts, size=prompts // 10) * RESPONSES
    whitened[copies + 1] = whitened[copies] + 0.01 * whitened[copies + 1]
    mean = whitened @ generator.standard_normal(dimensions, dtype=np.float32) if fitted else np.zeros(len(whitened))
    first, second = np.triu_indices(RESPONSES, 1)
    offsets = RESPONSES * np.arange(prompts)[:, None]
    candidates = np.stack([offsets + first, offsets + second], axis=-1).reshape(-1, 2)[:pairs]
    return SelectionContext(
        PreferencePosterior(np.asarray(mean, np.float64), whitened, flip_rate=0.1, fitted=fitted), candidates,
        np.repeat(np.arange(prompts), RESPONSES), np.repeat(np.arange(prompts), RESPONSES),
        np.empty((0, 2), np.int64), np.empty((0, 2), np.int64), np.ones(len(candidates)), 1, seed,
    )  # fmt: skip


def cpu_seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def phases(context: SelectionContext, batch: int) -> dict[str, Callable[[], object]]:
    """The parts of a round's selection by name."""
    posterior, pairs = context.posterior, canonical(context.candidates)
    variance = squared_lengths(posterior.whitened, pairs)
    margin = posterior.margin(pairs)
    vector = np.ones(posterior.whitened.shape[1], np.float32)
    return {
        "read responses (floor)": lambda: posterior.whitened @ vector,
        "logdet: variances": lambda: squared_lengths(posterior.whitened, canonical(context.candidates)),
        "logdet: information": lambda: expected_information(posterior, margin, variance),
        "logdet: whole select": lambda: LogdetStrategy().select(context, batch),
        "bald: whole select": lambda: from_acquisition(bald).select(context, batch),
        "entropy: whole select": lambda: from_acquisition(entropy).select(context, batch),
        "random: whole select": lambda: RandomStrategy().select(context, batch),
    }


def measure(context: SelectionContext, batch: int, rounds: int) -> None:
    """Print seconds and ratios of every phase."""
    work = phases(context, batch)
    times = np.array([[cpu_seconds(call) for call in work.values()] for _ in range(rounds)])
    responses = times[:, 0]
    per_pair = responses * len(context.candidates) / len(context.posterior.mean)
    print(f"  {'phase':26}{'CPU s':>9}{'× read of responses':>26}{'× read of an N × D matrix':>30}")
    for name, column in zip(work, times.T, strict=True):
        cells = [f"{np.median(r):7.1f} ({r.min():.1f}–{r.max():.1f})" for r in (column / responses, column / per_pair)]
        print(f"  {name:26}{np.median(column):9.3f}{cells[0]:>26}{cells[1]:>30}")


def busy(context: SelectionContext, batch: int, rounds: int) -> None:
    """Print the ratio of wall times beside a looping process and alone."""
    ratios = []
    for _ in range(rounds):
        alone = wall_seconds(context, batch)
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
            ratios.append(wall_seconds(context, batch) / alone)
            neighbour.kill()
    load = os.getloadavg()[0] - 1.0
    print(f"  beside a busy process × alone: {np.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")
    print(f"  {os.cpu_count()} cores; load of everything else about {max(load, 0.0):.1f}: above 1 this says nothing")


def wall_seconds(context: SelectionContext, batch: int) -> float:
    start = time.perf_counter()
    LogdetStrategy().select(context, batch)
    return time.perf_counter() - start


def dense_picks(context: SelectionContext, batch: int) -> list[int]:
    """Every candidate evaluated before every pick, in float64."""
    pairs, posterior = canonical(context.candidates), context.posterior
    z = differences(posterior.whitened, pairs)
    variance = np.einsum("nd,nd->n", z, z)
    options = LogdetStrategy()
    information = expected_information(posterior, posterior.margin(pairs), variance, options.options.nodes)
    information = information * options._damping(variance, posterior.fitted)
    prompt, keys = context.prompt[pairs[:, 0]], pair_keys(pairs, context.seed)
    is_open, picks = np.ones(len(pairs), bool), []
    for _ in range(batch):
        gain = np.where(is_open, np.log1p(information * variance) / context.cost, -np.inf)
        tied = np.flatnonzero(gain >= gain.max() * (1 - 1e-9))
        k = int(tied[np.argmin(keys[tied])])
        picks.append(k)
        is_open &= prompt != prompt[k]
        w = z[k] - sum_of(z, k, picks[:-1], information, context)
        variance = np.maximum(variance - information[k] / (1 + information[k] * variance[k]) * (z @ w) ** 2, 0)
    return picks


def sum_of(z: np.ndarray, k: int, picks: list[int], information: np.ndarray, context: SelectionContext) -> np.ndarray:
    """What the picks so far take away from z_k, by solving with the precision they add up to."""
    taken = z[picks]
    precision = np.eye(z.shape[1]) + (taken * information[picks][:, None]).T @ taken
    return z[k] - np.linalg.solve(precision, z[k])


def check(context: SelectionContext, batch: int, sample: int, seed: int) -> None:
    """Compare with the dense search on a random part of the candidates."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(context.candidates))[:sample])
    part = replace(context, candidates=context.candidates[rows], cost=context.cost[rows])
    with numeric_threads():
        dense = dense_picks(part, batch)
    lazy = LogdetStrategy().select(part, batch).picks.tolist()
    same = sum(a == b for a, b in zip(dense, lazy, strict=True))
    print(f"  picks equal to a dense greedy search on {len(rows):,} of the pairs: {same}/{batch} in order")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="1,000,000 pairs of 384 dimensions")
    parser.add_argument("--busy", action="store_true", help="wall time beside a busy process, by wall time alone")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--dimensions", type=int)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sample", type=int, default=10_000, help="pairs of the dense check")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    pairs = args.pairs or (1_000_000 if args.large else 200_000)
    dimensions = args.dimensions or (384 if args.large else 160)
    for fitted in (True, False):
        print(f"{pairs:,} pairs, {dimensions} dimensions, batch {args.batch}, {'after a fit' if fitted else 'cold'}")
        context = make_pool(pairs, dimensions, fitted=fitted, seed=args.seed)
        if args.busy:
            busy(context, args.batch, args.rounds)
            continue
        with numeric_threads():
            measure(context, args.batch, args.rounds)
        check(context, args.batch, min(args.sample, pairs), args.seed)


if __name__ == "__main__":
    main()
