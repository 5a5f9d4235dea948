"""Opening a campaign's folder: one writer, fenced off when it is stale, and files of other releases refused."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pairloop.errors import (
    CampaignLocked,
    CorruptionDetected,
    IllegalTransition,
    SchemaTooNew,
    SchemaTooOld,
    StorageFull,
    StoreError,
)
from pairloop.states import RoundState
from pairloop.store import Store
from pairloop.store.database import FILE_NAME


def opened_round(store: Store) -> None:
    with store.transaction():
        store.rounds.open()


# ----------------------------------------------------------------------------------------------- one writer


def test_a_second_writer_is_told_who_is_there(tmp_path: Path) -> None:
    with Store.open(tmp_path), pytest.raises(CampaignLocked, match=f"process {os.getpid()} on ") as error:
        Store.open(tmp_path)
    assert error.value.exit_code == 75
    Store.open(tmp_path).close()


def test_another_process_is_told_too_and_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    """Killed without a word, the holder leaves a lock that nobody holds."""
    script = "import sys, time; from pathlib import Path; from pairloop.store import Store\n"
    script += "store = Store.open(Path(sys.argv[1])); print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        with pytest.raises(CampaignLocked, match=f"process {holder.pid} "):
            Store.open(tmp_path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    Store.open(tmp_path).close()


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"pid": "x"}'])
def test_an_unreadable_holder_file_is_no_obstacle(tmp_path: Path, garbage: str) -> None:
    with Store.open(tmp_path):
        (tmp_path / "campaign.lock.holder").write_text(garbage)
        with pytest.raises(CampaignLocked, match="another process"):
            Store.open(tmp_path)


def test_a_stale_writer_is_fenced(tmp_path: Path) -> None:
    """A process that was suspended, lost its lock and wakes up again cannot write any more; it can read."""
    stale = Store.open(tmp_path)
    opened_round(stale)
    stale._lock.release()  # type: ignore[union-attr]
    with Store.open(tmp_path) as fresh:
        with pytest.raises(CampaignLocked, match="took over"):
            opened_round(stale)
        assert len(stale.rounds.all()) == 1
        opened_round(fresh)
        assert len(fresh.rounds.all()) == 2
    with pytest.raises(CampaignLocked):
        opened_round(stale)
    stale.close()


def test_closing_twice_is_fine_and_leaves_no_holder(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.close()
    store.close()
    assert not (tmp_path / "campaign.lock.holder").exists()


def test_the_folder_is_private(tmp_path: Path) -> None:
    Store.open(tmp_path / "new").close()
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


# ------------------------------------------------------------------------------------------ compare and set


def test_a_state_moves_only_from_where_it_is(tmp_path: Path) -> None:
    """Also when it was left and entered again in between."""
    with Store.open(tmp_path) as store:
        opened_round(store)
        seen = store.rounds.latest()
        assert seen is not None
        with store.transaction():
            moved = store.rounds.move(seen, RoundState.PUBLISHING)
        with pytest.raises(IllegalTransition, match="another process moved it"), store.transaction():
            store.rounds.move(seen, RoundState.PUBLISHING)
        with pytest.raises(IllegalTransition, match="cannot go from publishing to closed"), store.transaction():
            store.rounds.move(moved, RoundState.CLOSED)
        assert store.rounds.latest() == moved


def test_writes_need_a_transaction(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, pytest.raises(StoreError, match="outside of a transaction"):
        store.rounds.open()


# -------------------------------------------------------------------------------------------------- schema


def rewritten(folder: Path, sql: str) -> None:
    Store.open(folder).close()
    with sqlite3.connect(folder / FILE_NAME) as db:
        db.execute(sql)
    db.close()


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    rewritten(tmp_path, "INSERT INTO _sqlite_migrations VALUES (NULL, 'pairloop', 'm999_future', '2030')")
    for call in (Store.open, Store.open_readonly):
        with pytest.raises(SchemaTooNew, match="newer release of pairloop") as error:
            call(tmp_path)
        assert "pip install --upgrade pairloop" in str(error.value.hint)


def test_an_older_database_is_refused_with_the_command(tmp_path: Path) -> None:
    rewritten(tmp_path, "DELETE FROM _sqlite_migrations")
    for call in (Store.open, Store.open_readonly):
        with pytest.raises(SchemaTooOld, match="lacks m001") as error:
            call(tmp_path)
        assert f"pairloop db upgrade {tmp_path}" in str(error.value.hint)


def test_a_refused_opening_leaves_no_lock(tmp_path: Path) -> None:
    rewritten(tmp_path, "DELETE FROM _sqlite_migrations")
    for _ in range(2):
        with pytest.raises(SchemaTooOld):
            Store.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"not a database at all" * 300])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    """Empty is as good as missing; anything else is damage, and is left as it is."""
    (tmp_path / FILE_NAME).write_bytes(content)
    if content:
        with pytest.raises(CorruptionDetected):
            Store.open(tmp_path)
        assert (tmp_path / FILE_NAME).read_bytes() == content
    else:
        Store.open(tmp_path).close()


def test_a_database_whose_making_was_interrupted_is_finished(tmp_path: Path) -> None:
    """The table of migrations is made before the first migration runs."""
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute(
        "CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT)"
    )
    db.commit()
    db.close()
    with Store.open(tmp_path) as store:
        opened_round(store)


def test_readers_need_a_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no campaign database yet"):
        Store.open_readonly(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_reader_survives_what_a_killed_writer_left(tmp_path: Path) -> None:
    """A hot journal is rolled back first; a read-only connection could not."""
    Store.open(tmp_path).close()
    script = (
        "import os, signal, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA cache_size=1'); db.execute('PRAGMA cache_spill=1')\n"
        "db.execute('BEGIN IMMEDIATE')\n"
        "db.executemany('INSERT INTO meta VALUES (?, ?)', [(f'k{i}', 'x' * 2000) for i in range(500)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / FILE_NAME)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / f"{FILE_NAME}-journal").stat().st_size > 0
    with Store.open_readonly(tmp_path) as reader:
        assert reader.get_meta("epoch") == 1
        assert reader.check() == []
        assert reader._db.value("SELECT count(*) FROM meta WHERE key LIKE 'k%'") == 0


def test_a_database_that_another_program_writes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named as such after the busy time-out."""
    with Store.open(tmp_path) as store:
        store._db.raw.conn.execute("PRAGMA busy_timeout=1")
        other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CampaignLocked, match="in use by another program"):
            opened_round(store)
        other.execute("ROLLBACK")
        other.close()
        opened_round(store)


def test_dump_knows_its_tables(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, pytest.raises(StoreError, match="no table"):
        store.dump("rounds; DROP TABLE rounds")


def test_check_names_what_is_violated(tmp_path: Path) -> None:
    """The invariants find rows that the loop would never write."""
    with Store.open(tmp_path) as store:
        assert store.check() == []
        with store.transaction():
            store.rounds.open()
            store.rounds.open()
        assert store.check() == ["open rounds besides the latest: 1"]


# ------------------------------------------------------------------------------------ folders that refuse


def as_nobody(script: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run Python as a user without rights (mode bits do not stop root); skips where that cannot be done."""
    if os.geteuid() != 0:
        setup = ""
    else:
        setup = "import os\nimport pairloop.campaign, pairloop.testing.campaigns\nos.setgid(65534); os.setuid(65534)\n"
    return subprocess.run(
        [sys.executable, "-c", setup + script, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that others may enter; the parents of ``tmp_path`` are private, and other test runs keep them so."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def test_a_read_only_folder_is_refused_before_anything_happens(open_to_all: Path) -> None:
    folder = open_to_all / "campaign"
    Store.open(folder).close()
    folder.chmod(0o555)
    for path in folder.iterdir():
        path.chmod(0o444)
    script = (
        "import json, sys\nfrom pathlib import Path\nfrom pairloop.store import Store\n"
        "from pairloop.errors import PairloopError\n"
        "try:\n    Store.open(Path(sys.argv[1]))\n"
        "except PairloopError as e:\n    print(json.dumps([type(e).__name__, e.exit_code, str(e)]))\n"
        "with Store.open_readonly(Path(sys.argv[1])) as s:\n    print(json.dumps(s.check()))\n"
    )
    done = as_nobody(script, str(folder))
    assert done.returncode == 0, done.stderr
    refused, looked = (json.loads(line) for line in done.stdout.splitlines())
    assert refused[:2] == [StorageFull.__name__, 74]
    assert str(folder) in refused[2]
    assert "Permission denied" in refused[2]
    assert looked == []
