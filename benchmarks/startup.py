"""CPU time of ``pairloop --help`` over that of the bare interpreter, from interleaved runs.

    python benchmarks/startup.py [--runs 15] [--limit 8]

User and system time of the child process, as the kernel counts them; the median of each, and their ratio. Exits with
1 when the ratio is above the limit.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

SCRIPT = Path(sys.executable).with_name("pairloop")
PAIRLOOP = [sys.executable, str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "pairloop"]
PROGRAMS = {
    "bare interpreter": [sys.executable, "-c", "pass"],
    "import click": [sys.executable, "-c", "import click"],
    "import pairloop": [sys.executable, "-c", "import pairloop"],
    "pairloop --help": [*PAIRLOOP, "--help"],
    "pairloop --version": [*PAIRLOOP, "--version"],
}


def cpu_seconds(command: list[str]) -> float:
    """User + system time of one run.

    Raises:
        SystemExit: the command failed.
    """
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return usage.ru_utime + usage.ru_stime


def measure(runs: int) -> dict[str, float]:
    """Median CPU seconds of every program; the programs take turns, so that a busy machine slows all alike."""
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for run in range(runs + 1):
        for name, command in PROGRAMS.items():
            seconds = cpu_seconds(command)
            if run:  # the first round fills the disk cache and writes bytecode
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--limit", type=float, default=8.0)
    options = parser.parse_args()
    medians = measure(options.runs)
    bare = medians["bare interpreter"]
    for name, seconds in medians.items():
        print(f"{name:20} {seconds * 1000:7.1f} ms   {seconds / bare:5.2f}×")
    return int(medians["pairloop --help"] / bare > options.limit)


if __name__ == "__main__":
    sys.exit(main())
