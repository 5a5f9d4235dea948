"""Data that is read once for all arms of a seed: the campaign's database after the import, and labels of its rows."""

import json
import shutil
from pathlib import Path
from typing import Any

from pairloop.bench.plan import Cell, TruthArm
from pairloop.config.load import parse_config
from pairloop.config.template import template
from pairloop.intake import import_source
from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import digest
from pairloop.kit.ids import make_pair, prompt_id, response_id
from pairloop.kit.progress import Silent
from pairloop.kit.text import clean
from pairloop.parts import Parts
from pairloop.protocols import PairSource
from pairloop.records import SourceRow
from pairloop.registry import Registry
from pairloop.store import Store
from pairloop.store.database import FILE_NAME

LABELS = "labels.json"
_SIDES = {"a": 0, "b": 1}

Labels = dict[str, dict[str, int | None]]
"""Name of a truth → pair id → 0 where the pair's first response is labelled the better one, 1 for the second, None
where the row only says that the pair measures."""


def prepare(cell: Cell, out: Path, stamp: str, registry: Registry) -> Path:
    """The folder with database and labels for the cell's data and seed; made if it is not there.

    Raises:
        PairloopError: as the import of a campaign.
    """
    config = cell.config
    key = digest([stamp, config["data"], config["campaign"], config["holdout"], _measures(cell)])[:16]
    folder = out / "prepared" / key
    if folder.is_dir():
        return folder
    making = out / "prepared" / f"{key}.{id(cell)}.tmp"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    _make(cell, making, registry)
    try:
        making.replace(folder)
    except OSError:  # another process was faster, and made the same
        shutil.rmtree(making)
    return folder


def forget(out: Path) -> None:
    """Remove what was prepared; it is made again when needed."""
    shutil.rmtree(out / "prepared", ignore_errors=True)


def start_from(prepared: Path, home: Path) -> Labels:
    """Put the database into a campaign's folder; returns the labels."""
    shutil.copyfile(prepared / FILE_NAME, home / FILE_NAME)
    labels: Labels = json.loads((prepared / LABELS).read_text(encoding="utf-8"))
    return labels


def _make(cell: Cell, folder: Path, registry: Registry) -> None:
    config = parse_config(template(cell.config), f"{cell.data.name} of the benchmark")
    parts = Parts(config, folder / "campaign.toml", folder, "bench", registry)
    source = parts.source()
    store = Store.open(folder)
    try:
        import_source(store, config, source, cell.data.source, Silent(), folder)
    finally:
        store.close()
    write_atomic(folder / LABELS, json.dumps(_labels(cell, source)) + "\n")


def _measures(cell: Cell) -> list[Any]:
    return [truth.model_dump(mode="json") for truth in cell.data.measures]


def _labels(cell: Cell, source: PairSource) -> Labels:
    wanted = [truth for truth in cell.data.measures if truth.truth == "label" or truth.only is not None]
    found: Labels = {truth.name: {} for truth in wanted}
    for row in source.rows() if wanted else ():
        if not isinstance(row, SourceRow) or len(row.responses) != 2:
            continue
        prompt = prompt_id(row.prompt)
        ids = [response_id(prompt, clean(response.text)) for response in row.responses]
        if ids[0] == ids[1]:
            continue
        pair = make_pair(prompt, ids[0], ids[1])
        for truth in wanted:
            measures, first = _said(truth, row, swapped=pair.first != ids[0])
            if measures:
                found[truth.name][pair.id] = first
    return found


def _said(truth: TruthArm, row: SourceRow, *, swapped: bool) -> tuple[bool, int | None]:
    """Does the row's pair measure, and which response is the better one by its label?"""
    if truth.only is not None and not row.metadata.get(truth.only):
        return False, None
    if truth.truth != "label":
        return True, None
    side = _SIDES.get(str(row.metadata.get(truth.label)))
    return side is not None, None if side is None else side ^ swapped
