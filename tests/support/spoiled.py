"""Files of answers as they come back from people's hands: a filled-in batch, and what spreadsheets make of it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from pairloop.kit.ids import assignment_key
from pairloop.records import Choice
from pairloop_plugins.exchange.reading import Asked, Statement
from pairloop_plugins.exchange.rows import fingerprint

COLUMNS = ("key", "prompt", "left", "right", "choice", "strength", "prompt_rating", "reason", "annotator", "minutes",
           "instructions")  # fmt: skip
SPELLINGS: dict[Choice, tuple[str, ...]] = {
    Choice.LEFT: ("left", "Left", " LEFT ", "l", "A", "1", "1.0", "1,0", "“left”", "ｌｅｆｔ", "left\xa0", "'left"),
    Choice.RIGHT: ("right", "Right.", "R", "b", "2", "2.00", '"right"', "Right "),
    Choice.TIE: ("same", "tie", "=", "equal", "Same ", "’same’", "the same"),
    Choice.BOTH_BAD: ("both bad", "Both_Bad", "both-bad", "BOTH  BAD", "neither"),
    Choice.SKIP: ("skip", "Skip", "SKIPPED"),
}
PLAIN = {
    Choice.LEFT: "left",
    Choice.RIGHT: "right",
    Choice.TIE: "same",
    Choice.BOTH_BAD: "both bad",
    Choice.SKIP: "skip",
}
TEXTS = ("What is 2+2?", "a; b, c\td|e", 'He said "no"', "two\nlines", "=1+1", "naïve – “quotes”", "", "日本語",
         "x" * 300, "key,choice", "-5 degrees", "line\r\nend")  # fmt: skip
REASONS = (None, None, "clearer", 'says "no"', "a; b, c", "first\nsecond", "= no", "größer", "wrong – twice")
PEOPLE = ("ann", "Björk", "O'Neil", "zoë z")


@dataclass(frozen=True)
class Batch:
    """Rows that people filled in, and what they meant."""

    rows: list[dict[str, str]]
    meant: list[Statement]

    @property
    def asked(self) -> Asked:
        texts: dict[str, set[str]] = {}
        for row in self.rows:
            texts.setdefault(fingerprint(row["left"], row["right"]), set()).add(row["key"])
        texts.pop("", None)
        return Asked(dict.fromkeys(row["key"] for row in self.rows), {t: frozenset(k) for t, k in texts.items()})


def batch(random: Random, n: int = 8, *, answered: float = 0.7) -> Batch:
    """Some rows, most of them answered, spelt as people do."""
    rows, meant = [], []
    for index in range(n):
        key = assignment_key("spoiled", 1, f"q{random.random()}", index)
        row = dict.fromkeys(COLUMNS, "") | {"key": key, "instructions": "choice: left, right, same, both bad or skip"}
        row |= {name: random.choice(TEXTS) for name in ("prompt", "left", "right")}
        if random.random() < answered:
            said = statement(random, key)
            meant.append(said)
            row |= cells(random, said)
        rows.append(row)
    return Batch(rows, meant)


def statement(random: Random, key: str) -> Statement:
    return Statement(
        key=key,
        annotator=random.choice(PEOPLE),
        choice=random.choice(list(Choice)),
        strength=random.choice((None, 0, 80, 100)),
        prompt_rating=random.choice((None, 1, 5)),
        reason=random.choice(REASONS),
        seconds=random.choice((None, 90.0, 60.0, 0.0)),
    )


def cells(random: Random, said: Statement) -> dict[str, str]:
    assert said.choice is not None
    return {
        "choice": random.choice(SPELLINGS[said.choice]),
        "strength": number(random, said.strength),
        "prompt_rating": number(random, said.prompt_rating),
        "reason": "" if said.reason is None else said.reason,
        "annotator": said.annotator,
        "minutes": number(random, None if said.seconds is None else said.seconds / 60),
    }


def number(random: Random, value: float | None) -> str:
    if value is None:
        return ""
    whole = value == int(value)
    return random.choice(
        (f"{value:g}", f"{value:.1f}", f"{value:.1f}".replace(".", ","), f" {value:g} ")[: 4 if whole else 3]
    )


@dataclass
class Habits:
    """What a program and a person do to a file without changing what it says."""

    encoding: str = "utf-8-sig"
    separator: str = ","
    line_end: str = "\r\n"
    quoting: Any = csv.QUOTE_MINIMAL
    columns: Sequence[str] = COLUMNS
    header: Any = str
    title: str = ""
    extra: bool = False
    blank_lines: bool = False
    trailing: int = 0
    final_end: bool = True
    sep_line: bool = False
    damaged_texts: bool = False
    shuffled: bool = False
    dropped: tuple[str, ...] = ()

    @classmethod
    def drawn(cls, random: Random) -> "Habits":
        columns = list(COLUMNS)
        if random.random() < 0.4:
            random.shuffle(columns)
        last_is_read = columns[-1] != "instructions"
        return cls(
            encoding=random.choice(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32")),
            separator=random.choice(",;\t|"),
            line_end=random.choice(("\r\n", "\n", "\r")),
            quoting=random.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
            columns=columns,
            header=random.choice((str, str.upper, str.title, lambda name: f" {name} ", lambda n: n.replace("_", " "))),
            title=random.choice(("", "", "Batch 1 of our campaign")),
            extra=random.random() < 0.3,
            blank_lines=random.random() < 0.3,
            trailing=random.choice((0, 0, 2)),
            final_end=last_is_read or random.random() < 0.8,
            sep_line=random.random() < 0.2,
            damaged_texts=random.random() < 0.3,
            shuffled=random.random() < 0.4,
            dropped=random.choice(((), (), ("prompt", "left", "right"))),
        )


def written(random: Random, made: Batch, habits: Habits) -> bytes:
    """The file."""
    columns = [name for name in habits.columns if name not in habits.dropped]
    out = io.StringIO(newline="")
    if habits.sep_line:
        out.write(f"sep={habits.separator}{habits.line_end}")
    writer = csv.writer(out, delimiter=habits.separator, lineterminator=habits.line_end, quoting=habits.quoting)
    if habits.title:
        writer.writerow([habits.title])
    more = ["our notes"] if habits.extra else []
    writer.writerow([habits.header(name) for name in columns] + more + [""] * habits.trailing)
    rows = list(made.rows)
    if habits.shuffled:
        random.shuffle(rows)
    for made_row in rows:
        row = made_row
        if habits.damaged_texts:
            row = row | {name: row[name].replace("e", "�")[:5] for name in ("prompt", "left", "right")}
        # Line breaks in cells are what the program makes of them: it quotes only those that end its lines.
        values = [row[name].replace("\r", "").replace("\n", habits.line_end) for name in columns]
        if habits.encoding == "cp1252":
            values = ["left" if value == "ｌｅｆｔ" else value for value in values]
        writer.writerow(values + [random.choice(("", "ok"))] * len(more) + [""] * habits.trailing)
        if habits.blank_lines and random.random() < 0.3:
            writer.writerow(random.choice(([], [""] * len(columns))))
    text = out.getvalue()
    if not habits.final_end:
        text = text[: -len(habits.line_end)]
    return text.encode(habits.encoding, "replace" if habits.encoding == "cp1252" else "strict")
