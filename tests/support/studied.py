"""The backend ``label-studio`` on a fake server whose people answer new tasks at once: backend ``studied``."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pairloop.hookspecs import hookimpl
from pairloop.protocols import Backend, BackendContext, BackendSpec
from pairloop_plugins.label_studio.options import LabelStudioOptions

_ANSWERS = ("left", "right", "tie", "left", "right", "both_bad", "skip", None)


def people(task: dict[str, Any]) -> list[dict[str, Any]]:
    """What is said depends on what is displayed; some questions get no answer."""
    data = task["data"]
    answer = _ANSWERS[zlib.crc32(f"{data['prompt']}|{data['left']}|{data['right']}".encode()) % len(_ANSWERS)]
    if answer is None:
        return []
    if answer == "skip":
        return [{"result": [], "was_cancelled": True}]
    region = {"from_name": "preference", "to_name": "prompt", "type": "choices", "value": {"choices": [answer]}}
    return [{"result": [region]}]


def _factory(options: Any, context: BackendContext) -> Backend:
    from pairloop_plugins.label_studio.backend import LabelStudioBackend

    made = LabelStudioBackend(options, context, sleep=lambda _seconds: None)
    made.capabilities = replace(made.capabilities, blocking=True)
    return made


@hookimpl
def pairloop_backends() -> Sequence[BackendSpec]:
    return [BackendSpec("studied", _factory, LabelStudioOptions, "the backend label-studio with people")]
