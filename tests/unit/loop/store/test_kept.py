"""What is kept of the tables in memory is never older than they are."""

import sqlite3
from pathlib import Path

import pytest

from pairloop.errors import StoreError
from pairloop.store.database import FILE_NAME, Database, create_schema


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(tmp_path / FILE_NAME)
    create_schema(made)
    return made


def groups(database: Database) -> list[str]:
    return database.kept("groups", ("groups",), lambda: [row["id"] for row in database.rows("SELECT id FROM groups")])


def add(database: Database, name: str) -> None:
    database.write("INSERT INTO groups (id, split) VALUES (?, 'train')", (name,))


def test_it_is_read_once_until_the_table_is_written(database: Database) -> None:
    assert groups(database) == []
    assert groups(database) is groups(database)
    with database.transaction():
        add(database, "a")
        assert groups(database) == ["a"]
        database.write_many("INSERT OR IGNORE INTO groups (id, split) VALUES (?, 'train')", [("b",), ("c",)])
        assert groups(database) == ["a", "b", "c"]
        database.write("DELETE FROM groups WHERE id = 'b'")
    assert groups(database) == ["a", "c"]


def test_writes_to_other_tables_leave_it_alone(database: Database) -> None:
    before = groups(database)
    with database.transaction():
        database.write("INSERT OR REPLACE INTO meta (key, value) VALUES ('x', '1')")
    assert groups(database) is before


def test_what_was_rolled_back_is_gone(database: Database) -> None:
    assert groups(database) == []

    def fail() -> None:
        with database.transaction():
            add(database, "a")
            assert groups(database) == ["a"]
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        fail()
    assert groups(database) == []


def test_another_process_may_write_too(database: Database) -> None:
    assert groups(database) == []
    with sqlite3.connect(database.path) as other:
        other.execute("INSERT INTO groups (id, split) VALUES ('theirs', 'train')")
    assert groups(database) == ["theirs"]


def test_a_write_that_names_no_table_is_refused(database: Database) -> None:
    with database.transaction(), pytest.raises(StoreError, match="a write to no table"):
        database.write("WITH x AS (SELECT 1) DELETE FROM groups")
