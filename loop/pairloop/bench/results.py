"""Results on disk, in and out: one small JSON file a cell, so that a killed benchmark goes on where it stopped."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pairloop import __version__
from pairloop.bench.cell import Point, Scores
from pairloop.bench.plan import Cell
from pairloop.errors import CorruptionDetected, DataError
from pairloop.kit.atomic import write_atomic
from pairloop.kit.versions import installed_versions

_PACKAGES = ("numpy", "scipy", "scikit-learn")


def versions() -> dict[str, str]:
    """What a cached result depends on besides its settings."""
    return {"pairloop": __version__, **installed_versions(_PACKAGES)}


def result_file(out: Path, cell: Cell, fingerprint: str) -> Path:
    """Where a cell's result lives."""
    return out / "cells" / f"{cell.label.replace('/', '-')}-{fingerprint}.json"


def save(path: Path, cell: Cell, points: list[Point]) -> None:
    """Write a result, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {"cell": cell.label, "points": [asdict(point) for point in points]}
    write_atomic(path, json.dumps(body, sort_keys=True) + "\n")


def load(path: Path) -> list[Point] | None:
    """A finished result, or None if there is none.

    Raises:
        CorruptionDetected: the file is there and cannot be read.
    """
    if not path.is_file():
        return None
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return [_point(point) for point in body["points"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptionDetected(f"{path} is damaged: {error}", "Remove the file; its cell will run again.") from None


def _point(values: dict[str, Any]) -> Point:
    scores = {name: Scores(**each) for name, each in values["scores"].items()}
    return Point(**{**values, "scores": scores})


def read_blocks(file: Path) -> list[dict[str, Any]]:
    """The blocks of an older result (``NAME.json``).

    Raises:
        DataError: the file is missing or no such result.
    """
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
        blocks: list[dict[str, Any]] = body["blocks"]
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: not a result of pairloop bench", "Give the .json file that it wrote.") from error
    return blocks
