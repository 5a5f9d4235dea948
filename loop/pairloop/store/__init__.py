"""The embedded store: one SQLite file and one folder of artifacts per campaign."""

from pairloop.store.store import Store

__all__ = ["Store"]
