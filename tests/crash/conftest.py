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
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with TemporaryDirectory(prefix="pairloop-", dir=place) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def sweeps(fork_server: ForkServer, fast_folder: Path) -> Callable[[str], Sweep]:
    """The sweep of a scenario, with its uninterrupted run, made once."""
    made: dict[str, Sweep] = {}

    def sweep(scenario: str) -> Sweep:
        if scenario not in made:
            made[scenario] = Sweep(fork_server, fast_folder, scenario)
        return made[scenario]

    return sweep
