"""What the backend ``label-studio`` costs beyond the bare API calls for the same work, on a real server.

    PAIRLOOP_LABEL_STUDIO=http://localhost:8080 LABEL_STUDIO_API_KEY=… python benchmarks/label_studio.py [tasks]

It makes projects of its own and removes them. Each line is seconds of ours, seconds of the bare calls, and the ratio.
The bare calls send the same bodies in the same sizes and ask for the same fields, and look at nothing that comes back.
"""

import json
import os
import resource
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from pairloop.kit.ids import assignment_key
from pairloop.protocols import BackendContext, Preparing
from pairloop.records import Choice, Prelabel, Task
from pairloop_plugins.label_studio import api
from pairloop_plugins.label_studio.backend import LabelStudioBackend
from pairloop_plugins.label_studio.codec import payload, prediction, version_of
from pairloop_plugins.label_studio.options import LabelStudioOptions
from pairloop_plugins.label_studio.setup import prepare

URL = os.environ["PAIRLOOP_LABEL_STUDIO"].rstrip("/")
BARE = httpx.Client(base_url=URL, headers={"Authorization": f"Token {os.environ['LABEL_STUDIO_API_KEY']}"}, timeout=600)
WORDS = "the model answers at length, as models do, and people read it twice before they choose. "
CHUNK = 500
SAID = {"from_name": "preference", "to_name": "prompt", "type": "choices", "value": {"choices": ["left"]}}


def task(index: int, model: str = "a" * 64) -> Task:
    """About 3 KB of text."""
    pair = f"q{index:020d}"
    guess = Prelabel(Choice.LEFT, 0.5 + 0.4 * (index % 97) / 97, model)
    return Task(
        key=assignment_key("bench", 1, pair, 0), round=1, replica=0, pair_id=pair, prompt=f"{index} {WORDS * 6}",
        left=f"{index} {WORDS * 14}", right=f"{index} {WORDS * 14}", prelabel=guess, rank=index,
    )  # fmt: skip


MADE: list[int] = []


def project() -> LabelStudioOptions:
    made = prepare(LabelStudioOptions(url=URL), Preparing(f"bench-{uuid.uuid4().hex[:8]}", Path()))
    MADE.append(made.options["project"])
    return LabelStudioOptions(**{**made.options, "chunk": CHUNK, "timeout": 600.0})


def backend(options: LabelStudioOptions, folder: str) -> LabelStudioBackend:
    place = Path(folder) / uuid.uuid4().hex
    place.mkdir()
    return LabelStudioBackend(options, BackendContext(place, "bench", 0))


def timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def report(what: str, ours: float, bare: float) -> None:
    print(f"{what:<48} {ours:8.2f} s {bare:8.2f} s   × {ours / bare:.2f}", flush=True)


def bare_import(number: int | None, bodies: list[dict[str, Any]]) -> None:
    for start in range(0, len(bodies), CHUNK):
        answer = BARE.post(
            f"/api/projects/{number}/import", params={"return_task_ids": "true"}, json=bodies[start : start + CHUNK]
        )
        assert answer.status_code == 201, answer.text[:300]  # noqa: S101


def bare_pull(number: int | None, items: list[dict[str, Any]]) -> int:
    total, page = 0, 1
    query = json.dumps({"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:updated_at"]})
    while True:
        params = {"project": number, "query": query, "fields": "all", "include": api._INSIDE, "page_size": CHUNK}
        answer = BARE.get("/api/tasks/", params={**params, "page": page})
        if answer.status_code == 404:
            return total
        found = answer.json()["tasks"]
        total += len(found)
        if len(found) < CHUNK:
            return total
        page += 1


def drain(made: LabelStudioBackend, cursor: str | None) -> tuple[int, str]:
    n = 0
    while True:
        page = made.poll(cursor)
        n, cursor = n + len(page.annotations), page.cursor
        if not page.more:
            return n, cursor


def pushing(n: int, folder: str, options: LabelStudioOptions) -> LabelStudioBackend:
    other, tasks = project(), [task(index) for index in range(n)]
    made = backend(options, folder)

    def ours() -> None:
        made.lookup([each.key for each in tasks])
        for start in range(0, n, CHUNK):
            made.publish(tasks[start : start + CHUNK])

    seconds = timed(ours)
    bodies = [payload(each, "bench", options) for each in tasks]
    report(f"push of {n} tasks with predictions", seconds, timed(lambda: bare_import(other.project, bodies)))
    return made


def repredicting(n: int, made: LabelStudioBackend, options: LabelStudioOptions) -> None:
    guesses = {task(index).key: Prelabel(Choice.RIGHT, 0.3, "b" * 64) for index in range(n)}
    seconds = timed(lambda: made.renew(guesses))
    ids = made._ledger.primary(guesses)
    bodies = [
        {"task": ids[key], **prediction(replace(guess, model="c" * 64), 0, True, "bench", options)}
        for key, guess in guesses.items()
    ]

    def bare() -> None:
        for start in range(0, n, 1000):
            BARE.post(f"/api/projects/{options.project}/import/predictions", json=bodies[start : start + 1000])
        changes = {"model_version": version_of("c" * 64, "bench"), "sampling": "Uncertainty sampling"}
        BARE.patch(f"/api/projects/{options.project}/", json={**changes, "show_collab_predictions": False})

    report(f"new predictions for {n} open tasks", seconds, timed(bare))


def pulling(n: int, folder: str) -> None:
    options = project()
    answered = [{**payload(task(i), "bench", options), "annotations": [{"result": [SAID]}]} for i in range(n)]
    bare_import(options.project, answered)
    made = backend(options, folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cursor, got = "", 0

    def ours() -> None:
        nonlocal cursor, got
        got, cursor = drain(made, None)

    seconds = timed(ours)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    campaign = [api.by_campaign("bench")]
    report(
        f"first pull of {n} answered tasks ({got} votes)", seconds, timed(lambda: bare_pull(options.project, campaign))
    )
    print(f"{'  memory of the process, peak before and after':<48} {before / 1024:6.0f} MB {after / 1024:6.0f} MB")
    time.sleep(options.overlap + 2)  # what was just imported is no longer read again
    drain(made, cursor)
    since = made._ledger.fact("cursor")
    found = BARE.get(
        "/api/tasks/", params={"project": options.project, "fields": "all", "page_size": 20, "include": "id"}
    )
    for each in found.json()["tasks"]:
        BARE.post(f"/api/tasks/{each['id']}/annotations/", json={"result": [SAID], "lead_time": 1})
    changed = [*campaign, api.changed_after(datetime.fromisoformat(str(since)))]
    seconds = timed(lambda: drain(made, cursor))
    report(f"pull of 20 changes among {n}", seconds, timed(lambda: bare_pull(options.project, changed)))
    report(
        f"pull of nothing new among {n}",
        timed(lambda: drain(made, cursor)),
        timed(lambda: bare_pull(options.project, changed)),
    )


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"{'':<48} {'ours':>10} {'bare':>10}   ratio")
    with tempfile.TemporaryDirectory() as folder:
        options = project()
        made = pushing(n, folder, options)
        repredicting(min(2000, n), made, options)
        pulling(n, folder)
    for number in MADE:
        BARE.delete(f"/api/projects/{number}/")


if __name__ == "__main__":
    main()
