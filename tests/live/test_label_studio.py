"""What only a real Label Studio can show: it dies, it is busy, people register, tokens are revoked.

Run by ``make test-live``; skipped where no server is given.
"""

import os
import re
import sqlite3
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from support.fault_proxy import proxying
from support.studio import REAL, Studio, compare, open_studio, question, said

from pairloop.errors import BackendError, BackendRejected, BackendUnavailable
from pairloop.records import Annotation, Choice, Prelabel, Task
from pairloop_plugins.label_studio.backend import LabelStudioBackend
from pairloop_plugins.label_studio.connect import connect
from pairloop_plugins.label_studio.options import LabelStudioOptions

sys.path.insert(0, str(Path(__file__).resolve().parent))

from real_server import EMAIL, PASSWORD, RealServer

pytestmark = pytest.mark.skipif(
    REAL not in os.environ or "PAIRLOOP_LABEL_STUDIO_FOLDER" not in os.environ, reason="needs a server: make test-live"
)


@pytest.fixture(scope="module")
def server() -> RealServer:
    return RealServer(Path(os.environ["PAIRLOOP_LABEL_STUDIO_VENV"]), Path(os.environ["PAIRLOOP_LABEL_STUDIO_FOLDER"]))


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with open_studio() as made:
        yield made


def person(studio: Studio, name: str) -> httpx.Client:
    """Somebody who registers by the organization's link."""
    link = studio._ok(studio.http.get("/api/invite"))["invite_url"]
    client = httpx.Client(base_url=studio.url, timeout=60, follow_redirects=True)
    page = client.get(link if link.startswith("/") else link.replace("http://localhost:8080", studio.url))
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token is not None
    form = {"email": f"{name}@example.com", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    answer = client.post(str(page.url), data=form, headers={"Referer": str(page.url)})
    assert answer.status_code == 200, answer.text[:300]
    assert client.get("/api/current-user/whoami").json()["email"] == f"{name}@example.com"
    return client


def pulled(backend: LabelStudioBackend, cursor: str | None = None) -> tuple[list[Annotation], str | None]:
    votes: list[Annotation] = []
    while True:
        page = backend.poll(cursor)
        votes += page.annotations
        cursor = page.cursor
        if not page.more:
            return votes, cursor


def published(studio: Studio, folder: Path, options: LabelStudioOptions, tasks: list[Task], tries: int = 20) -> None:
    """As a cron job would."""
    for _ in range(tries):
        backend = studio.backend(folder, options)
        try:
            backend.lookup([task.key for task in tasks])
            if len(backend.publish(tasks).remote_ids) == len(tasks):
                return
        except BackendError:
            continue
        finally:
            backend.close()
    raise AssertionError("the push never got through")


def test_three_people_and_all_that_they_do(studio: Studio, tmp_path: Path) -> None:
    options = studio.options()
    studio.set(options.project, maximum_annotations=3)
    tasks = [question(index) for index in range(8)]
    backend = studio.backend(tmp_path, options)
    ids = backend.publish(tasks).remote_ids
    people = [person(studio, f"{name}-{options.project}") for name in ("ann", "bob")]
    for index, client in enumerate((studio.http, *people)):
        for task, choice in zip(tasks, (*Choice, Choice.LEFT, Choice.RIGHT, Choice.TIE), strict=True):
            turned = choice.mirrored() if index == 1 else choice
            body = {"result": said(turned), "was_cancelled": turned is Choice.SKIP, "lead_time": 2.0}
            studio._ok(client.post(f"/api/tasks/{ids[task.key]}/annotations/", json=body))
    votes, cursor = pulled(backend)
    everything = studio.tasks(options.project)
    assert compare(everything, votes, tasks) == []
    assert len({vote.annotator for vote in votes}) == 3
    mine = {task["data"]["pairloop_key"]: task["annotations"] for task in everything}
    studio.edit(mine[tasks[0].key][0]["id"], Choice.BOTH_BAD)
    studio.take_back(mine[tasks[1].key][0]["id"])
    studio._ok(studio.http.patch(f"/api/annotations/{mine[tasks[2].key][0]['id']}/", json={"ground_truth": True}))
    more, _ = pulled(backend, cursor)
    assert len(more) == 2
    assert compare(studio.tasks(options.project), votes + more, tasks) == []


def test_a_thousand_tasks_and_a_server_that_dies_in_mid_push(
    studio: Studio, server: RealServer, tmp_path: Path
) -> None:
    options = studio.options(chunk=100, late_commit=0.0, tries=1, timeout=20.0)
    tasks = [replace(question(index), left=f"left {index} " + "word " * 200) for index in range(1000)]
    backend = studio.backend(tmp_path, options)
    chunks = 0
    import_tasks = backend._api.import_tasks

    def dying(sent: object) -> object:
        nonlocal chunks
        chunks += 1
        if chunks == 4:
            threading.Timer(0.05, server.kill).start()
        return import_tasks(sent)  # type: ignore[arg-type]

    backend._api.import_tasks = dying  # type: ignore[method-assign,assignment]
    with pytest.raises(BackendUnavailable):
        backend.publish(tasks)
    backend.close()
    server.start()
    published(studio, tmp_path, options, tasks)
    for _ in range(3):
        pulled(studio.backend(tmp_path, options))
    everything = studio.tasks(options.project)
    assert len(everything) == 1000
    assert compare(everything, [], tasks) == []


def test_a_server_that_dies_in_mid_pull(studio: Studio, server: RealServer, tmp_path: Path) -> None:
    options = studio.options(page=20, tries=1, timeout=20.0)
    tasks = [question(index) for index in range(60)]
    backend = studio.backend(tmp_path, options)
    ids = backend.publish(tasks).remote_ids
    for task in tasks[:30]:
        studio.vote(ids[task.key], Choice.LEFT)
    read, pages = backend._api.annotated, 0

    def dying(*args: object) -> object:
        nonlocal pages
        pages += 1
        if pages == 2:
            server.kill()
        return read(*args)  # type: ignore[arg-type]

    backend._api.annotated = dying  # type: ignore[method-assign,assignment]
    with pytest.raises(BackendUnavailable):
        backend.poll(None)
    server.start()
    votes, _ = pulled(studio.backend(tmp_path, options))
    assert compare(studio.tasks(options.project), votes, tasks) == []
    assert len(votes) == 30


def test_an_import_that_commits_after_our_patience(studio: Studio, server: RealServer, tmp_path: Path) -> None:
    """Label Studio waits for its locked database, long after the client has given up, and imports then."""
    options = studio.options(timeout=2.0, late_commit=600.0, tries=1)
    tasks = [question(index) for index in range(3)]
    locked = sqlite3.connect(server.database, isolation_level=None, timeout=30)
    locked.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(BackendUnavailable):
            studio.backend(tmp_path, options).publish(tasks)
    finally:
        locked.execute("ROLLBACK")
        locked.close()
    seen: set[int] = set()
    for _ in range(120):
        backend = studio.backend(tmp_path, options)
        try:
            seen.add(len(backend.publish(tasks).remote_ids))
            break
        except BackendUnavailable:
            threading.Event().wait(0.5)  # a real server has a clock of its own
        finally:
            backend.close()
    assert seen == {3}
    for _ in range(3):
        pulled(studio.backend(tmp_path, options))
    assert len(studio.tasks(options.project)) == 3


def test_a_personal_access_token_until_it_is_revoked(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = httpx.Client(base_url=studio.url, timeout=60)
    page = client.get("/user/login/")
    form_token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert form_token is not None
    form = {"email": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": form_token[1]}
    assert client.post("/user/login/", data=form, headers={"Referer": f"{studio.url}/user/login/"}).status_code == 302
    token = client.post("/api/token/").json()["token"]
    options = studio.options()
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", token)
    backend = studio.backend(tmp_path, options)
    assert len(backend.publish([question(0)]).remote_ids) == 1
    found = {check.name: check for check in backend.examine()}
    assert "personal access token" in found["label studio: token"].text
    assert client.post("/api/token/blacklist/", json={"refresh": token}).status_code == 204
    with pytest.raises(BackendRejected, match="personal access token") as error:
        connect(options, None).get("api/current-user/whoami")
    assert token not in str(error.value)


def test_hiding_and_showing(studio: Studio, tmp_path: Path) -> None:
    options = studio.options(hidden_guess="full")
    backend = studio.backend(tmp_path, options)
    backend.publish([question(0, prelabel=Prelabel(Choice.LEFT, 0.9, "a" * 64))])
    assert studio.served(options.project)["predictions"] == []
    shown = Prelabel(Choice.LEFT, 0.9, "a" * 64, shown=True)
    backend.publish([question(1, prelabel=shown)])
    served = studio.served(options.project)
    assert served["predictions"][0]["result"][0]["value"] == {"choices": ["left"]}


def test_through_a_proxy_that_loses_answers(studio: Studio, tmp_path: Path) -> None:
    """The proxy of the other tests stands before the real server as well."""
    with proxying(studio.url) as proxy:
        options = studio.options(url=proxy.url)
        assert len(studio.backend(tmp_path, options).publish([question(0)]).remote_ids) == 1
