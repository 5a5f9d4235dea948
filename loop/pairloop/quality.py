"""The decision of a person about whose votes count."""

from pairloop.config.load import did_you_mean
from pairloop.errors import UsageError
from pairloop.store import Store


def votes_of(store: Store, name: str) -> int:
    """How many votes an annotator gave.

    Raises:
        UsageError: nobody of this name voted; suggests who was meant.
    """
    names = [vote.annotator for vote in store.annotations.standing()]
    if name not in names:
        raise UsageError(
            f"nobody called {name!r} has voted{did_you_mean(name, sorted(set(names)))}",
            "The names are listed by: pairloop annotators",
        )
    return names.count(name)


def decide(store: Store, name: str, *, excluded: bool, decided_by: str, reason: str | None) -> bool:
    """Store that an annotator's votes count for nothing, or count again; False when that is so already.

    The votes themselves are untouched; the decision is read wherever votes are read.

    Raises:
        UsageError: nobody of this name voted.
    """
    votes = votes_of(store, name)
    if (name in store.quality.excluded()) == excluded:
        return False
    with store.transaction():
        store.quality.decide(name, excluded=excluded, decided_by=decided_by, reason=reason)
        kind = "annotator_excluded" if excluded else "annotator_included"
        store.events.add(kind, None, annotator=name, by=decided_by, reason=reason, votes=votes)
    return True
