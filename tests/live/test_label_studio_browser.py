"""A person's path in a real browser: log in, answer by hotkey, skip; what was meant is what is pulled.

Needs a real server (``make test-live``), playwright in the environment and Chromium (its path in PAIRLOOP_CHROMIUM, or
/usr/bin/chromium). Screenshots go to PAIRLOOP_SCREENSHOTS, where it names a folder: they are for eyes.
"""

import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.studio import REAL, Studio, open_studio, question

from pairloop.records import Choice, Message, Prelabel, Task
from pairloop_plugins.label_studio.backend import LabelStudioBackend

sys.path.insert(0, str(Path(__file__).resolve().parent))

from real_server import EMAIL, PASSWORD

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which this project does not install")
CHROMIUM = os.environ.get("PAIRLOOP_CHROMIUM", "/usr/bin/chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(REAL not in os.environ, reason="needs a server: make test-live"),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium"),
]

KEYS = {"1": Choice.LEFT, "2": Choice.TIE, "3": Choice.RIGHT, "4": Choice.BOTH_BAD}
CHAT = (Message("system", "Be brief."), Message("user", "Hello!\nWho are you?"), Message("assistant", "A bot."))
CODE = "def f(x):\n    return {k: v\n            for k, v in x.items()}\n\n# tabs:\n\tindented"


class Beacon(BaseHTTPRequestHandler):
    """Notes everything that a page loads from it."""

    loaded: list[str] = []  # noqa: RUF012 - of this test run

    def do_GET(self) -> None:
        self.loaded.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with open_studio() as made:
        yield made


@pytest.fixture
def beacon() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Beacon)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Beacon.loaded.clear()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(studio: Studio) -> Iterator[Any]:
    """A page of somebody who has logged in."""
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_page(viewport={"width": 1280, "height": 900})
        made.set_default_timeout(30_000)
        made.goto(f"{studio.url}/user/login/")
        made.fill("input[name=email]", EMAIL)
        made.fill("input[name=password]", PASSWORD)
        made.click("[type=submit]")
        made.wait_for_url(lambda url: "/user/login" not in url, wait_until="commit")
        yield made
        browser.close()


def shoot(page: Any, name: str) -> None:
    folder = os.environ.get("PAIRLOOP_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")


def open_task(page: Any, studio: Studio, project: int | None, task: str) -> None:
    page.goto(f"{studio.url}/projects/{project}/data?task={task}")
    page.wait_for_selector("text=both bad")


def submit(page: Any, studio: Studio, task: str, key: str) -> None:
    """Answer by keyboard alone, and wait until the server has it."""
    before = len(studio.task(task)["annotations"])
    page.keyboard.press(key)
    with page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST"):
        page.keyboard.press("Control+Enter")
    assert len(studio.task(task)["annotations"]) == before + 1


def texts(beacon: str) -> list[Task]:
    """Questions with all that responses hold."""
    evil = (
        f'<b>bold?</b> <img src="{beacon}/img.png"> <script src="{beacon}/x.js"></script><script>document.title="owned"'
        f'</script> ![i]({beacon}/md.png) <a href="javascript:alert(1)">link</a> <iframe src="{beacon}/frame"></iframe>'
    )
    shapes: dict[str, tuple[Any, str, str]] = {
        "long": ("Tell me everything.", "A long answer. " * 400, "x" * 3000),
        "short": ("Yes or no?", "Yes", "No"),
        "empty": ("Say nothing.", "", "Something"),
        "rtl": ("ترجم هذه الجملة.", "مرحبا بالعالم، كيف حالك اليوم؟", "שלום עולם"),
        "code": ("Write f.", CODE, CODE.replace("x", "items")),
        "chat": (CHAT, "I am a bot.", "I am a helpful bot."),
        "html": (f"What is {evil}?", evil, evil + "\n<style>body{display:none}</style>"),
    }
    return [
        replace(question(i), prompt=prompt, left=left, right=right)
        for i, (prompt, left, right) in enumerate(shapes.values())
    ]


def test_whatever_responses_hold_is_text(studio: Studio, page: Any, beacon: str, tmp_path: Path) -> None:
    options = studio.options()
    backend = studio.backend(tmp_path, options)
    tasks = texts(beacon)
    ids = backend.publish(tasks).remote_ids
    for task, name in zip(tasks, ("long", "short", "empty", "rtl", "code", "chat", "html"), strict=True):
        open_task(page, studio, options.project, ids[task.key])
        shown = page.inner_text("body")
        page.wait_for_timeout(500)  # for the screenshot: it fades in
        shoot(page, name)
        for text in (task.left, task.right):
            for line in text.splitlines():
                assert line in shown, f"{name}: {line[:80]!r}"
        direction = "getComputedStyle(document.querySelector('.pl-column span')).unicodeBidi"
        assert page.evaluate(direction) == "plaintext", "each line in the direction of its script"
        left, right = (page.get_by_text(side, exact=True).first.bounding_box() for side in "AB")
        assert left["x"] < right["x"], "side by side, A on the left"
        assert abs(left["y"] - right["y"]) < 2
    assert page.title() != "owned"
    assert Beacon.loaded == []


def test_hotkeys_skip_and_order(studio: Studio, page: Any, tmp_path: Path) -> None:
    """Twenty pairs by hotkey in the queue, one of them skipped; then new guesses, and the first in our order comes."""
    options = studio.options()
    backend: LabelStudioBackend = studio.backend(tmp_path, options)
    guess = Prelabel(Choice.LEFT, 0.7, "a" * 64)
    tasks = [question(index, prelabel=guess) for index in range(24)]
    ids = backend.publish(tasks).remote_ids
    key_of = {task: key for key, task in ids.items()}
    page.goto(f"{studio.url}/projects/{options.project}/data?labeling=1")
    meant: dict[str, Choice] = {}
    for index in range(20):
        page.wait_for_selector("text=both bad")
        task = str(studio.served(options.project)["id"])
        page.wait_for_selector(f"text=left of {tasks[index].rank}")
        assert key_of[task] == tasks[index].key, "served in the order of the batch"
        if index == 7:
            with page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST"):
                page.keyboard.press("Control+Space")
            meant[task] = Choice.SKIP
            continue
        key = "1234"[index % 4]
        submit(page, studio, task, key)
        meant[task] = KEYS[key]
        if index == 0:
            shoot(page, "queue")
    votes = {str(ids[vote.key]): vote for vote in backend.poll(None).annotations}
    assert {task: vote.choice for task, vote in votes.items()} == meant
    renewed = {task.key: replace(guess, model="b" * 64) for task in tasks[20:]}
    backend.renew(renewed)
    assert key_of[str(studio.served(options.project)["id"])] == tasks[20].key


def test_an_edit_in_the_browser_supersedes(studio: Studio, page: Any, tmp_path: Path) -> None:
    options = studio.options()
    backend = studio.backend(tmp_path, options)
    task = question(0)
    number = backend.publish([task]).remote_ids[task.key]
    open_task(page, studio, options.project, number)
    submit(page, studio, number, "1")
    first = backend.poll(None)
    open_task(page, studio, options.project, number)
    page.keyboard.press("3")
    with page.expect_response(lambda r: "/annotations/" in r.url and r.request.method == "PATCH"):
        page.keyboard.press("Control+Enter")
    second = backend.poll(first.cursor)
    assert [v.choice for v in (*first.annotations, *second.annotations)] == [Choice.LEFT, Choice.RIGHT]
    assert len({v.remote_id for v in (*first.annotations, *second.annotations)}) == 1
