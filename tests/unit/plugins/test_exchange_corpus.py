"""Thousands of files as they come back: each is taken with what it says, or refused with its lines."""

import csv
import io
import re
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.spoiled import Batch, Habits, batch, written

from pairloop.records import Choice
from pairloop_plugins.exchange.options import CsvOptions
from pairloop_plugins.exchange.reading import Asked, Refusal, Statement, read_file

OPTIONS = CsvOptions()
PIECES = (b'"', b",", b"\n", b"\x00", b"\xff", b";", b"\t", b"=", b"\xed\xa0\x80", b"\r\n", b"k")
PLACE = re.compile(r"(line|row|record) \d+")


def read(data: bytes, asked: Asked) -> list[Statement] | None:
    """What a file says; None where it is refused, with sentences that name a place or speak of the whole file."""
    try:
        return read_file(data, OPTIONS, asked)
    except Refusal as refusal:
        unplaced = [one for one in refusal.problems if not (PLACE.match(one) or WHOLE.search(one))]
        if unplaced or not refusal.problems:
            raise AssertionError(unplaced) from refusal
        return None


WHOLE = re.compile(r"header|empty|damaged|more than|this is|cannot be read|not JSON|whole|neither|twice|JSON must")


def by_person(statements: list[Statement]) -> dict[tuple[str, str], Statement]:
    return {(one.key, one.annotator): one for one in statements}


@pytest.mark.parametrize("block", range(10))
def test_what_programs_and_people_do_to_a_file_changes_nothing(block: int) -> None:
    """Encodings, separators, quotes, orders, spellings, blank lines … in 500 combinations."""
    for seed in range(50 * block, 50 * block + 50):
        random = Random(seed)
        made, habits = batch(random), Habits.drawn(random)
        said = read(written(random, made, habits), made.asked)
        assert said is not None, (seed, habits)
        assert by_person(said) == by_person(made.meant), (seed, habits)


SMALL = [
    (1, Habits()),
    (2, Habits(encoding="utf-8", separator=";", line_end="\n", quoting=csv.QUOTE_ALL)),
    (3, Habits(encoding="cp1252", separator="\t", columns=("key", "choice", "minutes", "reason", "annotator"))),
    (4, Habits(encoding="utf-16", columns=("annotator", "reason", "key", "prompt_rating", "strength", "choice"))),
]


@pytest.mark.parametrize(("seed", "habits"), SMALL)
def test_a_file_cut_at_any_byte_never_says_something_else(seed: int, habits: Habits) -> None:
    """Only whole lines count, whatever the last column is."""
    random = Random(seed)
    made = batch(random, 4, answered=1.0)
    habits.dropped = tuple(name for name in ("prompt", "left", "right") if name not in habits.columns)
    absent = {"prompt_rating", "strength", "reason"} - set(habits.columns)
    no_time = {} if "minutes" in habits.columns else {"seconds": None}
    meant = by_person([replace(one, **dict.fromkeys(absent), **no_time) for one in made.meant])
    data, taken = written(random, made, habits), 0
    for cut in range(len(data) + 1):
        said = read(data[:cut], made.asked)
        if said is not None:
            assert by_person(said).items() <= meant.items(), cut
            taken += 1
    assert taken > 4
    assert by_person(read(data, made.asked) or []) == meant


@pytest.mark.parametrize("block", range(8))
def test_a_damaged_file_never_gives_another_answer(block: int) -> None:
    """800 files with bytes changed, deleted, inserted, doubled or swapped."""
    taken = 0
    for seed in range(100 * block, 100 * block + 100):
        random = Random(f"damage {seed}")
        made, habits = batch(random, 6), Habits.drawn(random)
        said = read(damaged(random, written(random, made, habits)), made.asked)
        meant = {one.key: one.choice for one in made.meant}
        for one in said or []:
            assert meant.get(one.key) is one.choice, (seed, habits, one)
        taken += said is not None
    assert 10 < taken < 90


def damaged(random: Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        i, j, kind = random.randrange(len(out)), random.randrange(len(out)), random.randrange(4)
        if kind == 0:
            out[i] = random.randrange(256)
        elif kind == 1:
            del out[i : i + random.choice((1, 1, 2, 40))]
        elif kind == 2:
            out[i:i] = random.choice((*PIECES, bytes(out[i : i + 60])))
        else:
            out[i : i + 20], out[j : j + 20] = out[j : j + 20], out[i : i + 20]
    return bytes(out)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_refused_or_say_nothing(data: bytes) -> None:
    made = batch(Random(0), 3)
    assert not read(data, made.asked)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cells=st.lists(st.lists(st.text(max_size=12), max_size=12), max_size=6),
    reason=st.text(max_size=60),
    annotator=st.text(max_size=30),
    separator=st.sampled_from(",;\t|"),
)
def test_any_text_around_a_line_leaves_its_answer(
    cells: list[list[str]], reason: str, annotator: str, separator: str
) -> None:
    """A line between others is read as it is, or the file is refused: its choice is never another."""
    made = batch(Random(1), 2, answered=0.0)
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(["key", "choice", "reason", "annotator"])
    writer.writerows(cells[:3])
    writer.writerow([made.rows[0]["key"], "left", reason, annotator])
    writer.writerows(cells[3:])
    said = read(out.getvalue().encode("utf-8", "surrogatepass"), made.asked)
    if said is not None:
        assert [(one.key, one.choice) for one in said] == [(made.rows[0]["key"], Choice.LEFT)]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), columns=st.permutations(list(Habits().columns)), data=st.data())
def test_orders_do_not_matter(seed: int, columns: list[str], data: st.DataObject) -> None:
    made = batch(Random(seed))
    rows = data.draw(st.permutations(made.rows))
    text = written(Random(0), Batch(rows, made.meant), Habits(columns=columns))
    assert by_person(read(text, made.asked) or []) == by_person(made.meant)
