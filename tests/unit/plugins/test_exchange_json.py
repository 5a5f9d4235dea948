"""Answers as JSON: plain lines, what Prodigy and Argilla give back, and what is neither."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pairloop.kit.ids import assignment_key
from pairloop.protocols import BackendContext
from pairloop.records import Choice, Prelabel, Task
from pairloop_plugins.exchange.backend import ExchangeBackend
from pairloop_plugins.exchange.options import JsonlExchangeOptions
from pairloop_plugins.exchange.reading import Asked, Refusal, Statement, read_file

KEYS = [assignment_key("json", 1, f"q{i}", 0) for i in range(3)]
ASKED = Asked(dict.fromkeys(KEYS), {})


def read(*items: Any, text: str | None = None) -> list[Statement]:
    data = text if text is not None else "".join(json.dumps(item) + "\n" for item in items)
    return read_file(data.encode("utf-8", "surrogatepass"), JsonlExchangeOptions(), ASKED)


def problems(*items: Any, text: str | None = None) -> tuple[str, ...]:
    with pytest.raises(Refusal) as refusal:
        read(*items, text=text)
    return refusal.value.problems


def test_plain_lines_carry_everything() -> None:
    row = {"Key": KEYS[0], "choice": "both bad", "strength": 80, "prompt_rating": 4.0, "reason": 'says "no"\nagain',
           "annotator": "ann", "minutes": 1.5, "extra": {"nested": [1]}}  # fmt: skip
    (said,) = read(row, {"key": KEYS[1], "choice": None}, {"key": KEYS[2]})
    assert said == Statement(KEYS[0], "ann", Choice.BOTH_BAD, 80, 4, 'says "no"\nagain', 90.0)


@pytest.mark.parametrize("mark", ["\ufeff", "", "\n\n"])
def test_lines_and_one_array_are_the_same(mark: str) -> None:
    row = {"key": KEYS[0], "choice": "left", "annotator": "ann"}
    assert read(text=mark + json.dumps(row, indent=None)) == read(text=mark + json.dumps([row], indent=2)) == read(row)


def test_what_prodigy_gives_back() -> None:
    task = {"text": "p", "options": [{"id": "left", "text": "l"}], "meta": {"key": KEYS[0]}}
    done = {"_timestamp": 1_700_000_000, "_annotator_id": "batch-ann", "_session_id": "batch-x"}
    (said,) = read({**task, **done, "answer": "accept", "accept": ["tie"]})
    assert (said.choice, said.annotator, said.submitted_at) == (Choice.TIE, "batch-ann", "2023-11-14T22:13:20+00:00")
    assert [read({**task, "answer": answer, "accept": []})[0].choice for answer in ("reject", "ignore")] == [
        Choice.SKIP
    ] * 2
    assert read({**task, "accept": ["left"]}) == [], "a preselected option is no answer"


@pytest.mark.parametrize("accept", [[], ["left", "right"], ["other"], "left", None, [["left"]]])
def test_an_answer_of_prodigy_that_says_nothing_is_named(accept: Any) -> None:
    (problem,) = problems({"key": KEYS[0], "options": [], "answer": "accept", "accept": accept})
    assert problem.startswith("line 1, accept: ")


def test_what_argilla_gives_back() -> None:
    def answers(*values: tuple[Any, str]) -> list[dict[str, Any]]:
        return [{"value": value, "user_id": user} for value, user in values]

    record = {"id": KEYS[0], "fields": {"prompt": "p"}, "metadata": {}, "suggestions": {}, "vectors": {},
              "responses": {"choice": answers(("left", "u1"), ("both_bad", "u2")), "reason": answers(("why", "u2")),
                            "strength": answers((7, "u1"))}}  # fmt: skip
    assert read(text=json.dumps([record, {**record, "id": KEYS[1], "responses": {}}])) == [
        Statement(KEYS[0], "u1", Choice.LEFT, strength=7),
        Statement(KEYS[0], "u2", Choice.BOTH_BAD, reason="why"),
    ]
    (problem,) = problems(text=json.dumps([{**record, "responses": {"choice": "left"}}]))
    assert problem.startswith("record 1, responses: ")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"key": 1', "not JSON"),
        ('{"key": "a", "key": "b"}', "twice"),
        ('{"choice": NaN}', "no number"),
        ("{" * 100_000, "not JSON"),
        ('{"a": ' * 5000 + "1" + "}" * 5000, "nested too deeply"),
        ("{}", "no key"),
        ('{"key": "K", "KEY": "k"}', "differ in case"),
        ('{"key": ["k"]}', "neither text nor a number"),
        ('{"key": true}', "neither text nor a number"),
        ('{"key": "\\ud800"}', "damaged"),
        ('{"key": 1e999}', "damaged"),
        ('{"key": 1' + "0" * 5000 + "}", "not JSON"),
        ("[1]", "not an object"),
    ],
)
def test_what_is_no_answer_is_named_by_line(line: str, words: str) -> None:
    found = problems(text=line + "\n")
    assert any(words in problem for problem in found), found


def test_every_bad_line_is_named() -> None:
    good = {"key": KEYS[0], "choice": "left"}
    found = problems(good, {"key": KEYS[1], "choice": "x"}, "text", {"key": KEYS[2], "choice": "A", "strength": 101})
    assert [problem.partition(":")[0].partition(",")[0] for problem in found] == ["line 2", "line 3", "line 4"]


def test_lines_cut_at_any_byte_say_what_they_said_or_are_refused() -> None:
    rows = [{"key": key, "choice": "left", "annotator": "Björk", "reason": "größer"} for key in KEYS]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    whole = read_file(text, JsonlExchangeOptions(), ASKED)
    taken = 0
    for cut in range(len(text)):
        try:
            said = read_file(text[:cut], JsonlExchangeOptions(), ASKED)
        except Refusal:
            continue
        assert said == whole[: len(said)]
        taken += 1
    assert taken == 5


def test_argillas_own_records_go_there_and_back(tmp_path: Path, make_context: Callable[..., BackendContext]) -> None:
    """Through the SDK's reader and writer of files, where it is installed."""
    argilla = pytest.importorskip("argilla", reason="Argilla's SDK is not installed")
    from argilla.records._io import JsonIO

    backend = ExchangeBackend("jsonl", JsonlExchangeOptions(shape="argilla"), make_context())
    guess = Prelabel(Choice.LEFT, 0.7, "m", shown=True)
    backend.publish([Task(key, 1, 0, f"q{key}", "a prompt", "one", "two", prelabel=guess) for key in KEYS])
    user, answered = UUID(int=7), []
    for record in JsonIO._records_from_json(backend.outbox / "round-0001.json"):
        responses = [argilla.Response("choice", "tie", user_id=user), argilla.Response("reason", "why", user_id=user)]
        answered.append(argilla.Record(id=record.id, fields=dict(record.fields), responses=responses))
    JsonIO.to_json(answered, backend.inbox / "back.json")
    found = backend.poll(None).annotations
    assert {(one.key, one.choice, one.reason, one.annotator) for one in found} == {
        (key, Choice.TIE, "why", str(user)) for key in KEYS
    }
    backend.close()
