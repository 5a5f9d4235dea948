"""A proxy that does to HTTP what networks do, for the tests of any backend that talks to a server.

It stands between a backend and its server (fake or real) and forwards whole requests. A *fault* says what happens to
the n-th request that fits a method and a path:

    reset          the connection breaks before the server saw anything
    lost           the server did it, then the connection breaks
    truncated      the server did it, and half of its answer arrives
    stalled        the server did it, the answer never ends (the client needs a short time-out)
    before-5xx     502 from the proxy, the server saw nothing
    after-5xx      the server did it, the proxy says 502
    before-html    a login page with status 200, the server saw nothing
    after-html     the server did it, and a page of somebody else comes back
    busy           429 with Retry-After: 0
    unauthorized   401 from the proxy
    double         the request reaches the server twice
    late           504 at once; the server gets the request when `FaultProxy.release` is called
    slow           a moment passes, all is well
"""

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from support.fake_label_studio import running

BEFORE = ("reset", "before-5xx", "before-html", "busy")
AFTER = ("lost", "truncated", "stalled", "after-5xx", "after-html", "double")
FATES = (*BEFORE, *AFTER, "late", "slow", "unauthorized")
_LOGIN = b"<html><body><form>Log in</form></body></html>"


@dataclass(frozen=True)
class Fault:
    """What happens to the ``hit``-th request whose "METHOD path" the pattern finds; 0: to all of them."""

    pattern: str
    fate: str
    hit: int = 1


class FaultProxy:
    """The proxy's memory: faults to come, requests seen, requests held back."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.faults: list[Fault] = []
        self.seen: list[str] = []
        self.forwarded: list[tuple[str, bytes]] = []
        self.url = ""
        self._held: list[tuple[str, str, dict[str, str], bytes]] = []
        self._hits: dict[Fault, int] = {}
        self._lock = threading.Lock()

    def fate(self, method: str, path: str) -> str:
        """What happens to this request."""
        with self._lock:
            self.seen.append(f"{method} {path.partition('?')[0]}")
            fitting = [fault for fault in self.faults if re.search(fault.pattern, f"{method} {path}")]
            for fault in fitting:
                self._hits[fault] = self._hits.get(fault, 0) + 1
            return next((fault.fate for fault in fitting if fault.hit in (0, self._hits[fault])), "ok")

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask the server."""
        with self._lock:
            self.forwarded.append((f"{method} {path}", body))
        connection = http.client.HTTPConnection(str(self.target.hostname), self.target.port, timeout=120)
        try:
            sent = {k: v for k, v in headers.items() if k.lower() not in ("host", "connection", "accept-encoding")}
            connection.request(method, path, body or None, sent)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def hold(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        """Keep a request for later."""
        with self._lock:
            self._held.append((method, path, headers, body))

    def release(self) -> int:
        """Let the server have what was held back; how many requests that were."""
        with self._lock:
            held, self._held = self._held, []
        for request in held:
            self.forward(*request)
        return len(held)


@contextmanager
def proxying(target: str) -> Iterator[FaultProxy]:
    """A proxy on a free port of this machine."""
    proxy = FaultProxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = (self.command, self.path, dict(self.headers), body)
            fate = proxy.fate(self.command, self.path)
            early: dict[str, Any] = {
                "reset": self._break,
                "before-5xx": lambda: self._say(502, b"bad gateway"),
                "before-html": lambda: self._say(200, _LOGIN),
                "busy": lambda: self._say(429, b"", {"Retry-After": "0"}),
                "unauthorized": lambda: self._say(401, b'{"detail": "Invalid token."}'),
            }
            if fate in early:
                early[fate]()
                return
            if fate == "late":
                proxy.hold(*request)
                self._say(504, b"gateway timeout")
                return
            if fate == "slow":
                time.sleep(0.05)
            answer = proxy.forward(*request)
            if fate == "double":
                answer = proxy.forward(*request)
            self._afterwards(fate, *answer)

        def _afterwards(self, fate: str, status: int, headers: dict[str, str], content: bytes) -> None:
            kept = {k: v for k, v in headers.items() if k.lower() in ("content-type", "date")}
            if fate == "lost":
                self._break()
            elif fate == "after-5xx":
                self._say(502, b"bad gateway")
            elif fate == "after-html":
                self._say(200, _LOGIN)
            elif fate in ("truncated", "stalled"):
                self._say(status, content[: len(content) // 2], kept, promised=len(content) + 1)
                if fate == "stalled":
                    with suppress(OSError):
                        self.connection.settimeout(5)
                        self.connection.recv(1)  # until the client gives up
                self._break()
            else:
                self._say(status, content, kept)

        def _say(
            self, status: int, content: bytes, headers: dict[str, str] | None = None, promised: int | None = None
        ) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):
                self.send_response_only(status)
                for name, value in (headers or {"Content-Type": "text/html"}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content) if promised is None else promised))
                self.end_headers()
                self.wfile.write(content)

        def _break(self) -> None:
            """End the connection with a reset, as a dying machine does."""
            self.close_connection = True
            with suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        do_GET = do_POST = do_PATCH = do_DELETE = serve  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with running(Handler) as port:
        proxy.url = f"http://127.0.0.1:{port}"
        yield proxy
