"""Batch selection beside scikit-activeml, small-text and modAL: time and peak memory on the same arrays.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install scikit-activeml small-text modAL-python
    python benchmarks/peers.py --peers /tmp/peers/bin/python [--sizes 20000,80000,320000] [--batch 50]

Every run is a process of its own on one thread: CPU seconds of the choice alone, and how far the process's peak memory
rose above what it held before (arrays and libraries loaded). A run that takes longer than --seconds or more than
--gigabytes of address space is given up; larger sizes of that method are then left out.

The peers choose single points, pairloop chooses pairs. A point x becomes the pair (x, 0), whose vector is x again.
Features are non-negative, so that a point is never nearer to a mirror image, which core-set here takes for the same.
What is compared:

- core-set: the same task, farthest first from 500 labelled points; equal picks are counted against the first method.
- BADGE: k-means++ on the gradients of the same logistic regression; random, so only the task is the same.
- modAL's ranked batch mixes uncertainty with distance to what is labelled. pairloop has no such rule; its log-det,
  which serves the same purpose, stands beside it. NOT the same task.
- uncertainty: the batch of highest entropy, without regard to what else is in it.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

DIMENSIONS, LABELLED = 384, 500
METHODS = {
    "core-set": ("pairloop", "scikit-activeml", "small-text"),
    "BADGE": ("pairloop", "scikit-activeml"),
    "batch (not the same rule)": ("pairloop", "modAL-python"),
    "uncertainty": ("pairloop", "scikit-activeml", "modAL-python"),
}


def arrays(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, D) whose last rows are labelled, votes of those, weights (D,) of a model fitted to them."""
    generator = np.random.default_rng(0)
    spectrum = 1.0 / np.sqrt(1.0 + np.arange(DIMENSIONS, dtype=np.float32))
    x = np.abs(generator.standard_normal((size, DIMENSIONS), dtype=np.float32)) * spectrum
    votes = (x[-LABELLED:] @ (generator.standard_normal(DIMENSIONS) * spectrum) > 0).astype(int)
    votes[:2] = 0, 1
    w, centred = np.zeros(DIMENSIONS), x[-LABELLED:].astype(np.float64)
    for _ in range(200):  # plain gradient steps: the same weights for all
        w += 0.05 * (centred.T @ (votes - 1.0 / (1.0 + np.exp(-centred @ w))) - w)
    return x, votes, w


def task(method: str, library: str, size: int, batch: int) -> Callable[[], object]:
    """What is timed: everything that needs only be done once is done here."""
    x, votes, w = arrays(size)
    return {
        "pairloop": ours, "scikit-activeml": skactiveml, "small-text": small_text, "modAL-python": modal
    }[library](method, x, votes, w, batch)  # fmt: skip


def ours(method: str, x: np.ndarray, votes: np.ndarray, w: np.ndarray, batch: int) -> Callable[[], object]:
    from pairloop.acquisition import LogdetStrategy, entropy, from_acquisition
    from pairloop.acquisition.badge import BadgeStrategy
    from pairloop.acquisition.coreset import CoresetStrategy
    from pairloop.posterior import PreferencePosterior
    from pairloop.protocols import SelectionContext

    n = len(x)
    whitened = np.concatenate([x, np.zeros((1, x.shape[1]), np.float32)])
    pairs = np.stack([np.arange(n), np.full(n, n)], axis=1)
    prompt, rest = np.zeros(n + 1, np.int64), pairs[:-LABELLED]
    context = SelectionContext(
        PreferencePosterior(whitened @ w, whitened), rest, prompt, prompt, rest[:0], pairs[-LABELLED:],
        np.ones(len(rest)), 0, 0,
    )  # fmt: skip
    strategies = (CoresetStrategy(), BadgeStrategy(), LogdetStrategy(), from_acquisition(entropy))
    strategy = dict(zip(METHODS, strategies, strict=True))[method]
    return lambda: strategy.select(context, batch).picks


class Fitted:
    """The fitted logistic regression as scikit-learn's peers want it."""

    def __init__(self, w: np.ndarray) -> None:
        from sklearn.linear_model import LogisticRegression

        self.model = LogisticRegression()
        self.model.classes_, self.model.coef_, self.model.intercept_ = np.array([0, 1]), w[None], np.zeros(1)


def skactiveml(method: str, x: np.ndarray, votes: np.ndarray, w: np.ndarray, batch: int) -> Callable[[], object]:
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge, CoreSet, UncertaintySampling

    y = np.full(len(x), np.nan)
    y[-LABELLED:] = votes
    if method == "core-set":
        return lambda: CoreSet(random_state=0).query(X=x, y=y, batch_size=batch)
    model = SklearnClassifier(Fitted(w).model, classes=[0, 1]).fit(x[-LABELLED:], votes)
    model.estimator_.coef_, model.estimator_.intercept_ = w[None], np.zeros(1)
    strategy = Badge(random_state=0) if method == "BADGE" else UncertaintySampling(method="entropy", random_state=0)
    return lambda: strategy.query(X=x, y=y, clf=model, fit_clf=False, batch_size=batch)


def small_text(method: str, x: np.ndarray, votes: np.ndarray, w: np.ndarray, batch: int) -> Callable[[], object]:
    from small_text.query_strategies.coresets import greedy_coreset

    rows = np.arange(len(x))
    return lambda: greedy_coreset(x, rows[:-LABELLED], rows[-LABELLED:], batch, distance_metric="euclidean")


def modal(method: str, x: np.ndarray, votes: np.ndarray, w: np.ndarray, batch: int) -> Callable[[], object]:
    from modAL.batch import uncertainty_batch_sampling
    from modAL.models import ActiveLearner
    from modAL.uncertainty import entropy_sampling

    learner = ActiveLearner(estimator=Fitted(w).model, X_training=x[-LABELLED:], y_training=votes)
    learner.estimator.coef_, learner.estimator.intercept_ = w[None], np.zeros(1)
    query = entropy_sampling if method == "uncertainty" else uncertainty_batch_sampling
    return lambda: query(learner, x[:-LABELLED], n_instances=batch)


def child(method: str, library: str, size: int, batch: int, gigabytes: float) -> None:
    """Run one method and print what it took."""
    resource.setrlimit(resource.RLIMIT_AS, (int(gigabytes * 2**30),) * 2)
    run = task(method, library, size, batch)
    before = forget_peak()
    start = time.process_time()
    picks = run()
    seconds = time.process_time() - start
    rise = memory("VmHWM") - before
    picks = picks[0] if isinstance(picks, tuple) else picks
    print(json.dumps({
        "seconds": seconds, "megabytes": rise / 1024, "picks": np.asarray(picks).ravel()[:batch].tolist(),
        "version": version(library),
    }))  # fmt: skip


def memory(field: str) -> int:
    """Kilobytes of a field of /proc/self/status (Linux)."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def forget_peak() -> int:
    """Let the process's peak memory start again from what it holds now, in kilobytes (Linux)."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as control:
        control.write("5")
    return memory("VmRSS")


def measured(method: str, library: str, size: int, args: argparse.Namespace) -> dict | None:
    """The child's answer; None when it was given up."""
    python = sys.executable if library == "pairloop" else args.peers
    command = [python, __file__, "--child", method, library, "--sizes", str(size), "--batch", str(args.batch)]
    environment = dict(os.environ) | {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    try:
        done = subprocess.run(
            [*command, "--gigabytes", str(args.gigabytes)], env=environment, capture_output=True, text=True,
            timeout=args.seconds, check=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        print(f"  {library} at {size:,}: longer than {args.seconds:.0f} s")
        return None
    except subprocess.CalledProcessError as error:
        print(f"  {library} at {size:,}: {error.stderr.strip().splitlines()[-1][:140]}")
        return None
    return json.loads(done.stdout)


def report(args: argparse.Namespace) -> None:
    for method, libraries in METHODS.items():
        print(f"{method}, {args.batch} of N points of {DIMENSIONS} dimensions, {LABELLED} labelled")
        alive = set(libraries)
        for size in args.sizes:
            found = {name: measured(method, name, size, args) for name in libraries if name in alive}
            first = found.get(libraries[0])
            for name, result in found.items():
                if result is None or first is None:
                    alive.discard(name)
                    continue
                same = sum(a == b for a, b in zip(result["picks"], first["picks"], strict=False))
                print(
                    f"  {size:>9,}  {name + ' ' + result['version']:26}{result['seconds']:9.3f} s"
                    f" {result['seconds'] / first['seconds']:9.1f} ×{result['megabytes']:9.0f} MB"
                    f"{same:6}/{args.batch} equal in order",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="python of the environment that holds the peers")
    parser.add_argument("--sizes", default="20000,80000,320000", type=lambda t: [int(s) for s in t.split(",")])
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=90.0, help="of wall time, after which a run is given up")
    parser.add_argument("--gigabytes", type=float, default=8.0, help="of address space")
    parser.add_argument("--child", nargs=2, metavar=("METHOD", "LIBRARY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child, args.sizes[0], args.batch, args.gigabytes)
    else:
        report(args)


if __name__ == "__main__":
    main()
