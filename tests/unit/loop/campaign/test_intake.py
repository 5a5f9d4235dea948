"""Reading data into the pool: merged, grouped, split, and every rejected row accounted for."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pairloop import splits
from pairloop.campaign import Campaign, Finished
from pairloop.errors import DataError, StorageFull
from pairloop.hookspecs import hookimpl
from pairloop.kit.canonical import digest
from pairloop.kit.failpoints import set_handler
from pairloop.kit.ids import prompt_id
from pairloop.protocols import SourceSpec
from pairloop.records import (
    Choice,
    Provenance,
    RecordedVote,
    RejectedRow,
    SourceResponse,
    SourceRow,
    Split,
)
from pairloop.testing.campaigns import toy_config, toy_registry
from pairloop.testing.failpoints import failing_at


class Rows:
    """A source of given rows, as a plugin."""

    def __init__(self, *rows: SourceRow | RejectedRow) -> None:
        self.given = list(rows)

    def rows(self) -> Iterator[SourceRow | RejectedRow]:
        yield from self.given

    def digest(self) -> str:
        return digest(repr(self.given))

    @hookimpl
    def pairloop_sources(self) -> Sequence[SourceSpec]:
        return [SourceSpec("rows", lambda _options, _path: self)]


def row(prompt: str, *texts: str, line: int = 1, **fields: Any) -> SourceRow:
    return SourceRow(prompt, tuple(SourceResponse(text) for text in texts or ("yes", "no")), line=line, **fields)


Open = Callable[..., Campaign]


@pytest.fixture
def source() -> Rows:
    return Rows()


@pytest.fixture
def campaign(tmp_path: Path, source: Rows) -> Iterator[Campaign]:
    text = toy_config(data={"source": "rows", "options": {}}, policy={"tuner": None}, holdout={"fraction": 0.3})
    with Campaign(tmp_path / "c", registry=toy_registry(source__rows=source), config_text=text) as campaign:
        yield campaign


def many(n: int, **fields: Any) -> list[SourceRow]:
    """Prompts that resemble each other in nothing."""
    return [row(f"{digest(i)[:30]} {digest([i])[:30]}", line=i + 1, **fields) for i in range(n)]


def sides(campaign: Campaign) -> dict[str, Split]:
    groups = campaign.store.pool.groups()
    return {prompt.id: groups[prompt.group] for prompt, _, _ in campaign.store.pool.prompts()}


# -------------------------------------------------------------------------------------------------- merging


def test_the_same_prompt_and_response_are_stored_once(campaign: Campaign, source: Rows) -> None:
    """Provenance adds up, pairs widen from listed to all, and everything merged is counted."""
    one = SourceRow("p", (SourceResponse("a", Provenance(model="x")), SourceResponse("b")), pairs=((0, 1),))
    two = SourceRow("p", (SourceResponse("a", Provenance(model="y")), SourceResponse("c")))
    source.given = [one, two, one, *many(4)]
    report = campaign.import_data()
    assert (report.rows, report.accepted, report.prompts, report.merged_prompts) == (7, 7, 5, 2)
    assert (report.responses, report.merged_responses, report.listed_pairs) == (3 + 8, 3, 1)
    pool = campaign.store.pool
    assert {(p.content, pairing) for p, pairing, _ in pool.prompts() if p.content == "p"} == {("p", "all")}
    models = {r.text: [p.model for p in r.provenance] for r in pool.responses() if r.text in "abc"}
    assert models == {"a": ["x", "y"], "b": [None], "c": [None]}


def test_reading_again_changes_nothing(campaign: Campaign, source: Rows) -> None:
    """Also recorded votes, when the file has grown in between."""
    vote = ((0, 1), RecordedVote("ann", Choice.LEFT))
    source.given = [row("p", "a", "b", recorded=(vote, vote)), *many(5)]
    assert campaign.import_data().recorded_votes == 2
    before = {name: campaign.store.dump(name) for name in ("prompts", "responses", "pairs", "groups", "recorded")}
    assert campaign.import_data().recorded_votes == 0
    assert {name: campaign.store.dump(name) for name in before} == before
    source.given = [row("p", "a", "b", recorded=(vote, vote, vote)), *many(6)]
    assert campaign.import_data().recorded_votes == 1
    assert len(campaign.store.imports()) == 2


def test_recorded_votes_are_about_the_sorted_pair(campaign: Campaign, source: Rows) -> None:
    """Whatever order the row has its responses in."""
    source.given = [
        row("p", "a", "b", recorded=(((0, 1), RecordedVote("x", Choice.LEFT)),)),
        row("p", "b", "a", recorded=(((0, 1), RecordedVote("y", Choice.RIGHT)),)),
        *many(3),
    ]
    campaign.import_data()
    [votes] = campaign.store.pool.recorded([pair.id for pair, _ in campaign.store.pool.pairs()]).values()
    assert len({vote.choice for vote in votes}) == 1


# -------------------------------------------------------------------------------------------------- rejects


def test_rejected_rows_go_to_a_file_with_line_and_reason(campaign: Campaign, source: Rows, tmp_path: Path) -> None:
    source.given = [
        RejectedRow(3, "not JSON: oops", "{x"),
        row("", line=4),
        row(" \n\t", line=5),
        row("p", "same", "same", line=6),
        row("p", "only one", line=7),
        *many(3),
    ]
    report = campaign.import_data()
    assert (report.rows, report.accepted, report.rejected) == (8, 3, 5)
    lines = [json.loads(line) for line in (tmp_path / "c" / "rejected.jsonl").read_text().splitlines()]
    assert sorted((one["line"], one["reason"]) for one in lines) == [
        (3, "not JSON: oops"),
        (4, "the prompt is empty"),
        (5, "the prompt is empty"),
        (6, "fewer than two different responses"),
        (7, "fewer than two different responses"),
    ]
    assert report.reasons == {"not JSON": 1, "the prompt is empty": 2, "fewer than two different responses": 2}
    source.given = many(3)
    campaign.import_data()
    assert (tmp_path / "c" / "rejected.jsonl").read_text() == "", "the file is about the last reading"


def test_nothing_usable_is_an_error_that_says_where_to_look(campaign: Campaign, source: Rows) -> None:
    source.given = [row("p", "one", line=9)]
    with pytest.raises(DataError, match=r"no usable row \(1 read, 1 rejected\)") as error:
        campaign.step()
    assert "rejected.jsonl" in str(error.value.hint)
    source.given = []
    with pytest.raises(DataError, match=r"no usable row \(0 read, 0 rejected\)"):
        campaign.step()


def test_an_empty_first_reading_does_not_decide_the_split(campaign: Campaign, source: Rows) -> None:
    """The threshold is set by the first data that can be split."""
    with pytest.raises(DataError):
        campaign.step()
    source.given = many(1)
    campaign.import_data()
    source.given = many(20)
    report = campaign.import_data()
    assert report.holdout_groups == 6
    assert sides(campaign)[prompt_id(many(1)[0].prompt)] is Split.TRAIN


# ------------------------------------------------------------------------------------------ groups and split


def test_near_duplicates_and_named_groups_share_a_side(campaign: Campaign, source: Rows) -> None:
    text = "Should a city of this size build a second bridge over the river before the school is repaired"
    source.given = [row(f"{text}{end}") for end in ("?", "!", " ?", "?!")]
    source.given += [
        row(many(1)[0].prompt if i == 0 else f"{digest([9, i])} {digest(i)}", group="debate") for i in range(4)
    ]
    source.given += many(12)
    report = campaign.import_data()
    groups = {prompt.content: prompt.group for prompt, _, _ in campaign.store.pool.prompts()}
    near = {group for content, group in groups.items() if str(content).startswith("Should")}
    assert len(near) == 1
    assert list(groups.values()).count("debate") == 4
    assert report.near_duplicate_prompts == 3


def test_the_split_is_by_group_and_of_the_wanted_size(campaign: Campaign, source: Rows) -> None:
    source.given = [row(f"{digest(i)} {digest([i])}", group=f"g{i % 10}") for i in range(40)]
    report = campaign.import_data()
    assert (report.groups, report.holdout_groups) == (10, 3)
    by_group: dict[str, set[Split]] = {}
    for prompt, _, _ in campaign.store.pool.prompts():
        by_group.setdefault(prompt.group, set()).add(sides(campaign)[prompt.id])
    assert all(len(found) == 1 for found in by_group.values())


def test_sides_never_change_when_data_is_added(campaign: Campaign, source: Rows) -> None:
    source.given = many(20)
    campaign.import_data()
    before = sides(campaign)
    source.given = many(200)
    campaign.import_data()
    after = sides(campaign)
    assert {prompt: after[prompt] for prompt in before} == before
    assert 20 < sum(side is Split.HOLDOUT for side in after.values()) < 110


def test_a_prompt_that_resembles_both_sides_is_rejected(campaign: Campaign, source: Rows) -> None:
    """Nothing that resembles the holdout may train."""
    source.given = many(20)
    campaign.import_data()
    held = next(p for p, _, _ in campaign.store.pool.prompts() if sides(campaign)[p.id] is Split.HOLDOUT)
    train = next(p for p, _, _ in campaign.store.pool.prompts() if sides(campaign)[p.id] is Split.TRAIN)
    source.given = [
        row(str(held.content).upper(), line=1, group=train.group),
        row(str(held.content) + " ", line=2),
    ]
    report = campaign.import_data()
    assert (report.accepted, report.rejected) == (1, 1)
    assert list(report.reasons) == ["near-duplicate of prompts on both sides of the holdout split"]
    joined = {p.group for p, _, _ in campaign.store.pool.prompts() if str(p.content).strip() == held.content}
    assert joined == {held.group}


def test_texts_on_both_sides_are_counted(campaign: Campaign, source: Rows) -> None:
    long = "this very long answer is given to every question whatever it may have been about, " * 2
    source.given = [row(f"{digest(i)} {digest([i])}", long, "no") for i in range(10)]
    assert campaign.import_data().shared_responses == 1


def test_no_holdout_text_is_ever_trained_on(tmp_path: Path) -> None:
    """Through a whole campaign: votes, features and the policy's prompts are all of the training side."""
    with Campaign(tmp_path / "c", registry=toy_registry(), config_text=toy_config()) as campaign:
        assert isinstance(campaign.run(), Finished)
        held = {prompt for prompt, side in sides(campaign).items() if side is Split.HOLDOUT}
        of = {r.id: r.prompt_id for r in campaign.store.pool.responses()}
        votes = campaign.store.annotations.votes()
        assert {vote.arm == "holdout" for vote in votes if of[vote.left] in held} == {True}
        assert not any(vote.arm == "holdout" for vote in votes if of[vote.left] not in held)
        fresh = [r for r in campaign.store.pool.responses() if r.provenance[0].source == "policy"]
        assert fresh
        assert not held & {r.prompt_id for r in fresh}
        assert campaign.store.check() == []


# ------------------------------------------------------------------------------------------ texts from hell


def test_texts_are_made_storable_and_otherwise_kept(campaign: Campaign, source: Rows) -> None:
    """NUL and lone surrogates become U+FFFD wherever they are; a megabyte, RTL and emoji stay as they are."""
    bad, big = "a\x00b\ud800c", "word " * 200_000
    odd = "שלום 👩‍👩‍👧 e\u0301\u202e"
    source.given = [
        SourceRow(
            bad, (SourceResponse(bad, Provenance(model=bad, sampling={bad: [bad]}), {"k": bad}), SourceResponse(big)),
            recorded=(((0, 1), RecordedVote(bad, Choice.LEFT, reason=bad)),), group=bad, metadata={bad: {"x": bad}},
        ),
        row(odd, odd, "no"), *many(4),
    ]  # fmt: skip
    assert campaign.import_data().rejected == 0
    good = "a\ufffdb\ufffdc"
    prompt = campaign.store.pool.prompts()[0][0]
    assert (prompt.content, prompt.group, prompt.metadata) == (good, good, {good: {"x": good}})
    first, second = campaign.store.pool.responses()[:2]
    assert (first.text, first.metadata, first.provenance[0].model) == (good, {"k": good}, good)
    assert second.text == big
    assert odd in {r.text for r in campaign.store.pool.responses()}
    [votes] = campaign.store.pool.recorded([campaign.store.pool.pairs()[0][0].id]).values()
    assert (votes[0].annotator, votes[0].reason) == (good, good)


# --------------------------------------------------------------------------------------------- interrupted


@pytest.mark.parametrize("name", ["intake.before_commit", "atomic.before_rename", "transaction.before_commit"])
def test_an_interrupted_import_leaves_nothing(campaign: Campaign, source: Rows, name: str) -> None:
    """All rows or none."""
    source.given = [*many(5), row("p", "one")]
    with failing_at(name, OSError(5, "I/O error")), pytest.raises((OSError, StorageFull), match="I/O error"):
        campaign.import_data()
    set_handler(None)
    assert campaign.store.pool.size() == (0, 0)
    assert campaign.store.imports() == []
    assert campaign.store.get_meta("holdout_threshold") is None
    assert campaign.import_data().prompts == 5


# --------------------------------------------------------------------------------------------------- splits


@pytest.mark.parametrize("n", [2, 3, 10, 101])
@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
def test_both_sides_get_a_group(n: int, fraction: float) -> None:
    names = [f"g{i}" for i in range(n)]
    limit = splits.threshold(3, names, fraction)
    held = [name for name in names if splits.side(3, name, limit) is Split.HOLDOUT]
    assert len(held) == min(max(round(fraction * n), 1), n - 1)


def test_no_holdout_when_none_is_wanted_or_possible() -> None:
    assert splits.threshold(3, ["a"], 0.5) == splits.threshold(3, ["a", "b", "c"], 0.0) == -1.0
    assert splits.side(3, "a", -1.0) is Split.TRAIN


def test_other_seeds_split_otherwise() -> None:
    names = [f"g{i}" for i in range(30)]
    held = {
        seed: tuple(name for name in names if splits.side(seed, name, splits.threshold(seed, names, 0.3)) == "holdout")
        for seed in range(5)
    }
    assert len(set(held.values())) == 5


def test_curation_reports_by_default_and_removes_where_told_and_says_so(tmp_path: Path) -> None:
    rows = Rows(row("Why is the sky so blue at noon?", "", "it scatters light", "the air does it", line=4))
    kept = tmp_path / "kept.txt"
    kept.write_text("it scatters light\n")

    def imported(folder: str, **curation: Any) -> tuple[Campaign, dict[str, Any]]:
        text = toy_config(data={"source": "rows", "options": {}}, policy={"tuner": None}, curation=curation)
        with Campaign(tmp_path / folder, registry=toy_registry(source__rows=rows), config_text=text) as opened:
            facts = opened.import_data().as_json()
            assert len(opened.store.pool.responses()) == facts["responses"]
            return opened, facts

    campaign, facts = imported("a", evaluation_files=["../kept.txt"])
    assert facts["responses"] == 3
    assert facts["curation"]["checks"]["empty"]["found"] == 1
    assert facts["curation"]["checks"]["evaluation"]["found"] == 1
    assert not (campaign.folder / "removed.jsonl").exists()

    campaign, facts = imported("b", empty="remove")
    assert facts["responses"] == 2
    (line,) = (campaign.folder / "removed.jsonl").read_text().splitlines()
    removed = json.loads(line)
    assert (removed["check"], removed["line"], removed["response"]) == ("empty", 4, 1)

    with pytest.raises(DataError, match="no usable row"):
        imported("c", empty="remove", evaluation="remove", evaluation_files=["../kept.txt"])
    (line,) = (tmp_path / "c" / "rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "removed by curation: empty, evaluation"
