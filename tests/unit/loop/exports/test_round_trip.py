"""What was exported comes back through the source ``jsonl`` with every vote."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pairloop import Choice
from pairloop.kit.ids import content_json, make_pair, prompt_id, response_id
from pairloop.records import SourceRow
from pairloop.store import Store
from pairloop_plugins.jsonl import JsonlOptions
from pairloop_plugins.jsonl.source import JsonlSource

Said = tuple[str, str, str, str, int | None, str | None, float | None]


def in_store(folder: Path) -> set[Said]:
    """(pair, annotator, kind, what was preferred, strength, reason, seconds) of every vote."""
    with Store.open_readonly(folder) as store:
        return {
            (
                vote.pair_id, vote.annotator, vote.kind.value,
                {Choice.LEFT: vote.left, Choice.RIGHT: vote.right}.get(vote.choice, vote.choice.value),
                vote.strength, vote.reason, vote.seconds,
            )
            for vote in store.annotations.votes()
        }  # fmt: skip


def read_again(path: Path) -> set[Said]:
    """The same of a file, as the source reads it: the ids follow from the texts."""
    found = set()
    for row in JsonlSource(JsonlOptions(), path).rows():
        assert isinstance(row, SourceRow), row
        prompt = prompt_id(row.prompt)
        ids = [response_id(prompt, response.text) for response in row.responses]
        for (one, other), vote in row.recorded:
            chosen = {Choice.LEFT: ids[one], Choice.RIGHT: ids[other]}.get(vote.choice, vote.choice.value)
            pair = make_pair(prompt, ids[one], ids[other]).id
            found.add((pair, vote.annotator, vote.kind.value, chosen, vote.strength, vote.reason, vote.seconds))
    return found


@pytest.mark.parametrize("talk", [False, True])
def test_pairs_lose_no_vote(
    told: Callable[..., Path], invoke: Callable[..., Result], tmp_path: Path, talk: bool
) -> None:
    choices = list(Choice)
    folder = told(lambda n, task: [("Ann É", choices[n % 5]), ("bob", choices[n % 3])][: 1 + n % 2], talk=talk)
    assert invoke("export", folder, "--pairs", "--out", tmp_path / "out.jsonl").exit_code == 0
    expected = in_store(folder)
    assert len(expected) > 12
    assert {said[3] for said in expected} >= {"tie", "both_bad", "skip"}
    assert read_again(tmp_path / "out.jsonl") == expected


def test_pairs_keep_prompts_models_and_metadata(mixed: Path, invoke: Callable[..., Result], tmp_path: Path) -> None:
    invoke("export", mixed, "--pairs", "--out", tmp_path / "out.jsonl")
    rows = list(JsonlSource(JsonlOptions(), tmp_path / "out.jsonl").rows())
    with Store.open_readonly(mixed) as store:
        prompts = {prompt.id: prompt for prompt, _, _ in store.pool.prompts()}
        known = {response.id: response for response in store.pool.responses()}
    for row in rows:
        assert isinstance(row, SourceRow)
        prompt = prompts[prompt_id(row.prompt)]
        assert (content_json(row.prompt), row.group) == (content_json(prompt.content), prompt.group)
        assert dict(row.metadata) == dict(prompt.metadata)
        for response in row.responses:
            stored = known[response_id(prompt.id, response.text)]
            assert dict(response.metadata) == dict(stored.metadata)
            assert response.provenance.model == stored.provenance[0].model


def test_preferences_come_back_as_the_votes_behind_them(
    mixed: Path, invoke: Callable[..., Result], tmp_path: Path
) -> None:
    invoke("export", mixed, "--out", tmp_path / "out.jsonl")
    expected = {said for said in in_store(mixed) if said[3] != "skip"}
    assert read_again(tmp_path / "out.jsonl") == expected, "a tie must not come back as a preference"


def test_excluded_annotators_are_marked_among_the_votes_of_a_pair(mixed: Path, invoke: Callable[..., Result]) -> None:
    result = invoke("annotators", mixed, "--exclude", "Ann É", "--reason", "test", "--yes")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in invoke("export", mixed, "--pairs").stdout.splitlines()]
    assert len(rows) == 12
    assert {vote["excluded"] for row in rows for vote in row["annotations"]} == {True}
    assert invoke("export", mixed).stdout == ""
