"""What happened, append-only, in the transaction that made it happen."""

import json
from collections.abc import Mapping
from typing import Any

from pairloop.kit.canonical import canonical_json
from pairloop.kit.clock import now
from pairloop.records import Event
from pairloop.store.database import Database


class EventStore:
    """Writes and reads events; an audit trail, never the source of truth."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.uncommitted: list[Event] = []

    def add(self, kind: str, round_number: int | None = None, /, **body: Any) -> None:
        """Append an event; observers see it after the commit."""
        at = now()
        self._db.write(
            "INSERT INTO events (round, kind, body, at) VALUES (?, ?, ?, ?)",
            (round_number, kind, canonical_json(body), at),
        )
        number = int(self._db.value("SELECT last_insert_rowid()"))
        self.uncommitted.append(Event(number, round_number, kind, body, at))

    def last(self, kind: str) -> Event | None:
        """The latest event of a kind."""
        row = self._db.row("SELECT * FROM events WHERE kind = ? ORDER BY id DESC LIMIT 1", (kind,))
        return None if row is None else Event(row["id"], row["round"], row["kind"], _body(row["body"]), row["at"])

    def tail(self, n: int = 20) -> list[Event]:
        """The last ``n`` events, oldest first."""
        rows = self._db.rows("SELECT * FROM events ORDER BY id DESC LIMIT ?", (n,))
        return [Event(r["id"], r["round"], r["kind"], _body(r["body"]), r["at"]) for r in reversed(rows)]


def _body(text: str) -> Mapping[str, Any]:
    body: Mapping[str, Any] = json.loads(text)
    return body
