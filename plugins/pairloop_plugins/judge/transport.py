"""POST with patience: time-outs, back-off on 429 and 5xx as the server asks for it, bodies of bounded size."""

import json
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pairloop.errors import BackendRejected, BackendUnavailable
from pairloop.kit.extras import require
from pairloop.kit.text import for_terminal
from pairloop_plugins.secrets import redacted

LARGEST_BODY = 4 << 20
_BUSY = frozenset({408, 409, 425, 429})
_FIRST_WAIT = 0.5
_EXCERPT = 200


class Refused(Exception):
    """The endpoint understood and said no (4xx), with its own words, redacted."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


class Transport:
    """One endpoint. Redirects are not followed: they would carry the key elsewhere.

    Args:
        url: where to post. key: goes into the header Authorization, None for none.
        timeout: seconds a try. tries: how often. longest_wait: seconds between two tries at most.
        sleep: how to wait. client: an httpx client, for tests.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        timeout: float,
        tries: int,
        longest_wait: float,
        sleep: Callable[[float], None] = time.sleep,
        client: Any = None,
    ) -> None:
        self._httpx: Any = require("httpx", "judge", "the judge 'openai'")
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        self._client = client or self._httpx.Client(timeout=timeout, follow_redirects=False)
        self._headers = {**headers, "Accept": "application/json"}
        self._url, self._key, self._sleep = url, key, sleep
        self._timeout, self._tries, self._longest = timeout, tries, longest_wait

    def post(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object that was answered.

        Raises:
            Refused: a 4xx that waiting will not change. BackendUnavailable: every try failed.
            BackendRejected: the key is not accepted, or there is nothing at this address.
        """
        problem = ""
        for number in range(self._tries):
            outcome = self._try(body)
            if isinstance(outcome, dict):
                return outcome
            problem, wanted = outcome
            if number + 1 < self._tries:
                self._sleep(self._wait(number, wanted))
        raise BackendUnavailable(
            f"the judge at {self._url} cannot be asked ({self._tries} tries): {problem}", "Try again later."
        )

    def _wait(self, number: int, wanted: float | None) -> float:
        backoff = _FIRST_WAIT * 2.0**number * random.uniform(0.5, 1.5)  # how long we wait decides nothing else
        return min(backoff if wanted is None else max(wanted, 0.0), self._longest)

    def _try(self, body: Mapping[str, Any]) -> dict[str, Any] | tuple[str, float | None]:
        """One try: what was answered, or (why it failed, seconds the server asked to wait)."""
        started = time.monotonic()
        try:
            with self._client.stream("POST", self._url, json=body, headers=self._headers) as response:
                content = self._read(response, started)
                status, headers = response.status_code, response.headers
        except self._httpx.HTTPError as error:
            return self._clean(f"{type(error).__name__}: {error}"), None
        except _Unusable as error:
            return str(error), None
        if status in _BUSY or status >= 500:
            return f"status {status}: {self._clean(content)}", retry_after(headers)
        if status in (401, 403):
            raise BackendRejected(
                f"the judge at {self._url} does not accept the key ({status}): {self._clean(content)}",
                "Check the variable or keyring entry that judge.options names.",
            )
        if status == 404 or 300 <= status < 400:
            raise BackendRejected(
                f"the judge at {self._url} answers {status}: {self._clean(content)}",
                "Check judge.options.base_url and model.",
            )
        if status >= 400:
            raise Refused(status, self._clean(content))
        return _json_object(content)

    def _read(self, response: Any, started: float) -> str:
        """The body, as far as it is not too large and not too slow."""
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > LARGEST_BODY:
                raise _Unusable(f"an answer of more than {LARGEST_BODY} bytes")
            if time.monotonic() - started > self._timeout:
                raise _Unusable(f"no whole answer within {self._timeout:g} s")
        return content.decode("utf-8", "replace")

    def _clean(self, text: str) -> str:
        return for_terminal(" ".join(redacted(text, self._key).split()), _EXCERPT)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class _Unusable(Exception):
    """A body that cannot be read."""


def _json_object(content: str) -> dict[str, Any] | tuple[str, float | None]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return "the answer is not JSON", None
    return found if isinstance(found, dict) else ("the answer is no JSON object", None)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from ``Retry-After`` as a number or as a date."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return float(value) if float(value) == float(value) else None
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None
