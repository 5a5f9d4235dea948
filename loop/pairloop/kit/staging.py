"""Folders that are there completely or not at all, and the disk's errors under the name they deserve."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from pairloop.kit.atomic import disk_errors, empty_folder, fsync_folder, fsync_tree

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder to write into that becomes ``target`` at the end, whole; what was there before is replaced.

    Raises:
        StorageFull: the disk is full, read-only or failing; ``target`` is as it was.
    """
    with disk_trouble(target):
        temporary = empty_folder(target.parent / f".{target.name}.tmp")
        try:
            yield temporary
            fsync_tree(temporary)
            if target.exists():
                empty_folder(target).rmdir()
            temporary.replace(target)
            fsync_folder(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)  # a half-written copy must not fill the disk further


@contextmanager
def disk_trouble(path: Path) -> Iterator[None]:
    """Turn what a full, read-only or failing disk raises into `StorageFull`, that of safetensors' writer too."""
    with disk_errors(path):
        try:
            yield
        except SafetensorError as error:
            found = _OS_ERROR.search(str(error))
            if found is None:
                raise
            raise OSError(int(found[1]), os.strerror(int(found[1]))) from error
