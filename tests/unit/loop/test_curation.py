"""The checks of curation: what they find, what they let be, and what becomes of what is removed."""

import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairloop.config.models import CurationConfig
from pairloop.curation import EvaluationTexts, checks, curate, languages
from pairloop.curation.clusters import overview
from pairloop.curation.overlap import texts_of
from pairloop.errors import DataError, MissingExtra
from pairloop.records import Choice, RecordedVote, SourceResponse, SourceRow

LONG = "This answer has quite a number of words and it says all that it wants to say."
CHECKS = (
    "empty",
    "too_short",
    "repeated",
    "cut_off",
    "other_language",
    "wrong_encoding",
    "near_duplicate",
    "outlier",
    "evaluation",
)


def row(*texts: str, prompt: str = "Why is the sky blue at noon?", **fields: Any) -> SourceRow:
    return SourceRow(prompt, tuple(SourceResponse(text) for text in texts), **fields)


def settings(action: str = "off", **changes: Any) -> CurationConfig:
    return CurationConfig.model_validate({**dict.fromkeys(CHECKS, action), **changes})


# ------------------------------------------------------------------------------------------ single checks


@pytest.mark.parametrize("text", ["I am sorry. " * 20, "哈哈哈哈哈哈哈哈" * 10, "a" * 400])
def test_loops_are_found(text: str) -> None:
    assert checks.repeated(text, 0.5) is not None


@pytest.mark.parametrize(
    "text", ["", "yes yes yes", LONG, " ".join(map(str, range(500))), "天地玄黄宇宙洪荒日月盈昃辰宿列张" * 1]
)
def test_what_does_not_loop_is_let_be(text: str) -> None:
    assert checks.repeated(text, 0.5) is None


@given(st.lists(st.sampled_from(["ab", "c", "d", "e"]), max_size=60), st.sampled_from([0.2, 0.5, 0.8]))
def test_the_short_cut_never_changes_what_is_a_loop(words: list[str], most: float) -> None:
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    looped = len(grams) >= 20 and 1.0 - len(set(grams)) / len(grams) > most
    assert (checks.repeated(" ".join(words), most) is not None) == looped


@pytest.mark.parametrize("end", [" and then the", " for example,", " (", "\n```python\nx = 1"])
def test_a_response_that_stops_where_others_end_is_cut_off(end: str) -> None:
    assert checks.cut_off(LONG + end, [LONG]) is not None
    assert checks.cut_off(LONG + end, [LONG, LONG + " and the"]) is None, "where siblings do it too, it is the style"
    assert checks.cut_off("and the", [LONG]) is None, "short answers need no full stop"


@pytest.mark.parametrize("end", [".", "!", "?", '."', ".)", "…", "。", "```", "\n- 3) 🙂", ".**"])
def test_a_proper_end_is_not_cut_off(end: str) -> None:
    text = LONG[:-1] + (f"\n```\nx\n{end}" if end == "```" else end)
    assert checks.cut_off(text, [LONG]) is None


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Das ist ein Satz, der lang genug dafür ist.", "Latin"),
        ("Это предложение достаточно длинное для проверки.", "Cyrillic"),
        ("これは十分に長い文章ですので、確認できます。漢字もあります。", "Japanese"),
        ("日本語文章確認必要漢字使用場合多数存在これはです", "Japanese"),
        ("这个句子已经足够长可以用来进行检查了对不对你觉得怎么样呢", "Chinese"),
        ("short", None),
        ("1234567890 " * 10, None),
        ("abcdefghijkl" + "абвгдежзийкл", None),
    ],
)
def test_scripts(text: str, script: str | None) -> None:
    assert checks.script(text) == script


def test_another_script_than_that_of_the_prompt_is_found() -> None:
    russian = "Это предложение достаточно длинное для проверки."
    assert checks.other_language(russian, LONG) == "written in Cyrillic, the prompt in Latin"
    assert checks.other_language(LONG, LONG) is None
    assert checks.other_language("да", LONG) is None


@pytest.mark.parametrize("text", ["schÃ¶n", "itâ€™s", "Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "a\ufffdb"])
def test_damaged_letters_are_found(text: str) -> None:
    assert checks.wrong_encoding(text) is not None


@pytest.mark.parametrize("text", ["schön", "it’s", "привет", "«LIBERTÉ»", "CAFÉ—", "naïve “x”", "Ã", "你好", "café…"])
def test_sound_letters_are_let_be(text: str) -> None:
    assert checks.wrong_encoding(text) is None


@given(st.text(alphabet="äöüßéèçñ’“”–…", min_size=1, max_size=5))
def test_every_text_that_was_read_as_cp1252_is_found(text: str) -> None:
    data = f"a {text} b".encode()
    misread = "".join(bytes([byte]).decode("latin-1" if byte in b"\x81\x8d\x8f\x90\x9d" else "cp1252") for byte in data)
    assert checks.wrong_encoding(misread) is not None


# ------------------------------------------------------------------------------------------ evaluation files


def test_thirteen_words_in_sequence_are_an_overlap(tmp_path: Path) -> None:
    kept = " ".join(f"w{i}" for i in range(20))
    path = tmp_path / "eval.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps({"id": 1, "turns": [{"content": kept}]}).encode()))
    texts = EvaluationTexts(texts_of(path), 13)
    assert texts.overlap("so " + " ".join(f"W{i}," for i in range(5, 18)) + " yes") is not None
    assert texts.overlap(" ".join(f"w{i}" for i in range(5, 17))) is None
    assert texts.overlap("so " + " ".join(f"w{i}" for i in range(7, 20))) is not None, "the last words count"
    short = EvaluationTexts(["Who are you?"], 13)
    assert short.overlap("who ARE you") is not None
    assert short.overlap("tell me who are you now") is None


def test_an_evaluation_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="evaluation file"):
        list(texts_of(tmp_path / "nowhere.txt"))
    path = tmp_path / "bad.jsonl"
    path.write_text('{"a": "b"}\nnope\n')
    with pytest.raises(DataError, match="line 2"):
        list(texts_of(path))


# ------------------------------------------------------------------------------------------ over all rows


def test_reporting_removes_nothing() -> None:
    rows = [row("", LONG, "no", line=3), row(LONG, LONG + " Yes.", "x" * 500, line=4)]
    result = curate(rows, settings("report"), EvaluationTexts(["Why is the sky blue at noon?"], 13))
    assert result.rows == rows
    assert not result.rejected
    assert {(f.check, f.line, f.response) for f in result.findings} >= {
        ("empty", 3, 1), ("too_short", 3, 3), ("repeated", 4, 3), ("evaluation", 3, 0), ("evaluation", 4, 0)
    }  # fmt: skip
    assert not any(f.removed for f in result.findings)
    assert curate(rows, settings("off"), None).findings == []


def test_a_removed_response_takes_its_pairs_and_votes_with_it() -> None:
    votes = (((0, 1), RecordedVote("eva", Choice.LEFT)), ((1, 2), RecordedVote("eva", Choice.RIGHT)))
    full = row("", "first answer", "second answer", pairs=((0, 1), (1, 2)), recorded=votes, line=7)
    result = curate([full], settings(empty="remove"), None)
    (left,) = result.rows
    assert [response.text for response in left.responses] == ["first answer", "second answer"]
    assert left.pairs == ((0, 1),)
    assert left.recorded == (((0, 1), votes[1][1]),)
    assert result.votes_removed == 1
    summary = result.summary(settings(empty="remove"))
    assert summary["checks"].keys() == {"empty"}
    assert (summary["checks"]["empty"]["found"], summary["checks"]["empty"]["removed"]) == (1, 1)


def test_a_row_that_is_left_with_one_response_is_rejected_with_the_reason() -> None:
    result = curate([row("", "an answer", line=7)], settings(empty="remove"), None)
    assert not result.rows
    (rejected,) = result.rejected
    assert (rejected.line, rejected.reason) == (7, "removed by curation: empty")


def test_an_overlapping_prompt_takes_its_row_with_it() -> None:
    kept = EvaluationTexts(["Why is the sky blue at noon?"], 13)
    result = curate([row("a", "b"), row("a", "b", prompt="Another?")], settings(evaluation="remove"), kept)
    assert [left.prompt for left in result.rows] == ["Another?"]
    assert [rejected.reason for rejected in result.rejected] == ["removed by curation: evaluation"]


def test_later_near_duplicates_are_found_and_exact_ones_are_left_to_the_import() -> None:
    text = " ".join(f"word{i}" for i in range(80))
    result = curate([row(text, text, "other", text + " more")], settings(near_duplicate="remove"), None)
    assert [(f.response, f.why) for f in result.findings] == [(4, "nearly the same as response 1")]
    assert [len(left.responses) for left in result.rows] == [3]


def test_a_response_that_stands_in_several_rows_counts_once_and_is_removed_from_all() -> None:
    rows = [row("\u200b", "first answer", "second answer", line=line) for line in (1, 2)]
    config = settings(empty="remove")
    result = curate(rows, config, None)
    assert [len(left.responses) for left in result.rows] == [2, 2]
    assert [(finding.line, finding.again) for finding in result.findings] == [(1, False), (2, True)]
    assert result.summary(config)["checks"]["empty"]["found"] == 1
    assert curate([rows[0], replace(rows[1], prompt="Another?")], config, None).summary(config)["checks"]["empty"] == {
        "action": "remove",
        "found": 2,
        "removed": 2,
        "examples": [finding.as_json() for finding in result.findings],
    }


# --------------------------------------------------------------------------------------- clusters, outliers


def topics(n: int = 20) -> list[str]:
    """Prompts about three things, and two that are like nothing else."""
    rng = np.random.default_rng(0)
    subjects = (
        "renew library card desk fee member", "print paper toner jam tray printer", "room booking hour seat floor key"
    )  # fmt: skip
    usual = [" ".join(rng.permutation(words.split())[:5]) + " please" for words in subjects for _ in range(n)]
    return [*usual, "quantum chromodynamics lattice gauge", "Wie heißt der Bürgermeister"]


def test_clusters_are_the_topics_and_strangers_are_named():
    prompts = topics()
    found = overview(prompts)
    assert found is not None
    assert sum(cluster.size for cluster in found.clusters) == len(prompts) - len(found.outliers)
    named = [set(cluster.words) for cluster in found.clusters[:3]]
    for word in ("library", "printer", "booking"):
        assert any(word in " ".join(prompts[i] for i in cluster.typical) for cluster in found.clusters), named
    assert {prompts[i] for i in found.outliers} == set(prompts[-2:])
    assert found == overview(prompts)


def test_a_stranger_that_shares_a_word_is_found_by_its_distance():
    prompts = [*topics(40)[:-2], *["the one and only please mayor mayor"] * 1, "mayor the and one of nothing"]
    found = overview(prompts)
    assert found is not None
    assert len(prompts) - 1 in found.outliers


@pytest.mark.parametrize("prompts", [[], ["one"], ["same words here"] * 50, ["?" * n for n in range(1, 60)]])
def test_nothing_to_cluster_is_no_error(prompts):
    found = overview(prompts)
    assert found is None or not found.outliers


def test_outliers_are_reported_or_leave_with_their_row():
    rows = [row(LONG, LONG + " More.", prompt=prompt) for prompt in topics()]
    told = curate(rows, settings(outlier="report"), None)
    assert len(told.rows) == len(rows)
    assert [finding.check for finding in told.findings] == ["outlier", "outlier"]
    assert sum(cluster["size"] for cluster in told.clusters) == len(set(topics())) - 2
    gone = curate(rows, settings(outlier="remove"), None)
    assert [r.prompt for r in gone.rows] == topics()[:-2]
    assert all("outlier" in rejected.reason for rejected in gone.rejected)
    assert curate(rows, settings(outlier="off"), None).clusters == []


GERMAN = "Gehen Sie bitte zum Schalter und zeigen Sie dort Ihre Karte vor, dann wird sie verlängert."
ENGLISH = "Please go to the desk and show your card there, and then it will be renewed for another year."


def test_languages_of_one_script_are_told_apart_when_wanted():
    pytest.importorskip("lingua", reason="needs lingua-language-detector")
    rows = [row(GERMAN, ENGLISH, "Ja.", prompt="How do I renew my library card before it runs out next month?")]
    assert curate(rows, settings(other_language="report"), None).findings == []
    (found,) = curate(rows, settings(other_language="report", languages=True), None).findings
    assert (found.response, found.why) == (1, "written in German, the prompt in English")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lingua", None)
    languages._detector.cache_clear()
    languages.language.cache_clear()
    with pytest.raises(MissingExtra, match=r"curation\.languages needs the package 'lingua'"):
        curate([row(GERMAN, ENGLISH)], settings(other_language="report", languages=True), None)
