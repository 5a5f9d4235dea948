"""Every shape of row that the JSON lines source takes, and every row that it refuses."""

import gzip
import hashlib
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pairloop.errors import ConfigError, DataError
from pairloop.records import AnnotatorKind, Choice, Message, RecordedVote, RejectedRow, SourceRow
from pairloop_plugins.jsonl import JsonlOptions, pairloop_sources
from pairloop_plugins.jsonl.source import JsonlSource

Read = Callable[..., list[SourceRow | RejectedRow]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_rows(*lines: Any, **options: Any) -> list[SourceRow | RejectedRow]:
        path = tmp_path / "data.jsonl"
        raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        path.write_bytes(b"\n".join(raw))
        return list(JsonlSource(JsonlOptions(**options), path).rows())

    return read_rows


@pytest.fixture
def good(read: Read) -> Callable[..., SourceRow]:
    def one(row: Any, **options: Any) -> SourceRow:
        (found,) = read(row, **options)
        assert isinstance(found, SourceRow), found
        return found

    return one


@pytest.fixture
def bad(read: Read) -> Callable[..., RejectedRow]:
    def one(row: Any, **options: Any) -> RejectedRow:
        before, found, after = read(
            {"prompt": "p", "responses": ["a", "b"]}, row, {"prompt": "p", "responses": ["a", "b"]}, **options
        )
        assert isinstance(before, SourceRow)
        assert isinstance(after, SourceRow)
        assert (before.line, after.line) == (1, 3), "a bad row never ends the iteration"
        assert isinstance(found, RejectedRow), found
        assert found.line == 2
        return found

    return one


# ------------------------------------------------------------------------------------------------- shapes


def test_several_responses_as_texts_and_objects(good: Any) -> None:
    row = good(
        {
            "prompt": "Say hi",
            "responses": [
                "hi",
                {"text": "hello", "model": "m1", "gold": 0.5, "metadata": {"n": [1, "x"]}},
                {"response": "hey", "metadata": None},
                {"content": "ho", "role": "assistant"},
            ],
            "group": "greetings",
            "metadata": {"topic": "t"},
            "other": 1,
        }
    )
    assert [response.text for response in row.responses] == ["hi", "hello", "hey", "ho"]
    assert [response.provenance.model for response in row.responses] == [None, "m1", None, None]
    assert row.responses[1].metadata == {"gold": 0.5, "n": [1, "x"]}
    assert row.responses[3].metadata == {"role": "assistant"}
    assert (row.prompt, row.pairs, row.group, row.line) == ("Say hi", None, "greetings", 1)
    assert row.metadata == {"topic": "t"}
    assert row.recorded == ()


def test_pairs_can_be_named(good: Any) -> None:
    row = good({"prompt": "p", "responses": ["a", "b", "c"], "pairs": [[0, 2], [1, 0]]})
    assert row.pairs == ((0, 2), (1, 0))


def test_kept_keys_become_metadata_of_the_prompt(good: Any) -> None:
    row = good({"prompt": "p", "responses": ["a", "b"], "id": 7, "x": 1, "metadata": {"y": 2}}, keep=("id", "absent"))
    assert row.metadata == {"id": 7, "y": 2}


def test_ready_pairs(good: Any) -> None:
    row = good(
        {
            "prompt": "p", "response_a": "x", "response_b": "y", "model_a": "m", "model_b": None,
            "metadata_b": {"gold": 1},
        }
    )  # fmt: skip
    assert [response.text for response in row.responses] == ["x", "y"]
    assert [response.provenance.model for response in row.responses] == ["m", None]
    assert row.responses[1].metadata == {"gold": 1}
    assert row.pairs == ((0, 1),)


def test_annotations(good: Any) -> None:
    row = good(
        {
            "prompt": "p", "response_a": "x", "response_b": "y",
            "annotations": [
                {"annotator": "w1", "type": "human", "preference": "a", "reason": "why", "seconds": 3, "strength": 2},
                {"annotator": "gpt", "type": "model", "preference": "b", "hit_seconds": 9},
                {"annotator": 12, "preference": "tie", "reason": None},
                {"annotator": "w2", "preference": "both_bad"},
                {"annotator": "w2", "preference": "skip"},
            ],
        }
    )  # fmt: skip
    assert [pair for pair, _ in row.recorded] == [(0, 1)] * 5
    assert [vote for _, vote in row.recorded] == [
        RecordedVote("w1", Choice.LEFT, AnnotatorKind.HUMAN, 2, "why", 3.0),
        RecordedVote("gpt", Choice.RIGHT, AnnotatorKind.MODEL),
        RecordedVote("12", Choice.TIE),
        RecordedVote("w2", Choice.BOTH_BAD),
        RecordedVote("w2", Choice.SKIP),
    ]


def test_annotations_of_several_responses_name_their_pair(good: Any) -> None:
    vote = {"annotator": "w", "preference": "b", "pair": [2, 0]}
    row = good({"prompt": "p", "responses": ["a", "b", "c"], "annotations": [vote]})
    assert row.recorded == (((2, 0), RecordedVote("w", Choice.RIGHT)),)


def test_chosen_and_rejected_texts(good: Any) -> None:
    data = {"prompt": "p", "chosen": "x", "rejected": "y", "chosen_model": "m"}
    row = good(data)
    assert (row.prompt, [response.text for response in row.responses]) == ("p", ["x", "y"])
    assert row.recorded == (((0, 1), RecordedVote("dataset", Choice.LEFT)),)
    assert row.responses[0].provenance.model == "m"
    other = good(data, chosen_annotator="ai", chosen_kind="model")
    assert other.recorded == (((0, 1), RecordedVote("ai", Choice.LEFT, AnnotatorKind.MODEL)),)
    assert good(data, chosen_votes=False).recorded == ()
    own = good({**data, "annotations": [{"annotator": "w", "preference": "b"}]})
    assert own.recorded == (((0, 1), RecordedVote("w", Choice.RIGHT)),)


USER, BOT, MORE = (
    {"role": "user", "content": "q"},
    {"role": "assistant", "content": "a"},
    {"role": "user", "content": "q2"},
)
YES, NO = {"role": "assistant", "content": "yes"}, {"role": "assistant", "content": "no"}
TURNS = (Message("user", "q"), Message("assistant", "a"), Message("user", "q2"))


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"chosen": [USER, BOT, MORE, YES], "rejected": [USER, BOT, MORE, NO]}, TURNS),
        ({"chosen": [USER, YES], "rejected": [USER, NO]}, TURNS[:1]),
        ({"prompt": "q", "chosen": [USER, YES], "rejected": [USER, NO]}, "q"),
        ({"prompt": "q2", "chosen": [USER, BOT, MORE, YES], "rejected": [USER, BOT, MORE, NO]}, TURNS),
        ({"prompt": [USER, BOT, MORE], "chosen": [YES], "rejected": [NO]}, TURNS),
        ({"prompt": [USER, BOT, MORE], "chosen": [USER, BOT, MORE, YES], "rejected": [USER, BOT, MORE, NO]}, TURNS),
        ({"prompt": "anything", "chosen": [YES], "rejected": [NO]}, "anything"),
        (
            {
                "chosen": "\n\nHuman: q\n\nAssistant: a\n\nHuman: q2\n\nAssistant: yes",
                "rejected": "\n\nHuman: q\n\nAssistant: a\n\nHuman: q2\n\nAssistant: no",
            },
            TURNS,
        ),
    ],
)
def test_chosen_and_rejected_conversations(good: Any, row: dict[str, Any], prompt: Any) -> None:
    found = good(row)
    assert found.prompt == prompt
    assert [response.text for response in found.responses] == ["yes", "no"]
    assert found.pairs == ((0, 1),)


def test_prompts_can_be_conversations(good: Any) -> None:
    row = good({"prompt": [{**USER, "name": "ignored"}, BOT, MORE], "responses": ["x", "y"]})
    assert row.prompt == TURNS


def test_groups_come_from_the_key_that_the_options_name(good: Any) -> None:
    topic = {"prompt": "p", "responses": ["a", "b"], "topic": "christianity-or-atheism-_atheism", "group": "own"}
    assert good(topic).group == "own"
    assert good(topic, group_key="topic").group == "christianity-or-atheism-_atheism"
    assert good(topic, group_key="topic", group_split="_").group == "christianity-or-atheism-"
    assert good({**topic, "topic": "a_b_c"}, group_key="topic", group_split="_").group == "a_b"
    assert good(topic, group_key="topic", group_split="|").group == "christianity-or-atheism-_atheism"
    deep = {"prompt": "p", "responses": ["a", "b"], "metadata": {"debate": {"id": 17}}}
    assert good(deep, group_key="metadata.debate.id").group == "17"
    assert good({"prompt": "p", "responses": ["a", "b"]}).group is None


def test_shapes_may_be_mixed_and_blank_lines_passed_over(read: Read) -> None:
    rows = read(
        {"prompt": "p", "responses": ["a", "b"]},
        b"",
        b"   \r",
        {"prompt": "p", "chosen": "a", "rejected": "b"},
        b'{"prompt": "p", "response_a": "a", "response_b": "b"}\r',
    )
    assert [row.line for row in rows] == [1, 4, 5]
    assert all(isinstance(row, SourceRow) for row in rows)


def test_duplicates_within_a_row_are_kept_for_the_pool_to_merge(good: Any) -> None:
    row = good({"prompt": "p", "responses": [{"text": "a", "model": "x"}, {"text": "a", "model": "y"}, "b"]})
    assert [response.text for response in row.responses] == ["a", "a", "b"]


def test_empty_responses_are_accepted_unless_told_otherwise(good: Any, bad: Any) -> None:
    row = {"prompt": "p", "response_a": "", "response_b": "x"}
    assert good(row).responses[0].text == ""
    assert bad(row, empty_responses=False).reason == 'empty response: "response_a"'


def test_a_response_of_a_megabyte_is_accepted(good: Any) -> None:
    assert len(good({"prompt": "p", "responses": ["x" * 2**20, "y"]}).responses[0].text) == 2**20


def test_dirt_is_cleaned_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"prompt": "a\\u0000b\\r\\nc\\ud800", "responses": ["x\\udfff", '
        b'{"text": "y", "k\\u0000": "v\\u0000"}], "annotations": [{"annotator": "w\\u0000", "preference": "a"}]}\n'
    )
    source = JsonlSource(JsonlOptions(), path)
    for _ in range(2):
        (row,) = source.rows()
        assert isinstance(row, SourceRow)
        assert row.prompt == "a\ufffdb\nc\ufffd"
        assert row.responses[0].text == "x\ufffd"
        assert row.responses[1].metadata == {"k\ufffd": "v\ufffd"}
        assert row.recorded[0][1].annotator == "w\ufffd"
        assert source.cleaned == 6
    json.dumps(str(row)).encode("utf-8")


# ------------------------------------------------------------------------------------------------ refusals

PAIR = {"prompt": "p", "response_a": "x", "response_b": "y"}


def with_vote(**changes: Any) -> dict[str, Any]:
    vote = {"annotator": "w", "preference": "a", **changes}
    return {**PAIR, "annotations": [{key: value for key, value in vote.items() if value != "drop"}]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b'{"prompt": "p", "responses": ["a", ', "not JSON: Expecting value at character"),
        (b'{"prompt": "p"} {"prompt": "q"}', "not JSON: Extra data at character 16"),
        (b"nonsense", "not JSON: Expecting value at character 0"),
        (b"[1, 2]", "not an object: the row is a list"),
        (b'"text"', "not an object: the row is a text"),
        (b"null", "not an object: the row is null"),
        (b"true", "not an object: the row is true or false"),
        (b'{"prompt": "p", "responses": ["a", "b"], "metadata": {"x": NaN}}', "not JSON: NaN is no number"),
        (b'{"prompt": "p", "responses": ["a", "b"], "x": -Infinity}', "not JSON: -Infinity is no number"),
        (b'{"prompt": "p", "responses": ["a", "b"], "x": 1e999}', "not JSON: the number 1e999 is too large"),
        (b'{"prompt": "p", "prompt": "q", "responses": ["a", "b"]}', 'duplicate key: "prompt" occurs twice'),
        (b'{"prompt": "p", "responses": ["a", {"text": "b", "k": 1, "k": 2}]}', 'duplicate key: "k" occurs twice'),
        (b'{"x": ' + b"1" * 5000 + b"}", "not JSON: Exceeds the limit"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"x": ' + b"[" * 80 + b"]" * 80 + b"}", "nested more than 64 levels deep"),
        (b'{"prompt": "caf\xe9", "responses": ["a", "b"]}', "invalid UTF-8: byte 56 of the file (byte 15 of"),
        ({"question": "p", "answers": []}, 'missing keys: "responses", "response_a" and "response_b", or "chosen" and'),
        ({"question": "p", "answers": []}, 'found "answers", "question"'),
        ({}, "found no keys"),
        ({str(i): i for i in range(20)}, "and 8 more"),
        ({"responses": ["a", "b"]}, 'missing keys: "prompt"; found "responses"'),
        ({"response_a": "a", "response_b": "b"}, 'missing keys: "prompt"; found "response_a", "response_b"'),
        ({"prompt": "p", "response_a": "a"}, 'found "prompt", "response_a"'),
        ({"prompt": "p", "responses": ["a"]}, "fewer than two different responses: 1"),
        ({"prompt": "p", "responses": ["a", "a", {"text": "a"}]}, "fewer than two different responses: 1"),
        ({"prompt": "p", "responses": []}, "fewer than two different responses: 0"),
        ({**PAIR, "response_b": "x"}, "fewer than two different responses: 1"),
        ({"prompt": "p", "responses": ["a\r\n", "a\n"]}, "fewer than two different responses: 1"),
        ({"prompt": "p", "responses": "ab"}, '"responses" must be a list, and is a text'),
        ({"prompt": "p", "responses": ["a", 3]}, "response 2 must be a text or an object, and is a number"),
        ({"prompt": "p", "responses": ["a", {"text": None}]}, "response 2 must be a text, and is null"),
        ({"prompt": "p", "responses": ["a", {"model": "m"}]}, 'response 2 needs one of "text", "response" and'),
        ({"prompt": "p", "responses": ["a", {"text": "b", "response": "c"}]}, "response 2 needs one of"),
        ({"prompt": "p", "responses": ["a", {"text": "b", "model": []}]}, "the model of response 2 must be a text"),
        ({"prompt": "p", "responses": ["a", {"text": "b", "metadata": 1}]}, "the metadata of response 2 must be an"),
        ({"prompt": "p", "responses": ["a", "b"], "pairs": [[0, 0]]}, "pair 1 must hold two different ones from 0"),
        ({"prompt": "p", "responses": ["a", "b"], "pairs": [[0, 2]]}, "wrong indices: pair 1 must hold"),
        ({"prompt": "p", "responses": ["a", "b"], "pairs": [[True, 0]]}, "wrong indices: pair 1 must hold"),
        ({"prompt": "p", "responses": ["a", "b"], "pairs": 1}, '"pairs" must be a list, and is a number'),
        ({"prompt": "p", "responses": ["a", "b", "a"], "pairs": [[0, 2]]}, "responses: 0 and 2, which form a"),
        ({"prompt": "", "responses": ["a", "b"]}, "the prompt is empty"),
        ({"prompt": " \n", "responses": ["a", "b"]}, "the prompt is empty"),
        ({"prompt": None, "responses": ["a", "b"]}, '"prompt" must be a text or a list of messages, and is null'),
        ({"prompt": 3, "responses": ["a", "b"]}, '"prompt" must be a text or a list of messages, and is a number'),
        ({"prompt": [], "responses": ["a", "b"]}, '"prompt": a prompt is a string or a non-empty list of messages'),
        ({"prompt": [{"role": "user"}], "responses": ["a", "b"]}, '"prompt": each message is an object'),
        ({"prompt": [{"role": "user", "content": [1]}], "responses": ["a", "b"]}, '"prompt": each message is an'),
        ({"prompt": [{"role": "user", "content": " "}], "responses": ["a", "b"]}, "the prompt is empty"),
        ({"prompt": [{"role": " ", "content": "x"}], "responses": ["a", "b"]}, 'empty name: a role in "prompt"'),
        ({**PAIR, "group": ["x"]}, '"group" must be a text, and is a list'),
        ({**PAIR, "group": " "}, 'empty name: "group"'),
        ({**PAIR, "metadata": [1]}, '"metadata" must be an object, and is a list'),
        ({**PAIR, "metadata_a": [1]}, '"metadata_a" must be an object, and is a list'),
        ({**PAIR, "annotations": {}}, '"annotations" must be a list, and is an object'),
        ({**PAIR, "annotations": [1]}, "annotation 1 must be an object, and is a number"),
        (with_vote(annotator="drop"), 'annotation 1 has no "annotator"'),
        (with_vote(preference="drop"), 'annotation 1 has no "preference"'),
        (with_vote(preference="left"), '"preference" of annotation 1 must be one of a, b, tie, both_bad, skip'),
        (with_vote(preference=None), '"preference" of annotation 1 must be one of'),
        (with_vote(preference=["a"]), '"preference" of annotation 1 must be one of'),
        (with_vote(annotator=""), 'empty name: "annotator" of annotation 1'),
        (with_vote(annotator=True), '"annotator" of annotation 1 must be a text, and is true or false'),
        (with_vote(type="alien"), '"type" of annotation 1 must be one of human, model, simulated'),
        (with_vote(type={}), '"type" of annotation 1 must be one of'),
        (with_vote(seconds=-1), '"seconds" of annotation 1 must be a number that is not negative'),
        (with_vote(seconds="3"), '"seconds" of annotation 1 must be a number'),
        (with_vote(seconds=True), '"seconds" of annotation 1 must be a number'),
        (with_vote(strength=1.5), '"strength" of annotation 1 must be an integer'),
        (with_vote(strength=-1), '"strength" of annotation 1 must be an integer'),
        (with_vote(reason=1), '"reason" of annotation 1 must be a text, and is a number'),
        (with_vote(pair=[0, 5]), '"pair" of annotation 1 must hold two different ones from 0 to 1'),
        (
            {"prompt": "p", "responses": ["a", "b", "c"], "annotations": [{"annotator": "w", "preference": "a"}]},
            'annotation 1 needs "pair", two indices, because the row has 3 responses',
        ),
        ({"prompt": "p", "chosen": "a", "rejected": ["b"]}, '"rejected" must be a text, and is a list'),
        ({"chosen": "a", "rejected": "b"}, 'missing keys: "prompt", and "chosen" and "rejected" are not conversations'),
        ({"chosen": [YES], "rejected": [NO]}, 'missing keys: "prompt", and "chosen" and "rejected" share no turn'),
        ({"chosen": [USER, YES, MORE], "rejected": [USER, NO]}, "must differ in their last turn only"),
        ({"chosen": [USER, BOT], "rejected": [MORE, BOT]}, "must differ in their last turn only"),
        ({"chosen": [], "rejected": []}, '"chosen": a prompt is a string or a non-empty list'),
        ({"chosen": [1], "rejected": [2]}, '"chosen": each message is an object'),
        ({"prompt": "zzz", "chosen": [USER, YES], "rejected": [USER, NO]}, "is not what"),
        ({"chosen": [USER, YES], "rejected": [USER, YES]}, "fewer than two different responses: 1"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_says_why(bad: Any, row: Any, reason: str) -> None:
    assert reason in bad(row).reason


def test_texts_and_lines_have_a_bound(bad: Any) -> None:
    assert bad({"prompt": "p", "responses": ["a", "b" * 1001]}, max_chars=1000).reason == (
        "text too long: response 2 has 1,001 characters, more than 1,000"
    )
    assert "text too long" in bad(with_vote(annotator="w" * 1001)).reason
    assert "text too long" in bad(with_vote(reason="w" * 100_001)).reason
    long = bad({"prompt": "p", "responses": ["a", "b" * 5000]}, max_line_bytes=2000)
    assert long.reason == "line too long: 5,040 bytes, more than max_line_bytes 2,000"
    assert len(long.excerpt) == 200


def test_a_row_without_the_group_key_is_refused(read: Read) -> None:
    (row,) = read({"prompt": "p", "responses": ["a", "b"], "metadata": {"x": 1}}, group_key="metadata.topic")
    assert isinstance(row, RejectedRow)
    assert (
        row.reason == 'missing keys: "metadata.topic", which group_key names; found "metadata", "prompt", "responses"'
    )


def test_excerpts_are_short_and_printable(bad: Any) -> None:
    row = bad(b'{"prompt": "\x00\xff' + b"x" * 5000)
    assert len(row.excerpt) == 200
    assert "\x00" not in row.excerpt
    row.excerpt.encode("utf-8")


# --------------------------------------------------------------------------------------------------- files


def test_gzip_is_recognised_by_its_bytes(tmp_path: Path) -> None:
    line = json.dumps(PAIR).encode() + b"\n"
    path = tmp_path / "data.jsonl"
    path.write_bytes(gzip.compress(line * 3))
    assert [row.line for row in JsonlSource(JsonlOptions(), path).rows()] == [1, 2, 3]


def test_a_torn_gzip_file_says_where_it_breaks(tmp_path: Path) -> None:
    lines = b"".join(
        json.dumps({**PAIR, "prompt": f"p{hashlib.sha256(b'%d' % i)}"}).encode() + b"\n" for i in range(2000)
    )
    packed = gzip.compress(lines)
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    *good, torn = JsonlSource(JsonlOptions(), path).rows()
    assert good
    assert all(isinstance(row, SourceRow) for row in good)
    assert isinstance(torn, RejectedRow)
    assert torn.reason.startswith("broken gzip stream:")
    assert torn.line == len(good) + 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.jsonl", tmp_path):
        source = JsonlSource(JsonlOptions(), path)
        with pytest.raises(DataError, match=str(path)):
            list(source.rows())
        with pytest.raises(DataError, match=str(path)):
            source.digest()


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    for content in (b"", b"\n\n", gzip.compress(b"")):
        path = tmp_path / "empty"
        path.write_bytes(content)
        assert list(JsonlSource(JsonlOptions(), path).rows()) == []


def test_the_digest_is_of_the_raw_bytes_and_rows_repeat(tmp_path: Path) -> None:
    raw = gzip.compress(json.dumps(PAIR).encode())
    path = tmp_path / "data"
    path.write_bytes(raw)
    source = JsonlSource(JsonlOptions(), path)
    assert source.digest() == hashlib.sha256(raw).hexdigest()
    assert list(source.rows()) == list(source.rows())


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    line = json.dumps({**PAIR, "prompt": "p" * 50_000}).encode() + b"\n"
    path.write_bytes(line * 400 + b"x" * 10_000_000 + b"\n" + line)
    tracemalloc.start()
    count = sum(1 for _ in JsonlSource(JsonlOptions(max_line_bytes=100_000), path).rows())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 402
    assert peak < 2_000_000, "20 MB of good lines and one line of 10 MB"


def test_the_spec_needs_a_path(tmp_path: Path) -> None:
    (spec,) = pairloop_sources()
    assert (spec.name, spec.options) == ("jsonl", JsonlOptions)
    with pytest.raises(ConfigError, match=r"data\.path"):
        spec.factory(None, None)
    (tmp_path / "f").write_text("")
    assert list(spec.factory(None, tmp_path / "f").rows()) == []


def test_wrong_options_are_refused() -> None:
    for wrong in ({"group_split": "_"}, {"max_chars": 0}, {"typo": 1}, {"chosen_kind": "alien"}):
        with pytest.raises(ValidationError):
            JsonlOptions(**wrong)


# ------------------------------------------------------------------------------------------------ real data


@pytest.mark.parametrize(
    ("name", "rows", "rejected", "votes", "models"),
    [
        ("ukpconvarg1_dev", 12_720, 7, 63_455, 0),
        ("llmfao_crowd", 2_139, 0, 13_209, 4_278),
        ("pandalm_human_test", 999, 0, 2_997, 1_998),
        ("mtbench_human_200", 200, 0, 200, 0),
    ],
)
@pytest.mark.shared
def test_the_shared_files_are_read_whole(
    shared_data: Path, name: str, rows: int, rejected: int, votes: int, models: int
) -> None:
    ukp = {"group_key": "topic", "group_split": "_"} if name.startswith("ukp") else {}
    source = JsonlSource(JsonlOptions(**ukp), shared_data / f"{name}.jsonl.gz")
    found = list(source.rows())
    good = [row for row in found if isinstance(row, SourceRow)]
    assert len(good) == rows
    assert len(found) - rows == rejected
    assert sum(len(row.recorded) for row in good) == votes
    assert sum(response.provenance.model is not None for row in good for response in row.responses) == models
    assert len({row.group for row in good}) == (12 if ukp else 1)
    assert all(row.reason == "fewer than two different responses: 1" for row in found if isinstance(row, RejectedRow))
