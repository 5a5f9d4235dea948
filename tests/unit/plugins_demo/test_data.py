"""The shipped data: as many rows as the docs say, all different, made from the sentences and nothing else."""

import hashlib
import re
import statistics
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from pairloop.kit.near_duplicates import near_duplicate_links
from pairloop.kit.text import normalised
from pairloop.records import SourceRow
from pairloop_plugins.demo import make_data
from pairloop_plugins.demo.plugin import pairloop_sources
from pairloop_plugins.demo.source import DemoOptions, DemoSource
from pairloop_plugins.demo.writers import WRITERS
from pairloop_plugins.demo.written import phrases, topics


@pytest.fixture(scope="module")
def rows() -> list[SourceRow]:
    return [row for row in DemoSource(DemoOptions()).rows() if isinstance(row, SourceRow)]


def words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def test_the_data_ships_inside_the_package() -> None:
    folder = files("pairloop_plugins.demo")
    assert folder.joinpath("data", "demo.jsonl").is_file()
    assert folder.joinpath("sentences", "phrases.txt").is_file()


def test_the_shipped_file_is_what_the_generator_writes() -> None:
    shipped = files("pairloop_plugins.demo").joinpath("data", "demo.jsonl").read_bytes()
    assert make_data.text().encode() == shipped


def test_the_sentences_are_complete() -> None:
    assert len(topics()) == 62
    for topic in topics():
        assert len(topic.questions) >= 4, topic.name
        assert min(len(topic.facts), len(topic.steps), len(topic.curt), len(topic.vague), len(topic.rude)) >= 1
    assert all("{" not in line.format(thing="x") for lines in phrases().values() for line in lines)


def test_there_are_some_three_hundred_prompts_on_many_topics(rows: list[SourceRow]) -> None:
    assert len(rows) == 301
    assert len({row.group for row in rows if row.group}) == 62
    assert all(4 <= len(row.responses) <= 6 for row in rows if row.metadata.get("repeats") != "exactly")


def test_every_response_is_new_and_names_its_writer(rows: list[SourceRow]) -> None:
    fresh = [row for row in rows if row.metadata.get("repeats") != "exactly"]
    texts = Counter(response.text for row in fresh for response in row.responses)
    assert set(texts.values()) == {1}
    assert len({normalised(text) for text in texts}) == len(texts)
    assert {response.provenance.model for row in rows for response in row.responses} == set(WRITERS)


def test_a_few_prompts_are_bad_or_repeated_on_purpose(rows: list[SourceRow]) -> None:
    assert sum(row.metadata.get("bad_prompt") is True for row in rows) == 8
    repeated = [count for count in Counter(row.prompt for row in rows).values() if count > 1]
    assert repeated == [2] * 5
    exact = [row for row in rows if row.metadata.get("repeats") == "exactly"]
    for row in exact:
        first = next(other for other in rows if other.prompt == row.prompt)
        shared = {r.text for r in row.responses} & {r.text for r in first.responses}
        assert (first.line < row.line, len(shared), len(row.responses)) == (True, 2, 3)


def test_near_duplicates_are_found_and_only_those(rows: list[SourceRow]) -> None:
    distinct = list({row.prompt: row for row in rows}.values())
    links = near_duplicate_links([str(row.prompt) for row in distinct], 0.9)
    later = {distinct[j].prompt for _, j in links}
    assert later == {row.prompt for row in rows if row.metadata.get("repeats") == "nearly"}
    assert len(later) == 8


def test_the_vocabulary_is_small_enough_for_a_tiny_model(rows: list[SourceRow]) -> None:
    texts = [str(row.prompt) for row in rows] + [r.text for row in rows for r in row.responses]
    assert 900 <= len({word for text in texts for word in words(text)}) <= 1500


def test_replies_have_plausible_lengths(rows: list[SourceRow]) -> None:
    lengths: dict[str, list[int]] = {name: [] for name in WRITERS}
    for row in rows:
        for response in row.responses:
            lengths[str(response.provenance.model)].append(len(words(response.text)))
    mean = {name: statistics.mean(values) for name, values in lengths.items()}
    assert 25 <= mean["writer-careful"] <= 42
    assert mean["writer-hasty"] < mean["writer-grumpy"] < mean["writer-careful"] < mean["writer-rambling"]
    assert max(length for values in lengths.values() for length in values) <= 120


def test_the_first_prompts_go_through_all_topics(rows: list[SourceRow]) -> None:
    assert len({row.group for row in rows[:62]}) == 62
    assert len({row.group for row in rows[:40]}) == 40


def test_a_smaller_demo_is_the_beginning_of_the_whole(rows: list[SourceRow]) -> None:
    [spec] = pairloop_sources()
    assert spec.options is DemoOptions
    small = spec.factory(DemoOptions(prompts=100), None)
    assert list(small.rows()) == rows[:100]
    assert small.digest() != spec.factory(None, None).digest()


def test_the_digest_is_that_of_the_file() -> None:
    shipped = files("pairloop_plugins.demo").joinpath("data", "demo.jsonl").read_bytes()
    assert DemoSource(DemoOptions()).digest() == hashlib.sha256(shipped).hexdigest()


def test_running_out_of_sentences_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WRITERS, "writer-hasty", lambda topic, dice: "Always the same.")
    desk = make_data.Desk()
    desk.answer("lift", "writer-hasty", "a")
    with pytest.raises(RuntimeError, match="write more sentences"):
        desk.answer("lift", "writer-hasty", "b")


def test_the_generator_writes_where_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "again.jsonl"
    monkeypatch.setattr("sys.argv", ["make_data", str(target)])
    make_data.main()
    assert target.read_bytes() == make_data.DATA.read_bytes()
