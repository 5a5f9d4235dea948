"""What the backend makes of files that come, change, contradict each other and go."""

import csv
import io
import os
import sqlite3
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import openpyxl
import pytest

from pairloop.errors import ConfigError
from pairloop.kit import clock, failpoints
from pairloop.kit.spreadsheets import is_formula
from pairloop.protocols import BackendContext
from pairloop.records import Annotation, Choice, Page, Prelabel, Task
from pairloop_plugins.exchange.backend import ExchangeBackend
from pairloop_plugins.exchange.options import CsvOptions

Make = Callable[..., ExchangeBackend]


class Desk:
    """A backend with its folders, and a person who works with them."""

    def __init__(self, open_backend: Callable[..., ExchangeBackend], tasks: list[Task], **options: Any) -> None:
        self.backend = open_backend(**options)
        self.tasks = tasks
        self.backend.publish(tasks)
        self._cursor: str | None = None

    @property
    def keys(self) -> list[str]:
        return [task.key for task in self.tasks]

    def put(
        self, name: str, *answers: tuple[int, str], header: str = "key,choice,annotator,reason", who: str = "ann"
    ) -> Path:
        """A file in the inbox with these answers, by number of the task."""
        lines = [
            f"{self.keys[i]},{choice},{who}," if "," not in choice else f"{self.keys[i]},{choice}"
            for i, choice in answers
        ]
        return self.drop(name, "\n".join([header, *lines, ""]).encode())

    def drop(self, name: str, data: bytes) -> Path:
        path = self.backend.inbox / name
        path.write_bytes(data)
        return path

    def poll(self) -> Page:
        page = self.backend.poll(self._cursor)
        self._cursor = page.cursor
        return page

    def news(self) -> list[tuple[int, str, str]]:
        """Number of the task, annotator and choice of what is new; "gone" for what was taken back."""
        return [self.told(one) for one in self.poll().annotations]

    def told(self, one: Annotation) -> tuple[int, str, str]:
        return self.keys.index(one.key), one.annotator, "gone" if one.deleted else one.choice.value

    def refused(self) -> dict[str, tuple[str, ...]]:
        return {file.name: file.problems for file in self.poll().refused}


@pytest.fixture
def open_backend(make_context: Callable[..., BackendContext]) -> Iterator[Make]:
    opened: list[ExchangeBackend] = []

    def make(**options: Any) -> ExchangeBackend:
        opened.append(ExchangeBackend("csv", CsvOptions(**options), make_context()))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def desk(open_backend: Make, make_task: Callable[..., Task]) -> Desk:
    tasks = [make_task(i, f"the left text number {i}", f"the right text number {i}") for i in range(4)]
    return Desk(open_backend, tasks)


# ------------------------------------------------------------------------------------------- several files


def test_parts_of_a_batch_come_in_one_by_one(desk: Desk) -> None:
    desk.put("a.csv", (0, "left"), (1, ""))
    assert desk.news() == [(0, "ann", "left")]
    desk.put("b.csv", (1, "right"))
    assert desk.news() == [(1, "ann", "right")]
    assert desk.news() == []


def test_the_same_file_twice_says_nothing_new(desk: Desk) -> None:
    path = desk.put("a.csv", (0, "left"))
    assert len(desk.news()) == 1
    desk.drop("a (1).csv", path.read_bytes())
    desk.put("other name.txt", (0, "A"))
    assert desk.news() == []
    path.touch()
    assert desk.news() == []


def test_a_file_that_is_edited_later_is_a_new_revision(desk: Desk) -> None:
    for choice in ("left", "right", "left", "left"):
        desk.put("a.csv", (0, choice))
        news = desk.poll().annotations
        assert [one.choice for one in news] == ([Choice(choice)] if news else [])
    revisions = [one.revision for one in desk.backend.poll(None).annotations]
    assert [revision[:2] for revision in revisions] == ["1-", "2-", "3-"]
    assert len({one.remote_id for one in desk.backend.poll(None).annotations}) == 1


def test_two_people_may_answer_one_question(desk: Desk) -> None:
    desk.put("a.csv", (0, "left"))
    desk.put("b.csv", (0, "right"), who="bob")
    assert desk.news() == [(0, "ann", "left"), (0, "bob", "right")]


def test_files_that_contradict_each_other_are_settled_by_people(desk: Desk) -> None:
    first = desk.put("a.csv", (0, "left"), (1, "same"))
    desk.put("b.csv", (0, "right"), (2, "left"))
    assert desk.news() == [(0, "ann", "left"), (1, "ann", "tie")]
    (problem,) = desk.refused()["inbox/b.csv"]
    assert '"right" is not "left" as in inbox/a.csv' in problem
    first.unlink()
    assert desk.news() == [(0, "ann", "right"), (2, "ann", "left")]
    assert desk.refused() == {}


def test_what_one_file_says_more_is_added(desk: Desk) -> None:
    desk.put("a.csv", (0, "left"))
    desk.put("b.csv", (0, "left,ann,clearer"))
    assert [one.reason for one in desk.poll().annotations] == [None, "clearer"]


def test_nothing_but_the_word_takes_an_answer_back(desk: Desk) -> None:
    path = desk.put("a.csv", (0, "left"), (1, "right"), (2, "same"))
    desk.news()
    desk.put("a.csv", (1, ""))  # a line removed, a choice emptied
    assert desk.news() == []
    path.unlink()
    assert desk.news() == []
    desk.put("a.csv", (1, "Retract"))
    assert desk.news() == [(1, "ann", "gone")]
    desk.put("a.csv", (1, "right"))
    assert desk.news() == [(1, "ann", "right")]


def test_a_name_that_is_filled_in_later_replaces_nobody(desk: Desk) -> None:
    desk.put("a.csv", (0, "left"), who="")
    assert desk.news() == [(0, "unnamed", "left")]
    desk.put("a.csv", (0, "left"), who="ann")
    assert desk.news() == [(0, "ann", "left"), (0, "unnamed", "gone")]
    desk.put("a.csv", (0, "right"), who="bob")  # another person under the same file name
    assert desk.news() == [(0, "bob", "right")]


def test_a_name_with_another_answer_leaves_the_unnamed_one(desk: Desk) -> None:
    """It may be another person, who saved under the same file name."""
    desk.put("a.csv", (0, "left"), who="")
    desk.news()
    desk.put("a.csv", (0, "right"), who="bob")
    assert desk.news() == [(0, "bob", "right")]


# ----------------------------------------------------------------------------------------------- refusals


def test_a_file_with_one_bad_line_changes_nothing_until_it_is_mended(desk: Desk) -> None:
    desk.put("good.csv", (3, "skip"))
    desk.put("bad.csv", (0, "left"), (1, "lefft"), (2, "maybe,ann,x"), header="key,choice,annotator,strength")
    assert desk.news() == [(3, "ann", "skip")]
    problems = desk.refused()["inbox/bad.csv"]
    assert [problem.partition(":")[0] for problem in problems] == [
        "line 3, choice", "line 4, choice", "line 4, strength",
    ]  # fmt: skip
    desk.put("bad.csv", (0, "left"), (1, "left"))
    assert desk.news() == [(0, "ann", "left"), (1, "ann", "left")]


@pytest.mark.parametrize(
    ("cell", "column", "words"),
    [
        ("both", "choice", "is no answer"),
        ("#NAME?", "choice", "is no answer"),
        ("TRUE", "choice", "is no answer"),
        ("left/right", "choice", "is no answer"),
        ("3", "choice", "is no answer"),
        ("7", "prompt_rating", "from 1 to 5"),
        ("1.5", "prompt_rating", "whole number"),
        ("01. Feb", "strength", "made a date of it"),
        ("2026-05-01", "minutes", "made a date of it"),
        ("1e5", "minutes", "is not a number"),
        ("-1", "minutes", "from 0 to 1440"),
        ("x" * 101, "annotator", "is no name"),
    ],
)
def test_a_cell_that_is_not_understood_is_named(desk: Desk, cell: str, column: str, words: str) -> None:
    values = {"choice": "left", column: cell}
    desk.drop("a.csv", f"key,{','.join(values)}\n{desk.keys[0]},{','.join(values.values())}\n".encode())
    (problem,) = desk.refused()["inbox/a.csv"]
    assert problem.startswith(f"line 2, {column}: ")
    assert words in problem


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("kaaaaaaaaaaaaaaaaa", "was never asked"),
        ("1.2E+15", "damaged"),
        ("", "missing"),
        ("{0}x", "damaged"),
        ("#REF!", None),
    ],
)
def test_keys_are_known_or_named(desk: Desk, key: str, words: str | None) -> None:
    desk.drop("a.csv", f"key,choice,annotator\n{key.format(desk.keys[0])},left,ann\n".encode())
    problems = desk.refused().get("inbox/a.csv", ())
    assert (words is None and not problems) or (len(problems) == 1 and words is not None and words in problems[0])


def test_a_separator_too_much_in_a_text_moves_no_cell_unseen(desk: Desk) -> None:
    """The 1 of a text would be taken for the answer."""
    desk.drop("a.csv", f"key,left,right,choice,annotator\n{desk.keys[0]},some text,=1+,1,,\n".encode())
    (problem,) = desk.refused()["inbox/a.csv"]
    assert "has 6 cells, the header names 5" in problem


def test_a_quotation_mark_too_much_swallows_no_line_unseen(desk: Desk) -> None:
    """The answer to the second line would be taken for that to the first."""
    one, other = desk.keys[:2]
    desk.drop("a.csv", f'key,prompt,choice,annotator\n{one},"text,,ann\n{other},text",right,ann\n'.encode())
    (problem,) = desk.refused()["inbox/a.csv"]
    assert problem.startswith("line 2, a cell of this line holds other lines")


def test_lines_that_became_one_cell_each_are_taken_apart(desk: Desk) -> None:
    """Opened with the wrong separator, then saved: every line is one quoted cell."""
    lines = ["key,choice,annotator,reason", f'{desk.keys[0]},left,ann,"why, and ""how"""', f"{desk.keys[1]},B,ann,"]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL).writerows([line] for line in lines)
    desk.drop("a.csv", out.getvalue().encode())
    assert desk.news() == [(0, "ann", "left"), (1, "ann", "right")]
    assert desk.backend.poll(None).annotations[0].reason == 'why, and "how"'


@pytest.mark.parametrize(
    ("encoding", "option", "name", "read_as"),
    [
        ("cp1252", None, "Jürgen", "Jürgen"),
        ("mac_roman", None, "Jürgen", None),
        ("mac_roman", "mac_roman", "Jürgen", "Jürgen"),
        ("cp1251", "cp1251", "Ольга", "Ольга"),
        ("cp1252", "ascii", "Jürgen", None),
        ("cp1252", "cp1251", "ann", "ann"),
    ],
)
def test_names_are_read_in_the_encoding_that_is_certain(
    open_backend: Make,
    make_task: Callable[..., Task],
    encoding: str,
    option: str | None,
    name: str,
    read_as: str | None,
) -> None:
    desk = Desk(open_backend, [make_task()], encoding=option)
    text = f"key,prompt,choice,annotator\n{desk.keys[0]},ü,left,{name}\n"
    desk.drop("a.csv", text.encode(encoding, "replace"))
    page = desk.poll()
    assert [one.annotator for one in page.annotations] == ([read_as] if read_as else [])
    assert len(page.refused) == (read_as is None)


def test_utf_8_beside_another_byte_is_still_utf_8(desk: Desk) -> None:
    row = f"key,prompt,choice,annotator\n{desk.keys[0]},".encode() + b"\xff,left," + "Björk\n".encode()
    desk.drop("a.csv", row)
    assert desk.news() == [(0, "Björk", "left")]


def test_a_key_in_other_letters_and_quotes_is_the_key(desk: Desk) -> None:
    desk.drop("a.csv", f"key,choice,annotator\n' {desk.keys[0].upper()} ,left,ann\n".encode())
    assert desk.news() == [(0, "ann", "left")]


def test_lines_of_one_file_may_repeat_but_not_contradict(desk: Desk) -> None:
    desk.put("a.csv", (0, "left"), (0, "Left"), (0, ""))
    assert desk.news() == [(0, "ann", "left")]
    desk.put("b.csv", (1, "left"), (2, "left"), (1, "right"))
    (problem,) = desk.refused()["inbox/b.csv"]
    assert problem.startswith("line 4, choice: ")
    assert "line 2" in problem


def test_columns_that_were_sorted_apart_are_found(desk: Desk) -> None:
    """Sorting the keys without the rest would give every answer to another question."""
    path = desk.backend.outbox / "round-0001.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(
        {**row, "key": other["key"], "choice": "left"} for row, other in zip(rows, reversed(rows), strict=True)
    )
    desk.drop("a.csv", out.getvalue().encode())
    problems = desk.refused()["inbox/a.csv"]
    assert len(problems) == 4
    assert "sorted without the others" in problems[0]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"\x00" * 100, "empty"),
        ("a.csv", b"\xd0\xcf\x11\xe0 ...", "old Excel"),
        ("a.csv", b"%PDF-1.7", "a PDF"),
        ("a.csv", b"\x1f\x8b\x08", "gzip"),
        ("a.csv", b"PK\x03\x04 cut off", "not whole"),
        ("a.xls", b"<html><table>", "web page"),
        ("notes.docx", b"hello", "header"),
        ("a.csv", b'key,choice\nkx,"left\n', "never closed"),
        ("a.csv", b"key,choice,Choice\n", "twice"),
    ],
)
def test_what_is_no_table_is_refused_with_what_it_is(desk: Desk, name: str, data: bytes, words: str) -> None:
    desk.drop(name, data)
    (problem,) = desk.refused()[f"inbox/{name}"]
    assert words in problem


def test_a_refused_file_leaves_everything_that_is_stored_as_it_was(desk: Desk, tmp_path: Path) -> None:
    """40 damaged versions of a file whose whole version was taken before."""
    path = desk.put("a.csv", *((i, word) for i, word in enumerate(("left", "right", "same", "skip"))))
    whole = path.read_bytes()
    desk.news()
    before, refusals = stored(tmp_path), 0
    for seed in range(40):
        random = Random(seed)
        data = bytearray(whole)
        for _ in range(3):
            data[random.randrange(len(data))] = random.randrange(256)
        path.write_bytes(data)
        if desk.refused():
            refusals += 1
            assert stored(tmp_path) == before, seed
        path.write_bytes(whole)
        desk.poll()
        before = stored(tmp_path)
    assert refusals > 20


def stored(folder: Path) -> list[str]:
    """All that the backend remembers, but for what the files looked like."""
    with closing(sqlite3.connect(folder / "backend" / "exchange.db")) as db:
        return [line for line in db.iterdump() if '"seen"' not in line]


def test_limits(open_backend: Make, make_task: Callable[..., Task]) -> None:
    desk = Desk(open_backend, [make_task()], max_file_mb=0.01, max_rows=50)
    desk.drop("large.csv", b"key,choice\n" + b"x" * 20_000)
    desk.drop("long.csv", b"key,choice\n" + b",\n" * 80)
    desk.drop("wide.csv", b"," * 5000 + b"\n")
    problems = desk.refused()
    assert "max_file_mb" in problems["inbox/large.csv"][0]
    assert "max_rows" in problems["inbox/long.csv"][0]
    assert "header" in problems["inbox/wide.csv"][0]


def test_links_and_pipes_are_not_followed(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text(f"key,choice,annotator\n{desk.keys[0]},left,ann\n")
    (desk.backend.inbox / "link.csv").symlink_to(tmp_path / "secret.csv")
    os.mkfifo(desk.backend.inbox / "pipe.csv")
    problems = desk.refused()
    assert "link" in problems["inbox/link.csv"][0]
    assert "no file" in problems["inbox/pipe.csv"][0]
    assert desk.news() == []


def test_locks_and_unfinished_downloads_are_passed_over(desk: Desk) -> None:
    for name in ("~$a.xlsx", ".~lock.a.csv#", ".hidden.csv", "a.csv.crdownload", "a.tmp", "a.csv.part", "Thumbs.db"):
        desk.drop(name, b"nonsense")
    (desk.backend.inbox / "folder.csv").mkdir()
    assert desk.refused() == {}


# -------------------------------------------------------------------------------------- outgoing files


def test_no_cell_that_leaves_starts_a_formula(open_backend: Make, make_task: Callable[..., Task]) -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", " =1", "\ufeff=1", "\u200b=1", "＝1", "＋1", "－1", "＠",
             "\x00=1", "\xa0=1", "﹢1", '"=1', "plain"]  # fmt: skip
    tasks = [make_task(i, text, f"right {i}") for i, text in enumerate(texts)]
    desk = Desk(open_backend, tasks, annotators=("=cmd|' /C calc'!A0", "ann"))
    for path in desk.backend.outbox.glob("*.csv"):
        for row in csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")):
            assert not [cell for cell in row if is_formula(cell)]


def test_an_annotators_name_that_looks_like_a_formula_comes_back(
    open_backend: Make, make_task: Callable[..., Task]
) -> None:
    desk = Desk(open_backend, [make_task()], annotators=("=ann",))
    fill(desk.backend.outbox / "round-0001-ann.csv")
    assert desk.news() == [(0, "=ann", "left")]


def test_a_text_that_no_cell_holds_lies_beside_the_file(open_backend: Make, make_task: Callable[..., Task]) -> None:
    long = "😀" * 20_000
    desk = Desk(open_backend, [make_task(0, long, "short")])
    text = (desk.backend.outbox / "texts" / f"{desk.keys[0]}-left.txt").read_text(encoding="utf-8")
    assert text == long
    rows = list(
        csv.reader(io.StringIO((desk.backend.outbox / "round-0001.csv").read_bytes().decode("utf-8-sig"), newline=""))
    )
    assert all(len(cell.encode("utf-16-le")) // 2 <= 32_767 for cell in rows[1])
    assert f"texts/{desk.keys[0]}-left.txt" in rows[1][2]


def test_a_file_that_somebody_has_changed_is_never_written_again(desk: Desk, make_task: Callable[..., Task]) -> None:
    path = desk.backend.outbox / "round-0001.csv"
    fill(path)
    before = path.read_bytes()
    more = make_task(9, "one more on the left", "one more on the right")
    desk.backend.publish([more])
    assert path.read_bytes() == before
    part = (desk.backend.outbox / "round-0001-part-2.csv").read_text(encoding="utf-8-sig")
    assert more.key in part
    assert desk.keys[0] not in part


@pytest.mark.parametrize("lock", [".~lock.round-0001.csv#", "~$round-0001.csv"])
def test_a_file_that_somebody_has_open_is_not_written_again(
    desk: Desk, make_task: Callable[..., Task], lock: str
) -> None:
    (desk.backend.outbox / lock).touch()
    desk.backend.publish([make_task(9)])
    assert (desk.backend.outbox / "round-0001-part-2.csv").exists()


def test_replicas_and_repeats_go_to_others(open_backend: Make, make_task: Callable[..., Task]) -> None:
    backend = open_backend(annotators=("ann", "bob"))
    tasks = [make_task(0, replica=n, pair_id="q") for n in range(3)] + [make_task(1, pair_id="r", not_for=("ann",))]
    published = backend.publish(tasks)
    assert list(published.refused) == [tasks[2].key]
    assert tasks[3].key in (backend.outbox / "round-0001-bob.csv").read_text(encoding="utf-8-sig")


def test_a_guess_is_written_only_where_it_may_be_seen(open_backend: Make, make_task: Callable[..., Task]) -> None:
    hidden, shown = (Prelabel(Choice.RIGHT, 0.1, "m", shown=shown) for shown in (False, True))
    backend = open_backend()
    backend.publish([make_task(0, prelabel=hidden, round=1), make_task(1, prelabel=shown, round=2)])
    assert "model_guess" not in (backend.outbox / "round-0001.csv").read_text(encoding="utf-8-sig")
    assert '"right"' in (backend.outbox / "round-0002.csv").read_text(encoding="utf-8-sig")


def test_names_of_people_never_become_paths(open_backend: Make, make_task: Callable[..., Task], tmp_path: Path) -> None:
    names = ("../../etc", "a/b", "a\\b", "..", "C:", "日本", "a b", "con")
    backend = open_backend(annotators=names)
    backend.publish([make_task(i) for i in range(len(names))])
    files = list(tmp_path.rglob("*.csv"))
    assert len(files) == len(names)
    assert {path.parent for path in files} == {backend.outbox}


# ---------------------------------------------------------------------------------------------- workbooks


def fill(path: Path, word: str = "left") -> None:
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows({**row, "choice": row["choice"] or word} for row in rows)
    path.write_bytes(out.getvalue().encode())


def workbook(rows: list[list[Any]], *, sheets: int = 1) -> bytes:
    book = openpyxl.Workbook()
    for number in range(sheets):
        sheet = book.active if number == 0 else book.create_sheet(f"Notes {number}")
        for row in rows if number == 0 else [["just notes"]]:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize("name", ["a.xlsx", "renamed.csv"])
def test_a_workbook_is_read_with_its_numbers_as_cells_have_them(desk: Desk, name: str) -> None:
    rows: list[list[Any]] = [
        ["Batch 1"],
        ["Key", "Choice", "Strength", "Prompt rating", "Minutes", "Annotator"],
        [desk.keys[0], 1.0, 80.0, 5, 1.5, "ann"],
        [None, None, None],
        [desk.keys[1], "both bad", None, None, None, "ann"],
        [desk.keys[2], None, None, None, None, "ann"],
    ]
    desk.drop(name, workbook(rows, sheets=2))
    found = {one.key: one for one in desk.poll().annotations}
    assert {desk.told(one) for one in found.values()} == {(0, "ann", "left"), (1, "ann", "both_bad")}
    first = found[desk.keys[0]]
    assert (first.strength, first.prompt_rating, first.seconds) == (80, 5, 90.0)


def test_dates_and_truth_values_of_a_workbook_are_named(desk: Desk) -> None:
    header = ["key", "choice", "minutes", "annotator"]
    date = datetime(2026, 5, 1, tzinfo=UTC).replace(tzinfo=None)  # workbooks know no time zones
    rows: list[list[Any]] = [header, [desk.keys[0], "left", date, "ann"], [desk.keys[1], True, None, "ann"]]
    desk.drop("a.xlsx", workbook(rows))
    one, other = desk.refused()["inbox/a.xlsx"]
    assert one.startswith("row 2, minutes: ")
    assert "made a date of it" in one
    assert other.startswith('row 3, choice: "TRUE" is no answer')


def test_a_workbook_that_unpacks_to_far_more_than_is_allowed_is_not_unpacked(
    open_backend: Make, make_task: Callable[..., Task]
) -> None:
    desk = Desk(open_backend, [make_task()], max_file_mb=0.1)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * 5_000_000)
    desk.drop("bomb.xlsx", out.getvalue())
    assert "unpacks to 5 MB" in desk.refused()["inbox/bomb.xlsx"][0]


@pytest.mark.parametrize(("inside", "words"), [("mimetype", "OpenDocument"), ("a.csv", "ZIP archive")])
def test_other_archives_are_refused(desk: Desk, inside: str, words: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(inside, b"x")
    desk.drop("a.csv", out.getvalue())
    assert words in desk.refused()["inbox/a.csv"][0]


def test_a_workbook_cut_at_any_place_is_refused(desk: Desk) -> None:
    data = workbook([["key", "choice", "annotator"], [desk.keys[0], "left", "ann"]])
    for cut in range(0, len(data), 211):
        desk.drop("a.xlsx", data[:cut])
        assert desk.news() == [], cut
    desk.drop("a.xlsx", data)
    assert desk.news() == [(0, "ann", "left")]


def test_without_openpyxl_a_workbook_is_refused_with_what_to_do(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.drop("a.xlsx", workbook([["key", "choice"], [desk.keys[0], "left"]]))
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (problem,) = desk.refused()["inbox/a.xlsx"]
    assert "pairloop[xlsx]" in problem
    assert "save it as CSV" in problem


# ------------------------------------------------------------------------------------------------ the rest


def test_the_same_batch_gives_the_same_bytes_however_it_is_pushed(
    tmp_path: Path, make_context: Callable[..., BackendContext], make_task: Callable[..., Task]
) -> None:
    tasks = [make_task(i, f"left {i}", "=right") for i in range(7)]
    written = []
    for name, size in (("whole", 7), ("pieces", 2)):
        backend = ExchangeBackend("csv", CsvOptions(annotators=("ann", "bob")), make_context(tmp_path / name))
        for start in range(0, 7, size):
            backend.publish(tasks[start : start + size])
        written.append({path.name: path.read_bytes() for path in backend.outbox.glob("*.csv")})
        backend.close()
    assert written[0] == written[1]
    assert len(written[0]) == 2


def test_refusals_are_reconsidered_by_the_next_process(
    desk: Desk, open_backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options may know the word that the last one refused."""
    monkeypatch.setattr(clock, "_source", lambda: datetime.now(UTC) + timedelta(minutes=1))
    desk.put("a.csv", (0, "links"))
    assert "inbox/a.csv" in desk.refused()
    later = open_backend(words={"links": "left"})
    assert [desk.told(one) for one in later.poll(None).annotations] == [(0, "ann", "left")]


@pytest.mark.parametrize("call", ["lookup", "poll", "publish"])
def test_a_question_whose_file_a_crash_prevented_is_written_by_the_next_call(
    open_backend: Make, make_task: Callable[..., Task], call: str
) -> None:
    def die(name: str) -> None:
        if name == "exchange.published":
            raise RuntimeError("dead")

    tasks = [make_task(0)]
    failpoints.set_handler(die)
    try:
        with pytest.raises(RuntimeError, match="dead"):
            open_backend().publish(tasks)
    finally:
        failpoints.set_handler(None)
    later = open_backend()
    assert not later.outbox.exists()
    later.lookup([]) if call == "lookup" else later.poll(None) if call == "poll" else later.publish([])
    assert tasks[0].key in (later.outbox / "round-0001.csv").read_text(encoding="utf-8-sig")


def test_a_change_within_one_tick_of_the_clock_is_seen(desk: Desk) -> None:
    """Same size, same time: as when a file is saved twice within the resolution of its time."""
    path = desk.put("a.csv", (0, "left "))
    about = path.stat()
    assert desk.news() == [(0, "ann", "left")]
    desk.put("a.csv", (0, "right"))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat().st_size == about.st_size
    assert desk.news() == [(0, "ann", "right")]


def test_files_at_rest_are_not_read_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put("a.csv", (0, "left"))
    monkeypatch.setattr(clock, "_source", lambda: datetime.now(UTC) + timedelta(minutes=1))
    desk.news()
    desk.backend.poll(None)

    def unexpected(*_: object) -> bytes:
        raise AssertionError("it was read")

    monkeypatch.setattr("pairloop_plugins.exchange.incoming.read_whole", unexpected)
    assert desk.news() == []


def test_a_file_that_grows_while_it_is_read_is_left_for_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from pairloop_plugins.exchange import incoming

    whole = incoming.read_whole
    path = desk.put("a.csv", (0, "left"))

    def growing(found: Any, most: float) -> bytes | None:
        if found.path == path:
            with path.open("a") as file:
                file.write(f"{desk.keys[1]},ri")
        return whole(found, most)

    monkeypatch.setattr(incoming, "read_whole", growing)
    assert desk.news() == []
    monkeypatch.setattr(incoming, "read_whole", whole)
    assert "middle of this line" in desk.refused()["inbox/a.csv"][0]
    with path.open("a") as file:
        file.write("ght,ann,\n")
    assert desk.news() == [(0, "ann", "left"), (1, "ann", "right")]


def test_the_doctor_is_told_about_folders_that_cannot_be_used(open_backend: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "outbox" in open_backend().check()
    with pytest.raises(ConfigError, match="inbox"):
        open_backend(inbox=str(tmp_path / "file" / "in")).check()


@pytest.mark.parametrize(
    "options",
    [{"annotators": ("ann", "Ann ")}, {"annotators": (" ",)}, {"words": {"left": "right"}}, {"encoding": "rot13"}],
)
def test_options_that_cannot_be_meant_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        CsvOptions(**options)
