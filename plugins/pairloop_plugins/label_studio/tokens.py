"""The two kinds of tokens: a legacy one goes into the header as it is, a personal access token buys others."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from pairloop.kit.clock import now_time

_MARGIN = 30.0  # seconds before its end at which an access token counts as over


class Token:
    """A token; ``repr`` and errors never show it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._access: str | None = None
        self._until = 0.0

    @property
    def refreshes(self) -> bool:
        """True for a personal access token (a JWT), False for a legacy token."""
        return self._secret.count(".") == 2

    @property
    def kind(self) -> str:
        """For people."""
        return "personal access token" if self.refreshes else "legacy token"

    @property
    def expires(self) -> datetime | None:
        """When the token itself ends; None for one that does not say."""
        return _expiry(self._secret)

    def header(self, refresh: Callable[[str], str]) -> str:
        """The value of the header Authorization; ``refresh`` buys an access token."""
        if not self.refreshes:
            return f"Token {self._secret}"
        if self._access is None or now_time().timestamp() > self._until - _MARGIN:
            self._access = refresh(self._secret)
            until = _expiry(self._access)
            self._until = until.timestamp() if until is not None else now_time().timestamp() + 2 * _MARGIN
        return f"Bearer {self._access}"

    def forget(self) -> None:
        """The access token was not accepted; buy another."""
        self._access = None

    def secrets(self) -> Iterator[str]:
        """What must not appear anywhere."""
        yield self._secret
        if self._access is not None:
            yield self._access

    def __repr__(self) -> str:
        return f"Token({self.kind})"


def _expiry(token: str) -> datetime | None:
    """The claim ``exp`` of a JWT, unverified: only the server can verify it."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (IndexError, ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
