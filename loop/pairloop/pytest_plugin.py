"""The pytest plugin: fixtures for benchmarks in tests. Nothing of pairloop is imported until a fixture is used.

pytest loads this module in every run of every project that shares the environment, so it must cost nothing there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pairloop.testing.bench import BenchResult


@pytest.fixture(scope="session")
def pairloop_bench_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where finished cells are kept from one run to the next: pytest's cache. Override it for another place."""
    cache = getattr(request.config, "cache", None)  # absent with -p no:cacheprovider
    if cache is None:
        return tmp_path_factory.mktemp("pairloop-bench")
    folder: Path = cache.mkdir("pairloop-bench")
    return folder


@pytest.fixture
def pairloop_bench(request: pytest.FixtureRequest, pairloop_bench_folder: Path) -> Callable[..., BenchResult]:
    """Runs a benchmark: ``pairloop_bench(plan, data=None, seeds=None, workers=None)`` → `BenchResult`.

    ``plan`` is a TOML file, its content as a mapping, or a `Plan`; relative paths are relative to the test's file.
    What earlier runs have finished is not run again.
    """

    def run(plan: object, **changes: object) -> BenchResult:
        import hashlib
        from pathlib import Path

        from pairloop.testing.bench import run_bench

        here = request.path.parent
        if isinstance(plan, str | Path):
            plan = here / plan
        # a folder a test: finished cells could be shared, tables and plots could not
        own = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
        folder = pairloop_bench_folder / own
        return run_bench(plan, folder, origin=here, **changes)  # type: ignore[arg-type]

    return run
