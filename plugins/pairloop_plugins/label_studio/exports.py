"""A JSON export of a project (Export → JSON), read as a pull would read it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pairloop.errors import DataError
from pairloop.records import Annotation
from pairloop_plugins.label_studio.codec import CAMPAIGN, KEY, SHOWN, Unreadable, remote_id, revision, said, vote
from pairloop_plugins.label_studio.ledger import Ledger
from pairloop_plugins.label_studio.options import LabelStudioOptions


def read_export(path: Path, ledger: Ledger, campaign: str, options: LabelStudioOptions) -> list[Annotation]:
    """The votes on this campaign's questions; tasks of others are passed over.

    The votes have the identities that a pull gives them, so that reading both stores each once.

    Raises:
        DataError: it is no JSON export, or holds an answer that the mapping gives no meaning.
    """
    return [one for task in _tasks(path) for one in _votes(task, path, ledger, campaign, options)]


def _tasks(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: it cannot be read: {error}", "Export the project as JSON.") from None
    sound = isinstance(found, list) and all(
        isinstance(task, dict) and isinstance(task.get("data"), dict) and isinstance(task.get("annotations"), list)
        for task in found
    )
    if not sound:
        raise DataError(f"{path}: it is no JSON export of Label Studio", "Export as JSON, not as JSON-MIN or CSV.")
    tasks: list[dict[str, Any]] = found
    return tasks


def _votes(
    task: dict[str, Any], path: Path, ledger: Ledger, campaign: str, options: LabelStudioOptions
) -> Iterator[Annotation]:
    data = task["data"]
    if data.get(CAMPAIGN) != campaign or not isinstance(data.get(KEY), str):
        return
    known = ledger.question(data[KEY])
    shown = known.shown if known is not None else bool((task.get("meta") or {}).get(SHOWN))
    for annotation in task["annotations"]:
        if annotation.get("ground_truth") and options.ground_truth == "ignore":
            continue
        try:
            content = said(annotation, shown, options.mapping, data)
        except Unreadable as error:
            raise DataError(f"{path}: task {task.get('id')}, annotation {annotation.get('id')}: {error}") from None
        text = content.to_json()
        yield vote(data[KEY], remote_id(annotation), revision(annotation, text), json.loads(text), deleted=False)
