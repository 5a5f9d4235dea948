"""The annotation log: nothing changed, removed or reordered goes unnoticed, and content can still be erased."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.scripted import Scripted, keys, scripted_campaign, states, to_collecting

from pairloop.campaign import Campaign
from pairloop.errors import ContractViolation, CorruptionDetected
from pairloop.records import Choice
from pairloop.store import Store
from pairloop.store.database import FILE_NAME


@pytest.fixture
def backend() -> Scripted:
    return Scripted()


@pytest.fixture
def campaign(tmp_path: Path, backend: Scripted) -> Any:
    """Six questions are out."""
    with scripted_campaign(tmp_path / "c", backend) as campaign:
        to_collecting(campaign)
        yield campaign


def broken(campaign: Campaign, sql: str, *parameters: Any) -> None:
    """Change the file behind the store's back, triggers dropped, then expect verify() to notice."""
    log = campaign.store.annotations
    assert log.verify() > 0
    raw = campaign.store._db.raw.conn
    raw.execute("PRAGMA foreign_keys=OFF")
    raw.execute("DROP TRIGGER IF EXISTS annotation_log_no_update")
    raw.execute("DROP TRIGGER IF EXISTS annotation_log_no_delete")
    assert raw.execute(sql, parameters).rowcount > 0, "the test changed nothing"
    with pytest.raises(CorruptionDetected, match="annotation"):
        log.verify()


# ------------------------------------------------------------------------------------------------ the chain

COLUMNS = {
    "annotation_log": ("identity", "content_digest", "prev_hash", "row_hash"),
    "annotations": ("subject", "key", "annotator", "choice", "content", "salt"),
}


@pytest.mark.parametrize(("table", "column"), [(t, c) for t, columns in COLUMNS.items() for c in columns])
@pytest.mark.parametrize("seq", [1, 4, 6])
def test_a_changed_byte_is_found(campaign: Campaign, backend: Scripted, table: str, column: str, seq: int) -> None:
    """In any column that is chained or that votes are read from, in any row."""
    campaign.tell(backend.answer(keys(campaign), reason="because"))
    value = campaign.store._db.value(f"SELECT {column} FROM {table} WHERE seq = ?", (seq,))  # noqa: S608
    other = keys(campaign)[seq % 6] if column == "key" else value[:-1] + chr(ord(value[-1]) ^ 1)
    broken(campaign, f"UPDATE {table} SET {column} = ? WHERE seq = ?", other, seq)  # noqa: S608


@pytest.mark.parametrize("column", ["deleted", "superseded_by"])
def test_a_changed_flag_is_found(campaign: Campaign, backend: Scripted, column: str) -> None:
    """Making a vote count, or not count, is a change too."""
    first, *_ = campaign_votes = backend.answer(keys(campaign))
    campaign.tell([*campaign_votes, replace(first, revision="2", choice=Choice.TIE)])
    broken(campaign, f"UPDATE annotations SET {column} = CASE WHEN seq = 1 THEN 0 ELSE 1 END WHERE seq IN (1, 3)")  # noqa: S608


@pytest.mark.parametrize("seq", [1, 3, 6])
def test_a_deleted_row_is_found(campaign: Campaign, backend: Scripted, seq: int) -> None:
    """The first, one in the middle, and the last, of which no later row tells."""
    campaign.tell(backend.answer(keys(campaign)))
    campaign.store._db.raw.conn.execute("PRAGMA foreign_keys=OFF")
    campaign.store._db.raw.conn.execute("DELETE FROM annotations WHERE seq = ?", (seq,))
    with pytest.raises(CorruptionDetected, match=f"annotation {seq} is gone, and nobody erased it"):
        campaign.store.annotations.verify()
    campaign.store._db.raw.conn.execute("INSERT INTO erasures VALUES (?, '')", (seq,))
    broken(campaign, "DELETE FROM annotation_log WHERE seq = ?", seq)


def test_rows_in_another_order_are_found(campaign: Campaign, backend: Scripted) -> None:
    campaign.tell(backend.answer(keys(campaign)))
    raw = campaign.store._db.raw.conn
    raw.execute("DROP TRIGGER annotation_log_no_update")
    raw.execute("PRAGMA foreign_keys=OFF")
    for seq, to in ((2, 99), (3, 2)):
        raw.execute("UPDATE annotation_log SET seq = ? WHERE seq = ?", (to, seq))
    raw.execute("UPDATE annotation_log SET seq = 3 WHERE seq = 99")
    with pytest.raises(CorruptionDetected, match="row 2"):
        campaign.store.annotations.verify()


def test_an_empty_log_verifies(campaign: Campaign) -> None:
    assert campaign.store.annotations.verify() == 0


# ---------------------------------------------------------------------------------------------- append-only


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE annotation_log SET row_hash = 'x' WHERE seq = 1",
        "DELETE FROM annotation_log WHERE seq = 6",
        "DELETE FROM annotation_log",
        "INSERT OR REPLACE INTO annotation_log SELECT seq, identity, supersedes, 'x', prev_hash, row_hash"
        " FROM annotation_log WHERE seq = 6",
        "REPLACE INTO annotation_log SELECT 7, identity, supersedes, 'x', prev_hash, row_hash"
        " FROM annotation_log WHERE seq = 6",
    ],
)
def test_the_log_cannot_be_rewritten(campaign: Campaign, backend: Scripted, sql: str) -> None:
    """Not through our connections, not even by replacing a row on a conflict."""
    campaign.tell(backend.answer(keys(campaign)))
    campaign.store._db.raw.conn.execute("PRAGMA foreign_keys=OFF")
    with pytest.raises(sqlite3.DatabaseError, match="append-only"):
        campaign.store._db.raw.conn.execute(sql)
    assert campaign.store.annotations.verify() == 6


# -------------------------------------------------------------------------------------------------- erasure


def test_erased_content_is_gone_and_the_chain_verifies(campaign: Campaign, backend: Scripted, tmp_path: Path) -> None:
    """Neither the words nor the salt are in the file any more; the other votes stay."""
    votes = backend.answer(keys(campaign), reason="a secret of mine")
    campaign.tell([replace(vote, annotator="erase-me" if i < 2 else "other") for i, vote in enumerate(votes)])
    salts = [campaign.store._db.value("SELECT salt FROM annotations WHERE seq = ?", (seq,)) for seq in (1, 2)]
    with campaign.store.transaction():
        assert campaign.store.annotations.erase([1, 2, 2, 99]) == 2
    assert campaign.store.annotations.verify() == 6
    assert [vote.seq for vote in campaign.store.annotations.votes()] == [3, 4, 5, 6]
    assert len(campaign.store.dump("erasures")) == 2
    campaign.store._db.raw.conn.execute("VACUUM")
    raw = (tmp_path / "c" / FILE_NAME).read_bytes()
    assert b"erase-me" not in raw
    assert not any(salt.encode() in raw for salt in salts)


def test_what_was_erased_does_not_come_back_with_the_next_poll(campaign: Campaign, backend: Scripted) -> None:
    votes = backend.answer(keys(campaign))
    campaign.tell(votes)
    with campaign.store.transaction():
        campaign.store.annotations.erase([1])
    assert campaign.tell(votes).repeated == 6
    assert campaign.store.annotations.verify() == 6
    assert len(campaign.store.annotations.votes()) == 5


def test_erasing_a_revision_does_not_bring_the_older_one_back(campaign: Campaign, backend: Scripted) -> None:
    first = backend.vote(keys(campaign)[0], Choice.LEFT)
    campaign.tell([first, replace(first, revision="2", choice=Choice.RIGHT)])
    with campaign.store.transaction():
        campaign.store.annotations.erase([2])
    assert campaign.store.annotations.votes() == []
    campaign.store.annotations.verify()


# ---------------------------------------------------------------------------------------------------- votes


def choices(campaign: Campaign, up_to: int | None = None) -> list[tuple[str, Choice]]:
    return [(vote.annotator, vote.choice) for vote in campaign.store.annotations.votes(up_to=up_to)]


def test_the_same_report_counts_once(campaign: Campaign, backend: Scripted) -> None:
    vote = backend.vote(keys(campaign)[0])
    first = campaign.tell([vote, vote])
    assert (first.new, first.repeated, campaign.tell([vote]).repeated) == (1, 1, 1)
    assert len(campaign.store.annotations.votes()) == 1


def test_a_revision_supersedes_and_a_retraction_takes_back(campaign: Campaign, backend: Scripted) -> None:
    """Each stays readable as of its time; nothing is overwritten."""
    key = keys(campaign)[0]
    first = backend.vote(key, Choice.LEFT)
    assert campaign.tell([first]).new == 1
    assert campaign.tell([replace(first, revision="2", choice=Choice.RIGHT)]).revised == 1
    assert campaign.tell([replace(first, revision="2", deleted=True)]).retracted == 1
    assert campaign.tell([replace(first, revision="3", choice=Choice.TIE)]).revised == 1
    by_time = [choices(campaign, up_to) for up_to in range(5)]
    assert by_time == [[], [("ann", Choice.LEFT)], [("ann", Choice.RIGHT)], [], [("ann", Choice.TIE)]]
    assert campaign.store.annotations.verify() == 4


def test_a_person_counts_once_for_a_pair_in_a_round(tmp_path: Path, backend: Scripted) -> None:
    """Also over two replicas shown the other way round: the latest judgement counts, and both were paid for."""
    with scripted_campaign(tmp_path / "r", backend, round={"size": 4, "replicas": 2}, budget={"labels": 9}) as campaign:
        to_collecting(campaign)
        one, two, *_ = campaign.store.rounds.assignments(1)
        assert one.pair_id == two.pair_id
        campaign.tell([backend.vote(one.key, Choice.LEFT), backend.vote(two.key, Choice.TIE)])
        assert choices(campaign) == [("ann", Choice.TIE)]
        assert len(campaign.store.annotations.standing()) == 2
        assert campaign.status()["budget"]["labels"] == {"spent": 2, "reserved": 2, "limit": 9}
        campaign.tell([backend.vote(one.key, Choice.RIGHT, annotator="bob")])
        assert choices(campaign) == [("ann", Choice.TIE), ("bob", Choice.RIGHT)]


def test_a_skip_takes_no_judgement_back(campaign: Campaign, backend: Scripted) -> None:
    """Unless it revises that very judgement."""
    key = keys(campaign)[0]
    judged = backend.vote(key, Choice.LEFT)
    campaign.tell([judged, backend.vote(key, Choice.SKIP)])
    assert choices(campaign) == [("ann", Choice.LEFT)]
    campaign.tell([replace(judged, revision="2", choice=Choice.SKIP)])
    assert choices(campaign) == [("ann", Choice.SKIP)]
    assert states(campaign) == {"sent": 5, "skipped": 1}


def test_sides_of_a_vote_are_as_displayed(campaign: Campaign, backend: Scripted) -> None:
    """left and right name the responses that the annotator saw on the left and on the right."""
    campaign.tell(backend.answer(keys(campaign)))
    pairs = {pair.id: pair for pair, _ in campaign.store.pool.pairs()}
    texts = {response.id: response.text for response in campaign.store.pool.responses()}
    flips = set()
    for vote in campaign.store.annotations.votes():
        task = backend.tasks[vote.key]
        assert (texts[vote.left], texts[vote.right]) == (task.left, task.right)
        assert (vote.left == pairs[vote.pair_id].second) == vote.flipped
        flips.add(vote.flipped)
    assert flips == {True, False}


def test_unknown_keys_are_counted_and_not_stored(campaign: Campaign, backend: Scripted) -> None:
    told = campaign.tell([backend.vote("kforeign"), backend.vote(keys(campaign)[0])])
    assert (told.unknown, told.new) == (("kforeign",), 1)
    assert campaign.store.annotations.last_seq() == 1


def test_a_retracted_vote_reopens_its_question(campaign: Campaign, backend: Scripted) -> None:
    vote = backend.vote(keys(campaign)[0])
    campaign.tell([vote])
    assert states(campaign) == {"answered": 1, "sent": 5}
    campaign.tell([replace(vote, deleted=True)])
    assert states(campaign) == {"sent": 6}


def test_a_revision_can_move_to_another_question(campaign: Campaign, backend: Scripted) -> None:
    one, two, *_ = keys(campaign)
    vote = backend.vote(one)
    campaign.tell([vote])
    campaign.tell([replace(vote, key=two, revision="2")])
    by_key = {a.key: a.state for a in campaign.store.rounds.assignments(1)}
    assert (by_key[one], by_key[two]) == ("sent", "answered")
    assert campaign.store.check() == []


def test_nothing_is_half_told(campaign: Campaign, backend: Scripted) -> None:
    """A batch that cannot be stored whole leaves no trace, events included."""
    seen: list[str] = []
    campaign.store.on_event = lambda event: seen.append(event.kind)
    good, bad = backend.vote(keys(campaign)[0]), backend.vote(keys(campaign)[1], seconds=float("nan"))
    with pytest.raises(ContractViolation, match="seconds = nan"):
        campaign.tell([good, bad])
    assert campaign.store.annotations.last_seq() == 0
    with pytest.raises(RuntimeError), campaign.store.transaction():  # noqa: PT012
        campaign.store.annotations.ingest([good], during=1)
        campaign.store.events.add("never_happened")
        raise RuntimeError
    assert campaign.store.annotations.last_seq() == 0
    assert seen == []
    campaign.tell([good])
    assert seen == ["annotations_received"], "what was rolled back is not told later either"


def test_readers_see_the_log_without_the_lock(campaign: Campaign, backend: Scripted) -> None:
    campaign.tell(backend.answer(keys(campaign)))
    with Store.open_readonly(campaign.folder) as reader:
        assert reader.annotations.verify() == 6


# ------------------------------------------------------------------------------------ votes kept in memory


def test_votes_in_memory_are_those_in_the_file(campaign: Campaign, backend: Scripted) -> None:
    """After every kind of change: new rows, revisions, retractions, decisions, erasure, and a transaction undone."""
    log = campaign.store.annotations

    def agree() -> None:
        for up_to in (None, 2, 4):
            with Store.open_readonly(campaign.folder) as fresh:
                assert log.votes(up_to=up_to) == fresh.annotations.votes(up_to=up_to)
                assert log.standing(up_to=up_to) == fresh.annotations.standing(up_to=up_to)

    agree()
    answers = backend.answer(keys(campaign))
    campaign.tell(answers[:2])
    agree()
    campaign.tell(answers[2:])
    agree()
    campaign.tell([replace(answers[1], revision="2", choice=Choice.TIE)])
    agree()
    campaign.tell([replace(answers[0], revision="2", deleted=True)])
    agree()
    campaign.decide_annotator(answers[3].annotator, excluded=True, decided_by="test")
    agree()
    assert any(vote.excluded for vote in log.votes())
    with campaign.store.transaction():
        log.erase([3])
    agree()

    def undone() -> None:
        with campaign.store.transaction():
            log.ingest([replace(answers[4], revision="3", choice=Choice.SKIP)], during=1)
            assert any(vote.choice is Choice.SKIP for vote in log.standing())
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError):
        undone()
    agree()
    log.votes().clear()
    agree()
