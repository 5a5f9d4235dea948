"""HTTP to one Label Studio: what is certain, what is doubtful, and a token that is seen nowhere.

A request that reads is tried again with back-off. A request that writes is sent once: the server has no idempotency
keys, so after a time-out, a reset connection, a 5xx or an answer that cannot be read nobody knows whether it was
carried out. That is `Doubtful`, and only looking can tell. `Unreached` certainly changed nothing.
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pairloop.errors import BackendRejected, BackendUnavailable
from pairloop.kit.extras import require
from pairloop.kit.text import for_terminal
from pairloop_plugins.judge.transport import retry_after
from pairloop_plugins.label_studio.tokens import Token
from pairloop_plugins.secrets import redacted

LARGEST_BODY = 256 << 20
_EXCERPT = 300
_FIRST_WAIT = 0.25

Method = Literal["GET", "POST", "PATCH", "DELETE"]


class Doubtful(BackendUnavailable):
    """A write whose answer got lost: it may have been carried out, or may yet be."""


class Unreached(BackendUnavailable):
    """The request changed nothing for certain."""


class Refused(Exception):
    """The server understood and said no (4xx), with its own words."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class Answer:
    """A JSON answer and the server's clock: ``at`` is the header Date as it came, None without one."""

    __slots__ = ("at", "body", "status")

    def __init__(self, status: int, body: Any, at: str | None) -> None:
        self.status, self.body, self.at = status, body, at


class Transport:
    """One server. Redirects are not followed: they would carry the token elsewhere.

    Args:
        url: with a slash at its end. token: what to authenticate with.
        client: an httpx client of the caller's (own certificates, session, proxy); else one is made.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        *,
        timeout: float = 60.0,
        tries: int = 4,
        longest_wait: float = 30.0,
        verify: Any = True,
        proxy: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        client: Any = None,
    ) -> None:
        self._httpx: Any = require("httpx", "label-studio", "the backend 'label-studio'")
        self._client = client or self._httpx.Client(timeout=timeout, verify=verify, proxy=proxy, follow_redirects=False)
        self.url, self._token, self._sleep = url, token, sleep
        self._timeout, self._tries, self._longest = timeout, tries, longest_wait

    # ---------------------------------------------------------------------------------------- requests

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> Answer:
        """Read, trying again while that makes sense.

        Raises:
            Refused: 4xx. BackendUnavailable: every try failed. BackendRejected: the token is not accepted.
        """
        problem: BackendUnavailable | None = None
        for number in range(self._tries):
            try:
                return self._send("GET", path, params, None, timeout)
            except BackendUnavailable as error:
                problem = error
            if number + 1 < self._tries:
                self._sleep(self._wait(number, getattr(problem, "wanted", None)))
        assert problem is not None  # noqa: S101 - tries is at least 1
        raise Unreached(f"{problem.message} ({self._tries} tries)", "Try again later: nothing was changed.")

    def write(
        self, method: Method, path: str, body: Any, params: Mapping[str, Any] | None = None,
        *, timeout: float | None = None,
    ) -> Answer:  # fmt: skip
        """Write, once.

        Raises:
            Refused: 4xx, nothing was changed. Unreached: likewise. Doubtful: nobody knows.
            BackendRejected: the token is not accepted.
        """
        return self._send(method, path, params, body, timeout)

    def _send(
        self, method: str, path: str, params: Mapping[str, Any] | None, body: Any, timeout: float | None
    ) -> Answer:
        answer = self._once(method, path, params, body, timeout)
        if answer.status == 401 and self._token.refreshes:
            self._token.forget()  # an access token lives five minutes, and clocks differ
            answer = self._once(method, path, params, body, timeout)
        return self._judged(answer, path)

    def _once(
        self, method: str, path: str, params: Mapping[str, Any] | None, body: Any, timeout: float | None
    ) -> Answer:
        headers = {"Authorization": self._token.header(self._refresh), "Accept": "application/json"}
        return self._exchange(method, path, params, body, headers, timeout)

    def _exchange(
        self, method: str, path: str, params: Mapping[str, Any] | None, body: Any,
        headers: Mapping[str, str], timeout: float | None,
    ) -> Answer:  # fmt: skip
        h, limit = self._httpx, timeout or self._timeout
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        sent = {**headers, "Content-Type": "application/json"} if content is not None else dict(headers)
        doubt: type[BackendUnavailable] = Unreached if method == "GET" else Doubtful
        started = time.monotonic()
        try:
            with self._client.stream(
                method, self.url + path, params=params, content=content, headers=sent, timeout=limit
            ) as response:
                text = self._read(response, started, limit)
                status, found = response.status_code, response.headers
        except (h.ConnectError, h.ConnectTimeout, h.PoolTimeout, h.UnsupportedProtocol) as error:
            raise Unreached(self._cannot(path, error), "Is the server running, and the address right?") from None
        except h.HTTPError as error:
            raise doubt(self._cannot(path, error), _AGAIN) from None
        except _Unusable as error:
            raise doubt(f"{self._where(path)}: {error}", _AGAIN) from None
        if status == 429:
            raise _waiting(Unreached(f"{self._where(path)} asks to wait (429)", "Try again later."), found)
        if status >= 500 or status in (408, 409, 425):
            raise _waiting(doubt(f"{self._where(path)} answers {status}: {self._clean(text)}", _AGAIN), found)
        return Answer(status, self._parsed(status, text, path, doubt), found.get("date"))

    def _parsed(self, status: int, text: str, path: str, doubt: type[BackendUnavailable]) -> Any:
        if status == 204 or (not text and status >= 400):
            return None
        try:
            return json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            if status >= 400:
                return {"detail": self._clean(text)}
            raise doubt(
                f"{self._where(path)} answers with something that is not JSON: {self._clean(text)[:80]!r}",
                "A proxy or a login page in between? Open the address in a browser.",
            ) from None

    def _judged(self, answer: Answer, path: str) -> Answer:
        if 300 <= answer.status < 400:
            raise BackendRejected(
                f"{self._where(path)} redirects ({answer.status}), which is not followed",
                "Write the address to which a browser is led into backend.options.url.",
            )
        if answer.status in (401, 403):
            raise BackendRejected(
                f"{self._where(path)} does not accept the token ({answer.status}): {self._detail(answer.body)}",
                "It may be revoked, expired, of another server, or its user may lack the right. See: pairloop doctor",
            )
        if answer.status >= 400:
            raise Refused(answer.status, self._detail(answer.body))
        return answer

    def public_page(self, path: str) -> str | None:
        """A page as people see it who are not logged in; None where there is none, or it cannot be read."""
        started = time.monotonic()
        try:
            with self._client.stream("GET", self.url + path, timeout=self._timeout) as response:
                text = self._read(response, started, self._timeout)
                return text if response.status_code == 200 else None
        except (self._httpx.HTTPError, _Unusable):
            return None

    # ------------------------------------------------------------------------------------------- helpers

    def _refresh(self, token: str) -> str:
        """A new access token.

        Raises:
            BackendRejected: the personal access token is not accepted any more. BackendUnavailable.
        """
        for number in range(self._tries):
            try:
                answer = self._exchange("POST", "api/token/refresh/", None, {"refresh": token}, {}, None)
                break
            except BackendUnavailable as error:  # asking twice does no harm
                if number + 1 == self._tries:
                    raise Unreached(f"no access token: {error.message}", error.hint) from None
                self._sleep(self._wait(number, getattr(error, "wanted", None)))
        access = answer.body.get("access") if isinstance(answer.body, dict) else None
        if answer.status != 200 or not isinstance(access, str):
            raise BackendRejected(
                f"{self.url} does not accept the personal access token ({answer.status}): {self._detail(answer.body)}",
                "It was revoked, has expired, or is of another server: make a new one under Account & Settings.",
            )
        return access

    def _wait(self, number: int, wanted: float | None) -> float:
        backoff = _FIRST_WAIT * 2.0**number * random.uniform(0.5, 1.5)  # how long we wait decides nothing else
        return min(backoff if wanted is None else max(wanted, 0.0), self._longest)

    def _read(self, response: Any, started: float, limit: float) -> str:
        """The body, as far as it is not too large and not too slow."""
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > LARGEST_BODY:
                raise _Unusable(f"an answer of more than {LARGEST_BODY >> 20} MiB")
            if time.monotonic() - started > limit:
                raise _Unusable(f"no whole answer within {limit:g} s")
        return content.decode("utf-8", "replace")

    def _where(self, path: str) -> str:
        return self.url + path.partition("?")[0]

    def _cannot(self, path: str, error: Exception) -> str:
        return f"{self._where(path)} cannot be asked: {self._clean(f'{type(error).__name__}: {error}')}"

    def _detail(self, body: Any) -> str:
        """What an error answer says; only that, since other parts may hold tokens or cookies."""
        if not isinstance(body, dict):
            return ""
        said = [body.get("detail"), body.get("validation_errors")]
        return self._clean("; ".join(str(part) for part in said if part))

    def _clean(self, text: str) -> str:
        for secret in self._token.secrets():
            text = redacted(text, secret)
        return for_terminal(" ".join(text.split()), _EXCERPT)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


_AGAIN = "The same command looks first, and sends nothing twice."


class _Unusable(Exception):
    """A body that cannot be read."""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _waiting(error: BackendUnavailable, headers: Mapping[str, str]) -> BackendUnavailable:
    error.wanted = retry_after(headers)  # type: ignore[attr-defined]
    return error
