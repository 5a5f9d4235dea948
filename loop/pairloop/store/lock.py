"""One writer per campaign: an operating-system lock on a file, and a fencing epoch in the database.

The lock keeps honest processes apart; the epoch stops one that was suspended, lost the lock and woke up again: every
transaction checks it.
"""

import json
import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout

from pairloop.errors import CampaignLocked
from pairloop.kit.atomic import disk_errors

FILE_NAME = "campaign.lock"


class CampaignLock:
    """The operating system's lock; released when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._holder = folder / (FILE_NAME + ".holder")
        self._lock = FileLock(str(self._path))

    def acquire(self) -> None:
        """Take the lock or say who has it.

        Raises:
            CampaignLocked: with process id and host of the holder.
        """
        with disk_errors(self._path):
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise CampaignLocked(
                    f"{self._path.parent} is in use by {self._describe_holder()}",
                    "Only one process may work on a campaign. Wait for it, or stop it, then try again.",
                ) from None
            self._holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}), encoding="utf-8")

    def release(self) -> None:
        """Give the lock back; may be called twice."""
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()

    def _describe_holder(self) -> str:
        try:
            holder = json.loads(self._holder.read_text(encoding="utf-8"))
            return f"process {int(holder['pid'])} on {holder['host']!s}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
