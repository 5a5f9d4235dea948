"""Reading what came back: which files changed, what they say together, and which are refused.

Each file that is there says what its last accepted content said. An answer is what all files say together; where two
contradict each other the later one is refused, by line, until one of them is changed or removed. A file that is
removed, a line that is removed and a choice that is emptied take nothing back: only the word "retract" does.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pairloop.kit.clock import now_time
from pairloop.kit.failpoints import failpoint
from pairloop.records import RefusedFile
from pairloop_plugins.exchange.decoding import Unreadable
from pairloop_plugins.exchange.folders import Found, found_files, read_whole
from pairloop_plugins.exchange.ledger import Ledger, Seen
from pairloop_plugins.exchange.options import ExchangeOptions
from pairloop_plugins.exchange.reading import MOST_PROBLEMS, Asked, Refusal, Statement, merged, read_file
from pairloop_plugins.exchange.words import Unclear

_COARSE = 2_000_000_000  # ns within which two changes of a file may have one time


class Incoming:
    """The reader of one backend's folders."""

    def __init__(self, ledger: Ledger, folders: Mapping[str, Path], options: ExchangeOptions) -> None:
        self._ledger = ledger
        self._folders = folders
        self._options = options
        self._first = True  # options or installed packages may have changed since the last process

    def read(self) -> tuple[RefusedFile, ...]:
        """Take in everything that changed; the files that are refused now.

        A file that is still being written is left for the next time.
        """
        seen = self._ledger.seen()
        files = {found.place: found for found in found_files(self._folders)}
        gone = [place for place in seen if place not in files]
        if gone:
            with self._ledger.transaction():
                self._ledger.forget(gone)
        changed = {place for place, found in files.items() if not _is_known(found, seen.get(place))}
        if gone or changed or self._first:
            self._take(files, changed)
            self._first = False
        return self._refused()

    def _take(self, files: Mapping[str, Found], changed: set[str]) -> None:
        """Read the changed files, and the refused ones again for as long as others are accepted."""
        asked = self._ledger.asked()
        todo = changed | {place for place, seen in self._ledger.seen().items() if seen.problems is not None}
        while todo:
            accepted = [place for place in sorted(todo) if place in files and self._read_one(files[place], asked)]
            again = {p for p, seen in self._ledger.seen().items() if seen.problems is not None and p in files}
            todo = again & todo if accepted else set()

    def _read_one(self, found: Found, asked: Asked) -> bool:
        """True when the file says something else now than before."""
        try:
            data = read_whole(found, self._options.max_file_mb * 1e6)
        except Unreadable as error:
            return self._refuse(found, "", (str(error),))
        if data is None:
            return False
        failpoint("exchange.after_read")
        sha256 = hashlib.sha256(data).hexdigest()
        before = self._ledger.seen().get(found.place)
        if before is not None and before.sha256 == sha256 and before.problems is None:
            with self._ledger.transaction():
                self._ledger.set_seen(_seen(found, sha256, None))
            return False
        try:
            said = [] if self._is_untouched(found, sha256) else read_file(data, self._options, asked)
            self._accept(found, sha256, said)
        except Refusal as refusal:
            return self._refuse(found, sha256, refusal.problems)
        return True

    def _is_untouched(self, found: Found, sha256: str) -> bool:
        label, _, name = found.place.partition("/")
        return label == "outbox" and self._ledger.written_sha(name) == sha256

    def _accept(self, found: Found, sha256: str, said: list[Statement]) -> None:
        """One transaction: what the file says, and the answers that follow from it.

        Raises:
            Refusal: it contradicts other files; nothing is changed.
        """
        problems: list[str] = []
        with self._ledger.transaction():
            before = self._ledger.said_in(found.place)
            self._ledger.set_said(found.place, said)
            for one in said:
                together = self._together(found.place, one, problems)
                if together is not None:
                    self._ledger.answer(together)
            for one in before:
                if self._was_named(found.place, one, said):
                    self._ledger.answer(Statement(one.key, one.annotator, None))
            if problems:
                raise Refusal(problems)
            self._ledger.set_seen(_seen(found, sha256, None))
            failpoint("exchange.before_commit")
        failpoint("exchange.after_commit")

    def _together(self, place: str, said: Statement, problems: list[str]) -> Statement | None:
        """What all files say of this person about this question."""
        together = said
        for other, theirs in self._ledger.said_elsewhere(place, said.key, said.annotator):
            try:
                together = merged(theirs, together)
            except Unclear as unclear:
                problems.append(
                    f"{said.key} by {said.annotator}, {unclear} as in {other}, which is still there: remove one of the"
                    " two files, or make them agree"
                )
                return None
        return together

    def _was_named(self, place: str, before: Statement, said: list[Statement]) -> bool:
        """True when this file gave an answer to nobody before, and gives the same answer to a person now."""
        if before.annotator != self._options.unnamed or self._ledger.said_elsewhere(
            place, before.key, before.annotator
        ):
            return False
        now = [one for one in said if one.key == before.key]
        unnamed = any(one.annotator == before.annotator for one in now)
        return not unnamed and any(one.choice is before.choice for one in now)

    def _refuse(self, found: Found, sha256: str, problems: tuple[str, ...]) -> bool:
        """Remember why; what the file said before stays. False: nothing that others depend on has changed."""
        more = len(problems) - MOST_PROBLEMS
        kept = (*problems[:MOST_PROBLEMS], f"… and {more} more") if more > 0 else problems
        with self._ledger.transaction():
            self._ledger.set_seen(_seen(found, sha256, kept))
        return False

    def _refused(self) -> tuple[RefusedFile, ...]:
        seen = self._ledger.seen().values()
        return tuple(RefusedFile(one.place, one.problems) for one in seen if one.problems is not None)


def _is_known(found: Found, seen: Seen | None) -> bool:
    return seen is not None and seen.settled and (seen.size, seen.mtime) == (found.size, found.mtime)


def _seen(found: Found, sha256: str, problems: tuple[str, ...] | None) -> Seen:
    settled = now_time().timestamp() * 1e9 - found.mtime > _COARSE
    return Seen(found.place, found.size, found.mtime, settled, sha256, problems)
