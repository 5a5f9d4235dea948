"""The folders that people see: which files count, and reading one whole or not at all."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pairloop_plugins.exchange.decoding import Unreadable

README = "README.txt"
TEXTS = "texts"
_LOCKS = ("~$", ".")
_SYSTEM = frozenset({"thumbs.db", "desktop.ini"})
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".download", ".swp", "~", ".bak")


@dataclass(frozen=True, slots=True)
class Found:
    """A file in one of the folders, as it looks from outside."""

    place: str
    path: Path
    size: int
    mtime: int


def found_files(folders: Mapping[str, Path]) -> Iterator[Found]:
    """Everything that people may have put there, by name; locks, hidden and unfinished downloads are passed over."""
    done: set[Path] = set()
    for label, folder in folders.items():
        if folder.resolve() in done or not folder.is_dir():
            continue
        done.add(folder.resolve())
        for path in sorted(folder.iterdir()):
            name = path.name
            lower = name.casefold()
            if name == README or name.startswith(_LOCKS) or lower.endswith(_UNFINISHED) or lower in _SYSTEM:
                continue
            try:
                about = path.lstat()
            except FileNotFoundError:  # gone since it was listed
                continue
            if not stat.S_ISDIR(about.st_mode):
                yield Found(f"{label}/{name}", path, about.st_size, about.st_mtime_ns)


def is_open(path: Path) -> bool:
    """True when a spreadsheet left its lock file beside it."""
    return any((path.parent / f"{mark}{path.name}{end}").exists() for mark, end in (("~$", ""), (".~lock.", "#")))


def read_whole(found: Found, most: float) -> bytes | None:
    """The bytes; None where the file changed while it was read or since it was listed, so that it is read later.

    Raises:
        Unreadable: a link, no file, too large, or not allowed.
    """
    try:
        descriptor = os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if found.path.is_symlink():
            raise Unreadable("this is a link: put the file itself here") from error
        raise Unreadable(f"it cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise Unreadable("this is no file: remove it")
        if before.st_size > most:
            raise Unreadable(
                f"{before.st_size / 1e6:,.1f} MB are more than {most / 1e6:g} (backend.options.max_file_mb)"
            )
        data = file.read(before.st_size + 1)
        after = os.fstat(descriptor)
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) == (found.size, found.mtime)
    return data if same and len(data) == before.st_size else None
