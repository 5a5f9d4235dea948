"""Files of a source that may be a folder: always in the same order, with one digest."""

import hashlib
from pathlib import Path

from pairloop.errors import DataError
from pairloop_plugins.jsonl.lines import open_binary


def files_of(path: Path, suffix: str | None = None) -> list[Path]:
    """The file itself, or the folder's files (with that suffix), sorted by their path; hidden ones are left out.

    Raises:
        DataError: there are none.
    """
    if not path.is_dir():
        open_binary(path).close()
        return [path]
    found = [
        file
        for file in path.rglob("*")
        if file.is_file()
        and (suffix is None or file.suffix == suffix)
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    if not found:
        raise DataError(f"{path}: there is no {suffix or ''} file in this folder", "Check data.path in campaign.toml.")
    return sorted(found, key=lambda file: file.relative_to(path).as_posix())


def digest_of(path: Path, suffix: str | None = None) -> str:
    """sha256 of a file; for a folder, of the names and digests of its files.

    Raises:
        DataError: one cannot be opened.
    """
    files = files_of(path, suffix)
    digests = []
    for file in files:
        with open_binary(file) as content:
            digests.append(hashlib.file_digest(content, "sha256").hexdigest())
    if not path.is_dir():
        return digests[0]
    named = (f"{file.relative_to(path).as_posix()}\0{one}\n" for file, one in zip(files, digests, strict=True))
    return hashlib.sha256("".join(named).encode("utf-8", "surrogateescape")).hexdigest()
