"""CSV, Parquet and Hugging Face data sets as pair sources: columns, shapes, rejections, damage, digests."""

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pairloop.errors import ConfigError, DataError, MissingExtra
from pairloop.kit import extras
from pairloop.kit.canonical import canonical_json
from pairloop.protocols import PairSource
from pairloop.records import AnnotatorKind, Choice, Message, RejectedRow, SourceRow
from pairloop_plugins.columns.presets import PRESETS
from pairloop_plugins.jsonl import JsonlOptions
from pairloop_plugins.jsonl.source import JsonlSource
from pairloop_plugins.tabular import CsvOptions, HubOptions, ParquetOptions, pairloop_sources
from pairloop_plugins.tabular.csv_source import CsvSource
from pairloop_plugins.tabular.source import Record, Table, read_table

Rows = list[SourceRow | RejectedRow]
READY = "prompt,response_a,response_b\n"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Rows]:
    def read_rows(content: str | bytes, **options: Any) -> Rows:
        path = tmp_path / "d.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(CsvSource(CsvOptions(**options), path).rows())

    return read_rows


def texts(rows: Rows) -> list[tuple[Any, ...]]:
    assert all(isinstance(row, SourceRow) for row in rows), rows
    return [(row.prompt, *(r.text for r in row.responses)) for row in rows if isinstance(row, SourceRow)]


def votes(row: SourceRow | RejectedRow) -> list[tuple[str, Choice, AnnotatorKind, int | None]]:
    assert isinstance(row, SourceRow), row
    return [(vote.annotator, vote.choice, vote.kind, vote.strength) for _, vote in row.recorded]


# ------------------------------------------------------------------------------------------ CSV


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_dialect_gives_the_same_rows(
    read: Callable[..., Rows], separator: str, ending: str, encoding: str
) -> None:
    quoted = f'"a{separator} ""b"""'
    lines = [separator.join(cells) for cells in (("prompt", "response_a", "response_b"), ("é?", quoted, "ü"))]
    rows = read((ending.join(lines) + ending).encode(encoding))
    assert texts(rows) == [("é?", f'a{separator} "b"', "ü")]


def test_lines_are_named_as_an_editor_shows_them(read: Callable[..., Rows]) -> None:
    rows = read('sep=,\nprompt,response_a,response_b\n\np,"a\nb",c\n,x,y\nq,d,e\n')
    assert [(type(row), row.line) for row in rows] == [(SourceRow, 4), (RejectedRow, 6), (SourceRow, 7)]
    assert isinstance(rows[1], RejectedRow)
    assert rows[1].reason == "the prompt is empty"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("p,a", "wrong number of cells: 2 where the header has 3; is a quotation mark missing?"),
        ("p,a,b,c", "wrong number of cells: 4 where the header has 3; is a quotation mark missing?"),
        ("p,a,a", "fewer than two different responses: 1"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_read(read: Callable[..., Rows], line: str, reason: str) -> None:
    before, bad, after = read(f"{READY}p,a,b\n{line}\nq,c,d\n")
    assert isinstance(before, SourceRow)
    assert isinstance(after, SourceRow)
    assert isinstance(bad, RejectedRow)
    assert (bad.line, bad.reason) == (3, reason)


def test_an_open_quotation_mark_ends_the_file_where_it_stands(read: Callable[..., Rows]) -> None:
    good, bad = read(f'{READY}p,a,b\nq,"c,d\nr,e,f\n')
    assert isinstance(good, SourceRow)
    assert isinstance(bad, RejectedRow)
    assert bad.line == 3
    assert bad.reason.startswith("open quote:")


def test_a_doubtful_cell_of_a_guessed_encoding_is_refused_and_an_encoding_settles_it(read: Callable[..., Rows]) -> None:
    content = (READY + "Ж,a,b\n").encode("cp1251")  # 0xC6 is another letter in cp1252
    doubtful = (READY + "p,a\xa4,b\n").encode("latin-1")
    (bad,) = read(doubtful)
    assert isinstance(bad, RejectedRow)
    assert bad.reason.startswith("encoding:")
    assert texts(read(content, encoding="cp1251")) == [("Ж", "a", "b")]
    with pytest.raises(DataError, match="neither UTF-8 nor ascii"):
        read(content, encoding="ascii")


def test_a_file_cut_inside_a_character_loses_only_its_last_row(read: Callable[..., Rows]) -> None:
    good, bad = read((READY + "p,a,b\nq,c,é").encode()[:-1])
    assert isinstance(good, SourceRow)
    assert isinstance(bad, RejectedRow)
    assert bad.reason.startswith("cut off:")


def test_files_that_are_no_csv_are_refused(read: Callable[..., Rows]) -> None:
    for content in (b"%PDF-1.7", b"", b"\n\n", b"\x1f\x8bbroken", b"prompt,response_a,response_b,prompt\n"):
        with pytest.raises(DataError):
            read(content)
    with pytest.raises(DataError, match="max_bytes"):
        read(READY + "p,a,b\n", max_bytes=5)
    with pytest.raises(DataError, match=r"separated by ',' or ';'"):
        read("prompt,response_a;response_b,x;y\n")


def test_gzip_is_read_and_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.csv", tmp_path / "a.csv.gz"
    plain.write_text(READY + "p,a,b\n")
    packed.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    one, other = CsvSource(CsvOptions(), plain), CsvSource(CsvOptions(), packed)
    assert list(one.rows()) == list(other.rows()) == list(one.rows())
    assert one.digest() != other.digest()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.binary(max_size=60) | st.text(',;"\n\r\tab\x00[{é', max_size=60).map(str.encode))
def test_whatever_follows_the_header_gives_rows_that_can_be_stored(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "f.csv"
    path.write_bytes(b"prompt,responses,metadata\n" + content)
    source = CsvSource(CsvOptions(), path)
    try:
        rows = list(source.rows())
    except DataError:
        return
    assert rows == list(source.rows())
    for row in rows:
        assert row.line > 1
        if isinstance(row, SourceRow):
            canonical_json(row.metadata).encode()
        else:
            canonical_json([row.reason, row.excerpt]).encode()


def test_every_byte_cut_of_a_file_keeps_the_rows_before_the_cut(read: Callable[..., Rows]) -> None:
    content = (READY + 'p,"a\nx",b\nq,é,d\n').encode()
    whole = read(content)
    for end in range(len(READY), len(content)):
        for row in read(content[:end])[:-1]:
            assert row in whole


# ------------------------------------------------------------------------------------------ columns


def test_other_names_are_a_guess_that_must_be_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("Question;Answer 1;Answer 2;Winner\np;a;b;model_b\n")
    with pytest.raises(DataError, match=r'a guess is \{prompt = "Question"') as refused:
        list(CsvSource(CsvOptions(), path).rows())
    assert "[data.options]" in (refused.value.hint or "")
    suggested = CsvSource(CsvOptions(), path).suggested_options()
    assert suggested == {
        "columns": {
            "prompt": "Question",
            "response_a": "Answer 1",
            "response_b": "Answer 2",
            "preference": "Winner",
        }
    }
    (row,) = CsvSource(CsvOptions(**suggested), path).rows()
    assert texts([row]) == [("p", "a", "b")]
    assert votes(row) == [("dataset", Choice.RIGHT, AnnotatorKind.HUMAN, None)]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("question,instruction,response_a,response_b", "could each be the prompt"),
        ("prompt,response_a,response_b,chosen,rejected", "and as well"),
        ("prompt,text", "no responses among the columns"),
    ],
)
def test_what_is_ambiguous_is_not_guessed(read: Callable[..., Rows], header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(header + "\n")


def test_a_column_that_is_not_there_is_an_error(read: Callable[..., Rows]) -> None:
    with pytest.raises(DataError, match='no column "answer"'):
        read(READY, columns={"prompt": "prompt", "response_a": "answer", "response_b": "response_b"})


def test_wrong_options_are_refused() -> None:
    for options in ({"columns": {"answer": "x"}}, {"dataset": "nope"}, {"values": {"1": "left"}}):
        with pytest.raises(ValidationError):
            CsvOptions.model_validate(options)
    with pytest.raises(ValidationError):
        CsvOptions(columns={"prompt": ("a", "b")})


def test_numbered_responses_and_a_list_in_a_cell(read: Callable[..., Rows]) -> None:
    columns = {"prompt": "prompt", "responses": ("response_1", "response_2", "response_3")}
    rows = read("prompt,response_1,response_2,response_3\np,a,b,\nq,c,d,e\n", columns=columns)
    assert texts(rows) == [("p", "a", "b"), ("q", "c", "d", "e")]
    assert texts(read('prompt,responses\np,"[""a"", ""b""]"\n')) == [("p", "a", "b")]


def test_numbers_as_preferences_need_their_meaning(read: Callable[..., Rows]) -> None:
    content = "prompt,response_a,response_b,preference,annotator,strength,reason\np,a,b,2,eva,80,why\nq,c,d,,,,\n"
    (first, second) = read(content)
    assert isinstance(first, RejectedRow)
    assert "data.options.values" in first.reason
    assert votes(second) == []
    (first, _) = read(content, values={"1": "a", "2": "b"})
    assert votes(first) == [("eva", Choice.RIGHT, AnnotatorKind.HUMAN, 80)]


def test_chosen_is_a_vote_of_the_named_annotator(read: Callable[..., Rows]) -> None:
    content = "prompt,chosen,rejected\np,a,b\n"
    (row,) = read(content, chosen_annotator="gpt", chosen_kind="model")
    assert votes(row) == [("gpt", Choice.LEFT, AnnotatorKind.MODEL, None)]
    assert votes(read(content, chosen_votes=False)[0]) == []


def test_the_shared_turns_of_a_conversation_are_the_prompt(read: Callable[..., Rows]) -> None:
    shared = [{"role": "user", "content": "hi"}]
    cells = [json.dumps([*shared, {"role": "assistant", "content": text}]).replace('"', '""') for text in ("x", "y")]
    (row,) = read(f'chosen,rejected\n"{cells[0]}","{cells[1]}"\n')
    assert texts([row]) == [((Message("user", "hi"),), "x", "y")]


def test_other_keys_of_json_lines_are_suggested_and_read_once_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('nope\n{"question": "p", "answers": ["a", "b"]}\n{"question": "q"}\n')
    suggested = JsonlSource(JsonlOptions(), path).suggested_options()
    assert suggested == {"columns": {"prompt": "question", "responses": "answers"}}
    assert not any(isinstance(row, SourceRow) for row in JsonlSource(JsonlOptions(), path).rows())
    _, row, bad = JsonlSource(JsonlOptions(**suggested), path).rows()
    assert texts([row]) == [("p", "a", "b")]
    assert isinstance(bad, RejectedRow)
    assert (bad.line, bad.reason) == (3, 'missing keys: "answers"')
    path.write_text('{"prompt": "p", "responses": ["a", "b"], "topic": "t"}\n')
    assert JsonlSource(JsonlOptions(keep=("topic",)), path).suggested_options() == {"keep": ["topic"]}


# ------------------------------------------------------------------------------------------ known sets

_TALK = [{"role": "user", "content": "hi"}]
_CHATS = [[*_TALK, {"role": "assistant", "content": text}] for text in ("x", "y")]
_ARENA = {"conversation_a": _CHATS[0], "conversation_b": _CHATS[1], "model_a": "m", "model_b": "n", "judge": "j1"}
_PUBLISHED: dict[str, tuple[dict[str, Any], tuple[str, Choice, AnnotatorKind, int | None]]] = {
    "hh-rlhf": (
        {"chosen": "\n\nHuman: hi\n\nAssistant: x", "rejected": "\n\nHuman: hi\n\nAssistant: y"},
        ("dataset", Choice.LEFT, AnnotatorKind.HUMAN, None),
    ),
    "ultrafeedback-binarized": (
        {"prompt": "hi", "chosen": _CHATS[0], "rejected": _CHATS[1], "score_chosen": 8.0},
        ("dataset", Choice.LEFT, AnnotatorKind.MODEL, None),
    ),
    "skywork-reward": (
        {"chosen": _CHATS[0], "rejected": _CHATS[1], "source": "s"},
        ("dataset", Choice.LEFT, AnnotatorKind.HUMAN, None),
    ),
    "orca-dpo-pairs": (
        {"system": "be kind", "question": "hi", "chosen": "x", "rejected": "y"},
        ("dataset", Choice.LEFT, AnnotatorKind.MODEL, None),
    ),
    "helpsteer2-preference": (
        {
            "prompt": "hi",
            "response_1": "x",
            "response_2": "y",
            "preference_strength": -2,
            "preference_elaboration": "since",
        },
        ("dataset", Choice.LEFT, AnnotatorKind.HUMAN, 67),
    ),
    "helpsteer3-preference": (
        {"context": _TALK, "response1": "x", "response2": "y", "overall_preference": 3, "domain": "code"},
        ("dataset", Choice.RIGHT, AnnotatorKind.HUMAN, 100),
    ),
    "chatbot-arena": ({**_ARENA, "winner": "tie (bothbad)"}, ("j1", Choice.BOTH_BAD, AnnotatorKind.HUMAN, None)),
    "mt-bench-human": (
        {
            **_ARENA,
            "winner": "model_b",
            "turn": 1,
            "question_id": 81,
            "conversation_a": [*_CHATS[0], *_CHATS[0]],
            "conversation_b": [*_CHATS[1], *_CHATS[1]],
        },
        ("j1", Choice.RIGHT, AnnotatorKind.HUMAN, None),
    ),
    "shp": (
        {"history": "hi", "human_ref_A": "x", "human_ref_B": "y", "labels": 0, "post_id": "z"},
        ("dataset", Choice.RIGHT, AnnotatorKind.HUMAN, None),
    ),
    "pku-safe-rlhf": (
        {"prompt": "hi", "response_0": "x", "response_1": "y", "better_response_id": 1},
        ("dataset", Choice.RIGHT, AnnotatorKind.HUMAN, None),
    ),
    "summarize-from-feedback": (
        {
            "info": {"post": "hi", "title": None},
            "summaries": [{"text": "x", "note": None}, {"text": "y", "note": None}],
            "choice": 0,
            "worker": "w",
        },
        ("w", Choice.LEFT, AnnotatorKind.HUMAN, None),
    ),
}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_row_of_every_known_set_is_read(tmp_path: Path, name: str) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from pairloop_plugins.tabular.parquet_source import ParquetSource

    published, vote = _PUBLISHED[name]
    path = tmp_path / "d.parquet"
    parquet.write_table(arrow.Table.from_pylist([published]), path)
    (row,) = ParquetSource(ParquetOptions(dataset=name), path).rows()
    assert votes(row) == [vote]
    assert isinstance(row, SourceRow)
    assert [response.text for response in row.responses] == ["x", "y"]
    prompt = row.prompt if isinstance(row.prompt, str) else row.prompt[-1].content
    assert prompt == "hi"
    if "model_a" in published:
        assert [response.provenance.model for response in row.responses] == ["m", "n"]
    parquet.write_table(arrow.table({"x": ["y"]}), path)
    lines = tmp_path / "d.jsonl"
    lines.write_text(json.dumps(published) + "\n{}\n")
    same, bad = JsonlSource(JsonlOptions(dataset=name), lines).rows()
    assert same == row
    assert isinstance(bad, RejectedRow)
    assert bad.reason.startswith("missing keys:")
    with pytest.raises(DataError, match="this is not"):
        list(ParquetSource(ParquetOptions(dataset=name), path).rows())


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["", "a", "[{", "model_a", "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "text", "post"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(sorted(PRESETS)), data=st.data())
def test_whatever_the_values_are_a_row_is_read_or_rejected(name: str, data: st.DataObject) -> None:
    published, _ = _PUBLISHED[name]
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(published)), _VALUE, min_size=1, max_size=3))
    options = ParquetOptions(dataset=name, columns={"metadata": "extra"})
    records = [Record(1, {**published, **changed, "extra": data.draw(_VALUE)})]
    (row,) = read_table(Table([*published, "extra"], records, "here"), options)
    if isinstance(row, SourceRow):
        canonical_json(row.metadata).encode()
    else:
        assert row.line == 1
        assert row.reason


def test_metadata_of_a_set_and_a_column_are_kept_together() -> None:
    published, _ = _PUBLISHED["skywork-reward"]
    options = ParquetOptions(dataset="skywork-reward", columns={"metadata": "extra"})
    table = Table([*published, "extra"], [Record(1, {**published, "extra": '{"x": 1}'})], "here")
    (row,) = read_table(table, options)
    assert isinstance(row, SourceRow)
    assert row.metadata == {"source": "s", "x": 1}


def test_a_value_that_pandas_writes_for_missing_is_missing() -> None:
    table = Table(
        ["prompt", "chosen", "rejected", "seconds"],
        [Record(1, {"prompt": "p", "chosen": "a", "rejected": "b", "seconds": float("nan"), "kept": float("nan")})],
        "here",
    )
    (row,) = read_table(table, ParquetOptions(keep=("kept",)))
    assert isinstance(row, SourceRow), row
    assert row.metadata == {"kept": None}
    assert row.recorded[0][1].seconds is None


# ------------------------------------------------------------------------------------------ Parquet and data sets

_TABLE = {"prompt": ["p", "q", None], "response_a": ["a", "c", "e"], "response_b": ["b", "d", "f"]}


def _write_parquet(path: Path, columns: dict[str, list[Any]]) -> Path:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.table(columns), path)
    return path


def test_parquet_rows_are_numbered_through_and_named_by_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pairloop_plugins.tabular.parquet_source import ParquetSource

    for name in ("b.parquet", "a.parquet"):
        _write_parquet(tmp_path / "d" / name, _TABLE)
    source = ParquetSource(ParquetOptions(), tmp_path / "d")
    rows = list(source.rows())
    assert [row.line for row in rows] == [1, 2, 3, 4, 5, 6]
    assert isinstance(rows[5], RejectedRow)
    assert rows[5].reason == 'missing keys: "prompt" is empty (b.parquet, row 3)'
    before = source.digest()
    (tmp_path / "d" / "b.parquet").rename(tmp_path / "d" / "c.parquet")
    assert source.digest() != before


def test_broken_parquet_is_an_error_or_ends_with_a_rejection(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pairloop_plugins.tabular.parquet_source import ParquetSource

    path = _write_parquet(tmp_path / "d.parquet", {key: value * 400 for key, value in _TABLE.items()})
    whole = path.read_bytes()
    good = list(ParquetSource(ParquetOptions(), path).rows())
    for end in (0, 4, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError):
            list(ParquetSource(ParquetOptions(), path).rows())
    path.write_bytes(whole[:4] + b"\xff" * 60 + whole[64:])
    rows = list(ParquetSource(ParquetOptions(), path).rows())
    assert rows != good
    assert isinstance(rows[-1], RejectedRow)
    assert "nothing behind this row" in rows[-1].reason


def test_folders_of_datasets_give_what_parquet_gives(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    from pairloop_plugins.tabular.hub_source import HubSource
    from pairloop_plugins.tabular.parquet_source import ParquetSource

    path = _write_parquet(tmp_path / "files" / "train.parquet", _TABLE)
    wanted = list(ParquetSource(ParquetOptions(), path).rows())
    saved = datasets.Dataset.from_dict(_TABLE)
    saved.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": saved, "test": saved.select([0])}).save_to_disk(str(tmp_path / "two"))
    for folder, options in (("one", {}), ("two", {"split": "train"}), ("files", {})):
        source = HubSource(HubOptions(**options), tmp_path / folder)
        assert list(source.rows()) == wanted == list(source.rows())
        assert source.digest() == HubSource(HubOptions(**options), tmp_path / folder).digest()
    assert len(list(HubSource(HubOptions(split="test"), tmp_path / "two").rows())) == 1
    with pytest.raises(DataError, match="several splits; found train, test"):
        list(HubSource(HubOptions(), tmp_path / "two").rows())
    with pytest.raises(DataError, match="no split 'dev'"):
        list(HubSource(HubOptions(split="dev"), tmp_path / "two").rows())


def test_folders_that_hold_no_data_set_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    from pairloop_plugins.tabular.hub_source import HubSource

    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        with pytest.raises(DataError):
            list(HubSource(HubOptions(), tmp_path / folder).rows())


def test_a_set_on_the_hub_is_read_at_the_commit_that_its_digest_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets, hub = pytest.importorskip("datasets"), pytest.importorskip("huggingface_hub")
    from pairloop_plugins.tabular.hub_source import HubSource

    asked: list[Any] = []

    class Api:
        def dataset_info(self, name: str, revision: str | None) -> Any:
            asked.append((name, revision))
            return type("Info", (), {"sha": "c" * 40})

    def load(*names: Any, **options: Any) -> Any:
        asked.append((names, options["revision"], options["streaming"]))
        return datasets.DatasetDict({"train": datasets.Dataset.from_dict(_TABLE)})

    monkeypatch.setattr(hub, "HfApi", Api)
    monkeypatch.setattr(datasets, "load_dataset", load)
    source = HubSource(HubOptions(name="who/what", revision="main"), None)
    assert len(list(source.rows())) == 3
    pinned = HubSource(HubOptions(name="who/what", revision="c" * 40), None)
    assert source.digest() == pinned.digest()
    assert source.digest() != HubSource(HubOptions(name="who/what", revision="d" * 40), None).digest()
    assert asked == [("who/what", "main"), (("who/what", None), "c" * 40, True)]


def test_parts_need_what_they_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    specs = {spec.name: spec for spec in pairloop_sources()}
    for name in ("csv", "parquet"):
        with pytest.raises(ConfigError, match=r"data\.path"):
            specs[name].factory(None, None)
    with pytest.raises(ConfigError, match="either a data set on the hub or a local folder"):
        specs["huggingface"].factory(None, None)

    def missing(module: str) -> Any:
        raise ModuleNotFoundError(name=module.partition(".")[0])

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"pyarrow"):
        specs["parquet"].factory(None, tmp_path)
    with pytest.raises(MissingExtra, match="datasets"):
        specs["huggingface"].factory(None, tmp_path)


@pytest.mark.shared
def test_real_votes_are_the_same_rows_from_every_file(shared_data: Path, tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("datasets")
    from pairloop_plugins.tabular.hub_source import HubSource
    from pairloop_plugins.tabular.parquet_source import ParquetSource

    original = shared_data / "pandalm_human_test.jsonl.gz"
    wanted = [replace(row, line=0) for row in JsonlSource(JsonlOptions(), original).rows()]
    assert sum(isinstance(row, SourceRow) for row in wanted) > 900
    items = [json.loads(line) for line in gzip.decompress(original.read_bytes()).splitlines()]
    parquet.write_table(arrow.Table.from_pylist(items), tmp_path / "d.parquet")
    with (tmp_path / "d.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(items[0])
        writer.writerows(
            [json.dumps(cell) if isinstance(cell, list) else cell for cell in item.values()] for item in items
        )
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_bytes(gzip.decompress(original.read_bytes()))
    sources: list[PairSource] = [
        CsvSource(CsvOptions(), tmp_path / "d.csv"),
        ParquetSource(ParquetOptions(), tmp_path / "d.parquet"),
        HubSource(HubOptions(), tmp_path / "set"),
    ]
    for source in sources:
        for row, other in zip(source.rows(), wanted, strict=True):
            if isinstance(other, SourceRow):
                assert replace(row, line=0) == other
            else:
                assert isinstance(row, RejectedRow)
                assert row.reason == other.reason
