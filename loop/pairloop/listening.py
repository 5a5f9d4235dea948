"""A small HTTP server that only wakes the pull, and may answer for the current reward model.

Nothing that arrives is believed: a notice says "look now", and looking is what polling does anyway. So a lost,
repeated, forged or late notice changes nothing but the moment of the next look, and looks keep a distance whatever
arrives.
Requests are answered before anything is done about them, since servers that send notices wait a second at most.
"""

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pairloop.errors import PairloopError
from pairloop.protocols import ModelServer

SECRET_HEADER = "X-Pairloop-Secret"  # noqa: S105 - the name of a header
WAKING = ("/", "/wake", "/webhook")
LARGEST_NOTICE = 64 << 10
"""Bytes of a notice that are taken off the line, and thrown away unread."""
LARGEST_QUESTION = 16 << 20
"""Bytes of a question to the reward model."""
_PATIENCE = 10.0  # seconds that one request may take to arrive
_AT_ONCE = 32  # connections


class Doorbell:
    """Any number of rings are one, and looks keep a distance of ``quiet`` seconds."""

    def __init__(self, quiet: float = 2.0, now: Callable[[], float] = time.monotonic) -> None:
        self._rung = threading.Event()
        self._quiet, self._now = quiet, now
        self._earliest = now()
        self._pause = threading.Event().wait
        self.rings = 0

    def ring(self) -> None:
        """Ask for a look."""
        self.rings += 1
        self._rung.set()

    def wait(self, seconds: float, check: Callable[[], None] = lambda: None, step: float = 0.25) -> bool:
        """Until somebody rings or ``seconds`` pass; True when somebody rang.

        Args:
            seconds: longest wait. check: called at least every ``step`` seconds; what it raises ends the wait.
        """
        ends = self._now() + seconds
        while True:
            check()
            moment = self._now()
            rung = self._rung.is_set()
            if moment >= ends or (rung and moment >= self._earliest):
                break
            if rung:
                self._pause(min(step, self._earliest - moment, ends - moment))
            else:
                self._rung.wait(min(step, ends - moment))
        self._rung.clear()
        self._earliest = self._now() + self._quiet
        return rung


class Listener(ThreadingHTTPServer):
    """The server; `start` serves in a thread.

    Args:
        host, port: where to listen; port 0 takes a free one.
        bell: what a notice rings.
        secret: what a caller has to show, in the header or as the password of basic authentication; None: nothing.
        model: answers for the reward model; None: nobody does.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, host: str, port: int, bell: Doorbell, *, secret: str | None = None, model: ModelServer | None = None
    ) -> None:
        super().__init__((host, port), _Handler)
        self.bell, self.model = bell, model
        self._secret = None if secret is None else secret.encode()
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Serve, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def admits(self, header: str | None, authorization: str | None) -> bool:
        """Whether the secret was shown; compared in constant time."""
        if self._secret is None:
            return True
        shown = [(header or "").encode("utf-8", "replace"), _password(authorization)]
        return any([hmac.compare_digest(each, self._secret) for each in shown])  # noqa: C419 - no short cut

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread, where there is a place; else the connection is closed."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller who went away is no news, and a traceback could show what was sent."""


def _password(authorization: str | None) -> bytes:
    kind, _, rest = (authorization or "").partition(" ")
    if kind.lower() != "basic":
        return b""
    try:
        return base64.b64decode(rest, validate=True).partition(b":")[2]
    except ValueError:
        return b""


class _Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status, self.said = status, said


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    server_version, sys_version = "pairloop", ""
    timeout = _PATIENCE / 2

    def do_GET(self) -> None:
        """``/health``, and what the model answers without a body."""
        self._answer(None)

    def do_POST(self) -> None:
        """A notice, or a question to the model."""
        self._answer(self.headers.get("Content-Length") or "0")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server wants
        """Nothing: paths, headers and bodies may hold tokens."""

    def _answer(self, length: str | None) -> None:
        try:
            status, body = 200, self._reply(self.path.partition("?")[0], length)
        except _Refusal as refusal:
            status, body = refusal.status, {"detail": refusal.said}
        except PairloopError as error:
            status, body = 503, {"detail": error.message}
        self._send(status, body)

    def _reply(self, path: str, length: str | None) -> Any:
        model = self.server.model
        if path == "/health":
            return {"status": "UP", "model_class": "pairloop"}
        if not self.server.admits(self.headers.get(SECRET_HEADER), self.headers.get("Authorization")):
            raise _Refusal(401, "the secret is missing or wrong")
        if path in WAKING and length is not None:
            self.server.bell.ring()
            self._read(min(_number(length), LARGEST_NOTICE))
            return {"status": "ok"}
        if model is None:
            raise _Refusal(404, "nothing is here")
        found = model(path, self._question(length))
        if found is None:
            raise _Refusal(404, "nothing is here")
        return found

    def _question(self, length: str | None) -> Any:
        size = 0 if length is None else _number(length)
        if size > LARGEST_QUESTION:
            raise _Refusal(413, f"more than {LARGEST_QUESTION >> 20} MiB")
        text = self._read(size)
        try:
            return json.loads(text) if text else None
        except (ValueError, RecursionError):
            raise _Refusal(400, "that is no JSON") from None

    def _read(self, size: int) -> bytes:
        """At most ``size`` bytes, for a while at most; a caller who sends less or too slowly is not waited for."""
        body, ends = bytearray(), time.monotonic() + _PATIENCE
        while len(body) < size and time.monotonic() < ends:
            try:
                chunk = self.rfile.read1(min(size - len(body), 1 << 16))
            except OSError:
                break
            if not chunk:
                break
            body += chunk
        return bytes(body)

    def _send(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _number(length: str) -> int:
    if not length.isascii() or not length.isdecimal() or len(length) > 18:
        raise _Refusal(400, "the length of the body is no number")
    return int(length)
