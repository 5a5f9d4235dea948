"""Derived data on disk, which may be deleted at any time: fitted featurizers and features by content.

A file is the sha256 of its content, then safetensors, written atomically. One that does not match is thrown away
and computed again; a disk that cannot be written costs time and a warning, never the fit.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairloop.errors import StorageFull
from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import canonical_json
from pairloop.kit.ids import content_json
from pairloop.records import ResponseView

Arrays = Mapping[str, NDArray[Any]]
ContentKeys = NDArray[np.bytes_]

_DIGEST = 32
_KEY = 16
_KEPT_FILES = 4  # of each kind: the featurizers and features of the latest rounds
_log = logging.getLogger(__name__)
_remembered: list[tuple[tuple[ResponseView, ...], list[bytes]]] = []  # one at most
_read_lately: dict[Path, tuple[tuple[int, int], dict[str, NDArray[Any]]]] = {}  # by file: its time and size, arrays
_READ_LATELY = 2


def content_keys(responses: Sequence[ResponseView]) -> list[bytes]:
    """16 bytes a response: a hash of its prompt and its text, whatever its id.

    Those of the last tuple are remembered: a round asks for those of its whole pool a dozen times.
    """
    if not isinstance(responses, tuple):
        return _content_keys(responses)
    for known, keys in _remembered:
        if known is responses:
            return keys
    keys = _content_keys(responses)
    _remembered[:] = [(responses, keys)]
    return keys


def _content_keys(responses: Sequence[ResponseView]) -> list[bytes]:
    prompts: dict[str, bytes] = {}
    keys = []
    for response in responses:
        if response.prompt_id not in prompts:
            prompts[response.prompt_id] = canonical_json(content_json(response.prompt)).encode("utf-8", "surrogatepass")
        hasher = hashlib.blake2b(prompts[response.prompt_id], digest_size=_KEY)
        hasher.update(b"\x00" + response.text.encode("utf-8", "surrogatepass"))
        keys.append(hasher.digest())
    return keys


def checked(arrays: Arrays) -> bytes:
    """The content of a cache file: its own sha256, then safetensors."""
    from safetensors.numpy import save

    content = save({name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())})
    return hashlib.sha256(content).digest() + content


def read_checked(path: Path) -> dict[str, NDArray[Any]] | None:
    """The arrays in a cache file, or None where it is absent or damaged.

    The last two files are kept in memory while they stand unchanged, because every model of a round reads the same two.
    """
    try:
        found = path.stat()
        stamp = (found.st_mtime_ns, found.st_size)
        if path in _read_lately and _read_lately[path][0] == stamp:
            return dict(_read_lately[path][1])
        data = path.read_bytes()
    except OSError:  # absent, or deleted a moment ago
        return None
    arrays = checked_arrays(path, data)
    if arrays is not None:
        _read_lately.pop(path, None)
        for old in list(_read_lately)[: len(_read_lately) - _READ_LATELY + 1]:
            del _read_lately[old]
        _read_lately[path] = (stamp, arrays)
    return None if arrays is None else dict(arrays)


def checked_arrays(path: Path, data: bytes) -> dict[str, NDArray[Any]] | None:
    """The arrays in the content of a cache file, read-only; None, and a warning, where it is damaged."""
    from safetensors.numpy import load

    if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
        _log.warning("the cache file %s is damaged; it is computed again", path)
        return None
    arrays = load(data[_DIGEST:])
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


class DiskCache:
    """Checked array files in one folder; without a folder it remembers nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, kind: str, key: str) -> dict[str, NDArray[Any]] | None:
        """The arrays stored under (kind, key), or None where there are none that are intact."""
        return None if self._folder is None else read_checked(_path(self._folder, kind, key))

    def write(self, kind: str, key: str, arrays: Arrays) -> None:
        """Store arrays under (kind, key) and drop the oldest files of the kind."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomic(_path(self._folder, kind, key), checked(arrays))
            _prune(self._folder, kind)
        except (StorageFull, OSError) as error:
            _log.warning("the feature cache cannot be written: %s", error)


def _path(folder: Path, kind: str, key: str) -> Path:
    return folder / f"{kind}-{key}.cache"


def _prune(folder: Path, kind: str) -> None:
    files = sorted(folder.glob(f"{kind}-*.cache"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[_KEPT_FILES:]:
        path.unlink(missing_ok=True)
