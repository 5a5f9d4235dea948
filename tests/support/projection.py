"""What two campaigns must have in common when one of them was killed, resumed, or run in another environment.

Left out are: times; versions of rounds and the epoch (they count attempts); events (an audit trail of attempts);
random salts with the digests made from them. For those the chain is verified instead. Everything else counts: every
table, every artifact by content, the manifest, the rejected rows, and what the remote holds.
"""

import json
from pathlib import Path
from typing import Any

from pairloop.store import Store
from pairloop.testing.remote import connect

Projection = dict[str, Any]

LEFT_OUT: dict[str, frozenset[str]] = {
    "rounds": frozenset({"version", "opened_at", "published_at", "closed_at"}),
    "annotation_log": frozenset({"content_digest", "prev_hash", "row_hash"}),
    "annotations": frozenset({"salt"}),
    "imports": frozenset({"at"}),
    "_sqlite_migrations": frozenset({"applied_at"}),
}
TABLES_LEFT_OUT = frozenset({"events"})
META_LEFT_OUT = frozenset({"epoch", "created_at", "annotation_head"})


def projection(folder: Path) -> Projection:
    """The projection of a campaign's folder and of the remote beside it, after checking all that is left out of it."""
    with Store.open_readonly(folder) as store:
        assert store.check() == []
        store.annotations.verify()
        found: Projection = {name: _rows(store, name) for name in store.tables() if name not in TABLES_LEFT_OUT}
        found["artifact folders"] = [
            (sha, kind, sorted(p.relative_to(store.artifacts.path(sha)).as_posix() for p in _files(store, sha)))
            for sha, kind in store.artifacts.all()
        ]
    assert not list(folder.glob(".*")), "temporary files are left"
    found["manifest"] = _manifest(folder / "manifest.json")
    rejected = folder / "rejected.jsonl"
    found["rejected"] = rejected.read_text(encoding="utf-8") if rejected.exists() else ""
    found["remote"] = _remote(folder.parent / "remote.sqlite3")
    return found


def differences(one: Projection, other: Projection) -> list[str]:
    """Where two projections differ, a line each."""
    out = []
    for name in sorted(set(one) | set(other)):
        a, b = one.get(name), other.get(name)
        if a == b:
            continue
        if isinstance(a, list) and isinstance(b, list):
            rows = [(x, y) for x, y in zip(a, b, strict=False) if x != y]
            first = f"; first: {rows[0][0]!r} and {rows[0][1]!r}" if rows else ""
            out.append(f"{name}: {len(a)} and {len(b)} rows, {len(rows)} differ{first}")
        else:
            out.append(f"{name}: {a!r} and {b!r}")
    return out


def _rows(store: Store, name: str) -> list[dict[str, Any]]:
    out = LEFT_OUT.get(name, frozenset())
    rows = [{key: value for key, value in row.items() if key not in out} for row in store.dump(name)]
    return [row for row in rows if not (name == "meta" and row["key"] in META_LEFT_OUT)]


def _files(store: Store, sha: str) -> list[Path]:
    return [path for path in store.artifacts.path(sha).rglob("*") if path.is_file()]


def _manifest(path: Path) -> Any:
    if not path.exists():
        return None
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["campaign"].pop("created_at")
    for item in manifest["data"]:
        item.pop("at")
    return manifest


def _remote(path: Path) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    db = connect(path)
    rows: list[tuple[Any, ...]] = db.execute("SELECT * FROM task ORDER BY id").fetchall()
    db.close()
    return rows
