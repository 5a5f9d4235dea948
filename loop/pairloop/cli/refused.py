"""Files of answers that the backend refused, for people."""

from collections.abc import Iterable
from typing import Any

from pairloop.cli.output import message

_SHOWN = 20


def tell_refused(files: Iterable[dict[str, Any]]) -> None:
    """Name every bad line on stderr, `_SHOWN` a file; ``--json`` has them all."""
    for file in files:
        message(f"{file['file']} was not taken; nothing of it is stored:")
        for problem in file["problems"][:_SHOWN]:
            message(f"  {problem}")
        if len(file["problems"]) > _SHOWN:
            message(f"  … and {len(file['problems']) - _SHOWN} more: pairloop status --json")


class RefusalTeller:
    """Tells what is refused once for every change, while a campaign runs."""

    def __init__(self) -> None:
        self._last: list[dict[str, Any]] = []

    def __call__(self, files: list[dict[str, Any]]) -> None:
        """Tell the files that are new, or refused for another reason."""
        tell_refused(file for file in files if file not in self._last)
        for file in self._last:
            if file["file"] not in {one["file"] for one in files}:
                message(f"{file['file']} is in order now, or gone.")
        self._last = files
