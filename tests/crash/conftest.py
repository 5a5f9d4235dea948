"""One fork server for all crash tests, and the runs that everything is compared with."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.forkserver import ForkServer
from support.sweep import Sweep


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def fast_folder() -> Iterator[Path]:
    """A folder in memory where there is one: these tests kill processes, they do not pull the plug."""
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made inside
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with TemporaryDirectory(prefix="pairloop-", dir=place) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def sweeps(fork_server: ForkServer, fast_folder: Path) -> Callable[..., Sweep]:
    """The sweep of a scenario (and a broken variant), with its uninterrupted run, made once."""
    made: dict[tuple[str, str | None], Sweep] = {}

    def sweep(scenario: str, mutant: str | None = None) -> Sweep:
        if (scenario, mutant) not in made:
            made[scenario, mutant] = Sweep(fork_server, fast_folder, scenario, mutant)
        return made[scenario, mutant]

    return sweep
