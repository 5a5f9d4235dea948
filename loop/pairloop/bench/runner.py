"""Running all cells: over the cores, resumable, the same results whatever the number of processes."""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from pairloop.bench import results
from pairloop.bench.cell import Point, run_cell
from pairloop.bench.plan import Cell, Plan, cells
from pairloop.bench.prepared import forget
from pairloop.errors import ConfigError
from pairloop.protocols import Progress


def run_plan(plan: Plan, out: Path, progress: Progress) -> dict[str, list[Point]]:
    """Results of every cell by its label; finished cells are read, the others are run and saved one by one.

    Raises:
        PairloopError: of the first cell that fails; what was finished before is kept.
    """
    stamps = {arm.name: _stamp(arm.path) for arm in plan.data}
    wanted = [(cell, _file(out, cell, stamps[cell.data.name])) for cell in cells(plan)]
    found = {cell.label: points for cell, file in wanted if (points := results.load(file)) is not None}
    todo = [(cell, file) for cell, file in wanted if cell.label not in found]
    progress.start(f"benchmark {plan.bench.name}", len(wanted))
    progress.advance(len(found), "from an earlier run")
    try:
        for label, points in _run(todo, out, plan.bench.workers, stamps):
            found[label] = points
            progress.advance(1, label)
    finally:
        forget(out)
    progress.finish()
    return {cell.label: found[cell.label] for cell, _ in wanted}


def pending(plan: Plan, out: Path) -> list[tuple[str, bool]]:
    """(label, finished) of every cell; nothing is run."""
    stamps = {arm.name: _stamp(arm.path) for arm in plan.data}
    return [(cell.label, _file(out, cell, stamps[cell.data.name]).is_file()) for cell in cells(plan)]


def _file(out: Path, cell: Cell, stamp: str) -> Path:
    return results.result_file(out, cell, cell.fingerprint({**results.versions(), "data": stamp}))


def _stamp(path: str | None) -> str:
    """sha256 of a data file; of the listing for a folder."""
    if path is None:
        return "-"
    file = Path(path)
    if file.is_dir():
        names = sorted((item.name, item.stat().st_size, item.stat().st_mtime_ns) for item in file.iterdir())
        return hashlib.sha256(repr(names).encode()).hexdigest()
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _run(
    todo: list[tuple[Cell, Path]], out: Path, workers: int, stamps: Mapping[str, str]
) -> Iterable[tuple[str, list[Point]]]:
    if workers == 1 or len(todo) <= 1:
        for cell, file in todo:
            yield cell.label, _one(cell, file, out, stamps[cell.data.name])
        return
    # spawn, not fork: a forked child would share the parent's thread pools and locks.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_one, cell, file, out, stamps[cell.data.name]): cell for cell, file in todo}
        try:
            for future in as_completed(futures):
                yield futures[future].label, future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _one(cell: Cell, file: Path, out: Path, stamp: str) -> list[Point]:
    points = run_cell(cell, out, stamp=stamp)
    results.save(file, cell, points)
    return points
