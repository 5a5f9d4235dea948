"""What leaves: the file of a batch in the wanted shape, and the instructions beside it."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

from pairloop.kit.ids import content_from_json, content_json
from pairloop.kit.spreadsheets import to_csv
from pairloop.kit.text import clean, plain
from pairloop.records import Task
from pairloop_plugins.exchange.options import CsvOptions, ExchangeOptions, JsonlExchangeOptions
from pairloop_plugins.exchange.words import ALLOWED

CELL = 32_000
"""UTF-16 units that a cell of Excel certainly holds; longer texts are cut there, and written whole beside the file."""
HOW = f"choice: {ALLOWED}. The rest may stay empty. Leave the key as it is."
_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_OPTIONS = (
    ("left", None), ("right", None), ("tie", "They are about the same"), ("both_bad", "Both are bad"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it is written, and kept for writing it again.

    Attributes:
        prompt: plain text, or the turns of a conversation as JSON values.
        annotator: who is asked; None: anybody. guess: the model's, where it may be seen; p_left its probability.
    """

    key: str
    round: int
    prompt: object
    left: str
    right: str
    annotator: str | None = None
    guess: str | None = None
    p_left: float | None = None
    model: str | None = None

    @classmethod
    def of(cls, task: Task, annotator: str | None) -> "Question":
        """The question of a task; a guess that must not be seen stays out of it."""
        shown = task.prelabel if task.prelabel is not None and task.prelabel.shown else None
        return cls(
            task.key, task.round, content_json(task.prompt), task.left, task.right, annotator,
            None if shown is None else shown.choice.value,
            None if shown is None else round(shown.p_left, 6),
            None if shown is None else shown.model,
        )  # fmt: skip

    @property
    def prompt_text(self) -> str:
        """The prompt as one text."""
        return plain(content_from_json(self.prompt))


def file_suffix(options: ExchangeOptions) -> str:
    """How the names of written files end. Argilla reads one array (``records.from_json``), the others lines."""
    if isinstance(options, JsonlExchangeOptions):
        return ".json" if options.shape == "argilla" else ".jsonl"
    return ".csv"


def encode(questions: Sequence[Question], options: ExchangeOptions) -> bytes:
    """The bytes of a file with these questions; the same questions give the same bytes."""
    if isinstance(options, CsvOptions):
        return _csv(questions, _SEPARATORS[options.separator])
    shape = options.shape if isinstance(options, JsonlExchangeOptions) else "plain"
    if shape == "argilla":
        return ("[\n" + ",\n".join(_line(_argilla(q)) for q in questions) + "\n]\n").encode()
    make = _prodigy if shape == "prodigy" else _plain
    return "".join(_line(make(q)) + "\n" for q in questions).encode()


# -------------------------------------------------------------------------------------------------- CSV


def _csv(questions: Sequence[Question], separator: str) -> bytes:
    """UTF-8 with the byte order mark that Excel needs to see that it is.

    What to do stands in every line, since lines get sorted, filtered and split; its column is the last one, so that
    a file without a final line end shows whether it is whole.
    """
    guessed = any(question.guess for question in questions)
    columns = ["key", "prompt", "left", "right", *(["model_guess"] if guessed else []), "choice", "strength",
               "prompt_rating", "reason", "annotator", "minutes", "instructions"]  # fmt: skip
    rows = [
        [
            q.key, *(cell_text(q.key, name, text) for name, text in _texts(q)), *([q.guess or ""] if guessed else []),
            "", "", "", "", q.annotator or "", "", HOW,
        ]
        for q in questions
    ]  # fmt: skip
    return b"\xef\xbb\xbf" + to_csv(columns, rows, separator=separator)


def _texts(question: Question) -> tuple[tuple[str, str], ...]:
    return (("prompt", question.prompt_text), ("left", question.left), ("right", question.right))


def cell_text(key: str, name: str, text: str) -> str:
    """A text as a cell: cut where Excel would cut it, with the name of the file that has all of it."""
    cleaned = clean(text)
    if _units(cleaned) <= CELL:
        return cleaned
    return cleaned[: CELL // 2 - 100] + f" … [cut: all of it is in texts/{long_name(key, name)}]"


def long_texts(questions: Sequence[Question]) -> dict[str, str]:
    """File name and content of every text that no cell holds."""
    return {
        long_name(q.key, name): clean(text) for q in questions for name, text in _texts(q) if _units(clean(text)) > CELL
    }


def long_name(key: str, name: str) -> str:
    """Name of the file with one long text; keys are letters and digits."""
    return f"{key}-{name}.txt"


def _units(text: str) -> int:
    if 2 * len(text) <= CELL:  # then it fits, whatever its characters are
        return len(text)
    return len(text) + sum(char > "\uffff" for char in text)


# ------------------------------------------------------------------------------------------------- JSON


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _plain(question: Question) -> dict[str, object]:
    row: dict[str, object] = {
        "key": question.key, "prompt": question.prompt, "left": question.left, "right": question.right,
        "choice": None, "strength": None, "prompt_rating": None, "reason": None, "annotator": question.annotator,
        "minutes": None, "instructions": HOW,
    }  # fmt: skip
    return row if question.guess is None else {**row, "model_guess": question.guess}


def _prodigy(question: Question) -> dict[str, object]:
    """A task of the view ``choice``; its stream may be filtered by ``annotator``."""
    texts = {"left": question.left, "right": question.right}
    options = [{"id": name, "text": text if text is not None else texts[name]} for name, text in _OPTIONS]
    meta: dict[str, object] = {"key": question.key, "round": question.round}
    if question.guess is not None:
        meta["model_guess"] = question.guess
    task: dict[str, object] = {"text": question.prompt_text, "options": options, "key": question.key, "meta": meta}
    return task if question.annotator is None else {**task, "annotator": question.annotator}


def _argilla(question: Question) -> dict[str, object]:
    """A record for ``rg.Record.from_dict``."""
    suggestions = {}
    if question.guess is not None and question.p_left is not None:
        sure = max(question.p_left, 1 - question.p_left)
        suggestions = {"choice": {"value": question.guess, "score": round(sure, 6), "agent": question.model}}
    return {
        "id": question.key,
        "fields": {"prompt": question.prompt_text, "left": question.left, "right": question.right},
        "metadata": {"round": question.round},
        "suggestions": suggestions,
        "responses": {},
    }


# ------------------------------------------------------------------------------------------ instructions


def instructions(options: ExchangeOptions, inbox: str) -> str:
    """The README beside the files, for the people who answer."""
    out = io.StringIO()
    out.write("How to answer\n=============\n\n")
    out.write("Each line of a file asks which of two responses, left or right, is the better answer to the prompt.\n\n")
    out.write(f"choice         {ALLOWED}\n")
    for word, choice in sorted(options.words.items()):
        out.write(f"               {word} = {choice.value.replace('_', ' ')}\n")
    out.write("               retract: takes an earlier answer back\n")
    out.write("strength       how clear it is, 0 to 100 (optional)\n")
    out.write("prompt_rating  how good the prompt is, 1 to 5 (optional)\n")
    out.write("reason         in your own words (optional)\n")
    out.write("annotator      your name; needed where several people answer\n")
    out.write("minutes        how long it took, for example 1.5 (optional)\n\n")
    out.write("Leave the column key as it is: answers are found by it. All else may be sorted, filtered or deleted.\n")
    out.write("A line that you do not want to answer yet: leave choice empty. An empty choice takes nothing back.\n")
    out.write(f"When you are done, save the file, here or in the folder {inbox}, under any name, as CSV or xlsx.\n")
    out.write("Texts that are too long for a cell are whole in the folder texts.\n")
    return out.getvalue()
