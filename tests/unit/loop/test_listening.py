"""Notices wake the pull, whatever else they are; nothing that is sent comes out again."""

import socket
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from pairloop.errors import StoreError
from pairloop.listening import LARGEST_NOTICE, LARGEST_QUESTION, SECRET_HEADER, Doorbell, Listener

SECRET = "correct horse battery staple"  # noqa: S105 - of these tests
HTTP = httpx.Client(timeout=60)
CANARY = "canary-0123456789abcdef"


@pytest.fixture
def bell() -> Doorbell:
    return Doorbell(quiet=0.0)


@pytest.fixture
def listener(bell: Doorbell) -> Iterator[Listener]:
    made = Listener("127.0.0.1", 0, bell, secret=SECRET, model=_model)
    made.start()
    yield made
    made.stop()


def _model(path: str, sent: Any) -> Any:
    if path == "/broken":
        raise StoreError("the files cannot be used")
    return {"said": sent} if path == "/predict" else None


def rung(bell: Doorbell) -> bool:
    return bell.wait(0.0)


@pytest.mark.parametrize("path", ["/", "/wake", "/webhook", "/webhook?x=1"])
def test_a_notice_rings(listener: Listener, bell: Doorbell, path: str) -> None:
    answer = HTTP.post(listener.address + path, headers={SECRET_HEADER: SECRET}, json={"action": "ANNOTATION_CREATED"})
    assert answer.status_code == 200
    assert rung(bell)
    assert not rung(bell)


def test_basic_authentication_shows_the_secret_too(listener: Listener, bell: Doorbell) -> None:
    assert HTTP.post(listener.address + "/webhook", auth=("anybody", SECRET)).status_code == 200
    assert rung(bell)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {SECRET_HEADER: ""},
        {SECRET_HEADER: SECRET + "x"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic eDp5"},
    ],
)
def test_without_the_secret_nothing_rings(listener: Listener, bell: Doorbell, headers: dict[str, str]) -> None:
    for path in ("/webhook", "/predict"):
        assert HTTP.post(listener.address + path, headers=headers).status_code == 401
    assert not rung(bell)


def test_health_needs_no_secret_and_says_nothing(listener: Listener) -> None:
    assert HTTP.get(listener.address + "/health").json() == {"status": "UP", "model_class": "pairloop"}


def test_reading_rings_nothing(listener: Listener, bell: Doorbell) -> None:
    assert HTTP.get(listener.address + "/webhook", headers={SECRET_HEADER: SECRET}).status_code == 404
    assert not rung(bell)


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\x00" * 100, b"{" * 30_000, b"x" * (LARGEST_NOTICE // 2)])
def test_what_a_notice_holds_does_not_matter(listener: Listener, bell: Doorbell, body: bytes) -> None:
    assert HTTP.post(listener.address + "/webhook", headers={SECRET_HEADER: SECRET}, content=body).status_code == 200
    assert rung(bell)


def test_a_flood_is_one_look(listener: Listener, bell: Doorbell) -> None:
    for _ in range(300):
        HTTP.post(listener.address + "/webhook", headers={SECRET_HEADER: SECRET})
    assert bell.rings == 300
    assert rung(bell)
    assert not rung(bell)


def test_looks_keep_a_distance_whatever_arrives() -> None:
    """By a clock of the test's own: the bell rings at every look at it."""
    moments = iter(range(1000))
    bell = Doorbell(quiet=10.0, now=lambda: float(next(moments)))
    bell._pause = lambda _seconds: True  # type: ignore[assignment]
    looks = []
    for _ in range(5):
        bell.ring()
        assert bell.wait(100.0)
        looks.append(next(moments))
    assert all(later - earlier >= 10 for earlier, later in pairwise(looks))


def test_a_wait_ends_without_a_ring_and_when_told_to(bell: Doorbell) -> None:
    assert not bell.wait(0.0)
    calls: list[int] = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bell.wait(1e9, stop, step=0.0)


def test_a_ring_from_another_thread_ends_the_wait(bell: Doorbell) -> None:
    threading.Thread(target=bell.ring).start()
    assert bell.wait(60.0, step=60.0)


def test_questions_to_the_model(listener: Listener, bell: Doorbell) -> None:
    shown = {SECRET_HEADER: SECRET}
    assert HTTP.post(listener.address + "/predict", headers=shown, json=[1]).json() == {"said": [1]}
    assert HTTP.post(listener.address + "/else", headers=shown, json=[1]).status_code == 404
    assert HTTP.post(listener.address + "/predict", headers=shown, content=b"{").status_code == 400
    broken = HTTP.post(listener.address + "/broken", headers=shown, json={})
    assert (broken.status_code, broken.json()["detail"]) == (503, "the files cannot be used")
    assert not rung(bell)


@pytest.mark.parametrize(
    ("length", "status"), [("-5", 400), ("1e3", 400), ("9" * 40, 400), (str(LARGEST_QUESTION + 1), 413)]
)
def test_lengths_that_are_not_read(listener: Listener, length: str, status: int) -> None:
    host, port = listener.server_address[:2]
    with socket.create_connection((str(host), port), timeout=10) as line:
        line.sendall(
            f"POST /predict HTTP/1.0\r\n{SECRET_HEADER}: {SECRET}\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        assert line.recv(100).split()[1] == str(status).encode()


def test_a_caller_who_goes_away_leaves_it_working(listener: Listener, bell: Doorbell) -> None:
    host, port = listener.server_address[:2]
    for sent in (b"", b"POST /pre", b"POST /predict HTTP/1.0\r\nContent-Length: 99\r\n\r\nx", b"\x16\x03\x01" * 50):
        with socket.create_connection((str(host), port), timeout=10) as line:
            line.sendall(sent)
    assert HTTP.get(listener.address + "/health").status_code == 200


def test_nothing_that_is_sent_is_printed(listener: Listener, capfd: pytest.CaptureFixture[str]) -> None:
    for path in ("/webhook", f"/{CANARY}", "/predict", "/broken"):
        body = {"access_token": CANARY}
        HTTP.post(listener.address + path, headers={SECRET_HEADER: SECRET, "X": CANARY}, json=body)
        HTTP.post(listener.address + path, headers={SECRET_HEADER: CANARY}, json=body)
    said = capfd.readouterr()
    assert CANARY not in said.out + said.err
    assert SECRET not in said.out + said.err
