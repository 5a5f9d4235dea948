"""A folder that Hugging Face ``datasets`` loads: a file a split, and the data card that says which is which."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pairloop.errors import UsageError
from pairloop.exports.columnar import parquet
from pairloop.exports.text import encode
from pairloop.exports.training import Table, Training
from pairloop.kit.atomic import disk_errors, empty_folder, fsync_folder, fsync_tree

Files = Literal["jsonl", "parquet"]
CARD = "README.md"


def file_of(name: str, split: str, files: Files) -> str:
    """Where a split lies in the folder."""
    return f"{'data' if name == 'default' else name}/{split}.{files}"


def new_folder(path: Path) -> Path:
    """A folder to be written, which must be new or empty.

    Raises:
        UsageError: something is there, or the folder above is missing.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} is there already", "Name a new folder, or remove this one first.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path.parent}: there is no such folder", "Create it first, or name another one.")
    return path


def write_data(target: Path, found: Training, card: str, files: Files) -> int:
    """Write the folder, whole or not at all; returns its bytes.

    Raises:
        MissingExtra: Parquet without pyarrow. StorageFull: nothing is left behind.
    """
    contents = {file_of(*key, files): _bytes(table, files) for key, table in found.tables.items()}
    contents[CARD] = card.encode()
    write_folder(target, contents)
    return sum(map(len, contents.values()))


def write_folder(
    target: Path,
    contents: Mapping[str, bytes],
    copies: Mapping[str, Path] | None = None,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Write files by relative name, and copies of others, into a new folder, which appears complete, and checked."""
    with disk_errors(target):
        staging = empty_folder(target.absolute().parent / f".{target.name}.incoming")
        try:
            for name, data in contents.items():
                path = staging / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            for name, source in (copies or {}).items():
                (staging / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, staging / name)
            fsync_tree(staging)
            if check is not None:
                check(staging)
            if target.is_dir():
                target.rmdir()  # it is empty: `new_folder`
            staging.rename(target)
            fsync_folder(target.absolute().parent)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _bytes(table: Table, files: Files) -> bytes:
    columns = list(table.types)
    return parquet(table.rows, columns) if files == "parquet" else encode(table.rows, "jsonl", columns)
