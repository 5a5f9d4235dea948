"""Writing the files of a round, so that nothing that people did to them is ever written over."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from pairloop.kit.atomic import disk_errors, write_atomic
from pairloop.kit.canonical import digest
from pairloop.kit.failpoints import failpoint
from pairloop_plugins.exchange.folders import README, TEXTS, is_open
from pairloop_plugins.exchange.ledger import Ledger
from pairloop_plugins.exchange.options import ExchangeOptions
from pairloop_plugins.exchange.writing import Question, encode, file_suffix, instructions, long_texts

_MODE = 0o644


def file_name(round_number: int, annotator: str | None, options: ExchangeOptions, part: int = 1) -> str:
    """ "round-0001.csv", "round-0001-ann.csv", "round-0001-part-2.csv"."""
    person = "" if annotator is None else f"-{_slug(annotator, options.annotators)}"
    piece = "" if part == 1 else f"-part-{part}"
    return f"round-{round_number:04d}{person}{piece}{file_suffix(options)}"


def _slug(name: str, others: Sequence[str]) -> str:
    """A name as part of a file name: letters and digits, with a digest where that loses what tells two people apart."""
    slug = _letters(name)
    if slug and [_letters(other) for other in others].count(slug) == 1:
        return slug
    return "-".join(filter(None, (slug, digest(name)[:6])))


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:40]


def flush(ledger: Ledger, outbox: Path, inbox: Path, options: ExchangeOptions) -> None:
    """Bring every question that was published into a file; does nothing when all are.

    A file that is as it was written is written again, whole. One that somebody changed, moved away or has open stays
    as it is, and what it lacks goes into a part of its own.
    """
    waiting = ledger.unfinished()
    if not waiting:
        return
    with disk_errors(outbox):
        for folder in (outbox, inbox):
            folder.mkdir(parents=True, exist_ok=True)
        if not (outbox / README).exists():
            write_atomic(outbox / README, instructions(options, str(inbox)), mode=_MODE)
    for name in waiting:
        _write(ledger, outbox, name, options)


def _write(ledger: Ledger, outbox: Path, name: str, options: ExchangeOptions) -> None:
    questions = ledger.questions(name)
    content = encode(questions, options)
    sha256 = hashlib.sha256(content).hexdigest()
    path = outbox / name
    state = _state(path, ledger.written_sha(name), sha256)
    if state == "theirs":
        other = _next_part(ledger, outbox, questions[0], options)
        with ledger.transaction():
            ledger.move_unwritten(name, other)
        _write(ledger, outbox, other, options)
        return
    if state == "ours":
        _write_long_texts(outbox / TEXTS, questions)
        failpoint("exchange.before_file")
        write_atomic(path, content, mode=_MODE)
        failpoint("exchange.after_file")
    with ledger.transaction():
        ledger.mark_written(name, sha256)


def _state(path: Path, written: str | None, wanted: str) -> str:
    """ "done": it is there already; "ours": it may be written; "theirs": it must be left alone."""
    if path.is_symlink():
        return "theirs"
    try:
        now = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return "ours" if written is None else "theirs"
    if now == wanted:
        return "done"
    return "ours" if now == written and not is_open(path) else "theirs"


def _next_part(ledger: Ledger, outbox: Path, first: Question, options: ExchangeOptions) -> str:
    taken, part = ledger.files(), 2
    while (name := file_name(first.round, first.annotator, options, part)) in taken or (outbox / name).exists():
        part += 1
    return name


def _write_long_texts(folder: Path, questions: Sequence[Question]) -> None:
    texts = long_texts(questions)
    if texts:
        folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        if not (folder / name).exists():
            write_atomic(folder / name, text, mode=_MODE)
