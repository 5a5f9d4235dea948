"""Files that are there completely or not at all.

temp file in the same folder → write → fsync → rename → fsync of the folder. A failing fsync is never retried: the
file counts as lost. Errors of the disk become `StorageFull` with the path.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pairloop.errors import StorageFull
from pairloop.kit.failpoints import failpoint

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EACCES, errno.EPERM}

TEMPORARY = ".*.tmp"
"""Pattern of the files that `write_atomic` renames; one that is still there was left by a kill."""


def is_disk_error(error: OSError) -> bool:
    """True when the disk is full, read-only or failing."""
    return error.errno in _DISK_ERRORS


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what a full, read-only or failing disk raises into `StorageFull` naming the path."""
    try:
        yield
    except OSError as error:
        if is_disk_error(error):
            raise StorageFull(
                f"cannot write {path}: {error.strerror}",
                "Free space or mend the permissions, then run the same command again: what was committed is intact.",
            ) from error
        raise


def fsync_folder(folder: Path) -> None:
    """Make a rename in this folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: bytes | str, *, mode: int = 0o600) -> None:
    """Replace ``path`` by ``content``; a reader sees the old or the new file, whole.

    Raises:
        StorageFull: the disk is full, read-only or failing; the old file is untouched.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with disk_errors(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(mode)
            failpoint("atomic.before_rename")
            temporary.replace(path)
            fsync_folder(path.parent)
            failpoint("atomic.after_rename")
        finally:
            temporary.unlink(missing_ok=True)


def fsync_tree(folder: Path) -> None:
    """fsync every file below a folder, and the folders."""
    for root, _, files in os.walk(folder):
        for name in files:
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())
        fsync_folder(Path(root))


def empty_folder(folder: Path) -> Path:
    """Make ``folder`` exist and be empty; returns it."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
    return folder
