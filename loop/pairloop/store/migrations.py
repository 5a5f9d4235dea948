"""The schema, one numbered function a step.

Plain SQL rather than ``table.transform()``, which would drop the triggers that keep the annotation log append-only.
A released function is never edited; ``tests/migrations/assets`` keeps a real database of every release.
"""

import sqlite_utils
from sqlite_utils import Migrations

migrations = Migrations("pairloop")


@migrations()
def m001_initial(db: sqlite_utils.Database) -> None:
    """Release 0.1.0."""
    for statement in _M001:
        db.conn.execute(statement)


_M001 = (
    # One row of facts about the campaign each: id, config, epoch of the last writer …
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    # The side of a group never moves, so it is stored when the group is first seen.
    """CREATE TABLE groups (
        id TEXT PRIMARY KEY,
        split TEXT NOT NULL CHECK (split IN ('train', 'holdout'))
    ) STRICT, WITHOUT ROWID""",
    # seq is the order of the data file: it fixes row numbers in arrays, so that runs are comparable.
    """CREATE TABLE prompts (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        content TEXT NOT NULL,
        group_id TEXT NOT NULL REFERENCES groups (id),
        pairing TEXT NOT NULL CHECK (pairing IN ('all', 'listed')),
        metadata TEXT NOT NULL,
        excluded TEXT
    ) STRICT""",
    """CREATE TABLE responses (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        prompt_id TEXT NOT NULL REFERENCES prompts (id),
        text TEXT NOT NULL,
        provenance TEXT NOT NULL,
        metadata TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX responses_by_prompt ON responses (prompt_id)",
    # Pairs that the source lists, that were asked, or that a policy's new response brought. The other pairs of a
    # prompt exist only as index arrays in memory. fresh = the round that brought the pair.
    """CREATE TABLE pairs (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        prompt_id TEXT NOT NULL REFERENCES prompts (id),
        first TEXT NOT NULL REFERENCES responses (id),
        second TEXT NOT NULL REFERENCES responses (id),
        fresh INTEGER,
        CHECK (first < second)
    ) STRICT""",
    # Judgements that came with the data, about (first, second).
    """CREATE TABLE recorded (
        pair_id TEXT NOT NULL REFERENCES pairs (id),
        position INTEGER NOT NULL,
        annotator TEXT NOT NULL,
        kind TEXT NOT NULL,
        choice TEXT NOT NULL,
        strength INTEGER,
        reason TEXT,
        seconds REAL,
        PRIMARY KEY (pair_id, position)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE imports (
        digest TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        report TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    # version counts the moves, so that a compare-and-set also catches a state that was left and entered again.
    """CREATE TABLE rounds (
        number INTEGER PRIMARY KEY,
        state TEXT NOT NULL,
        version INTEGER NOT NULL DEFAULT 0,
        opened_at TEXT NOT NULL,
        published_at TEXT,
        closed_at TEXT,
        reason TEXT
    ) STRICT""",
    # withdrawn outlives a late vote: when that is retracted, the question is not open again.
    """CREATE TABLE assignments (
        key TEXT PRIMARY KEY,
        round INTEGER NOT NULL REFERENCES rounds (number),
        pair_id TEXT NOT NULL REFERENCES pairs (id),
        replica INTEGER NOT NULL,
        flipped INTEGER NOT NULL CHECK (flipped IN (0, 1)),
        arm TEXT NOT NULL,
        strategy TEXT NOT NULL,
        score REAL,
        rank INTEGER NOT NULL,
        model TEXT,
        propensity REAL,
        cost REAL NOT NULL,
        state TEXT NOT NULL,
        remote_id TEXT,
        note TEXT,
        withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1)),
        UNIQUE (round, pair_id, replica)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX assignments_by_round ON assignments (round, state)",
    "CREATE INDEX assignments_by_pair ON assignments (pair_id)",
    # The model's guess, kept apart from votes: it is never training data.
    """CREATE TABLE prelabels (
        key TEXT NOT NULL REFERENCES assignments (key),
        model TEXT NOT NULL,
        choice TEXT NOT NULL,
        p_left REAL NOT NULL,
        shown INTEGER NOT NULL CHECK (shown IN (0, 1)),
        PRIMARY KEY (key, model)
    ) STRICT, WITHOUT ROWID""",
    # Append-only chain of salted digests. It holds nothing personal, so it survives an erasure of the content.
    """CREATE TABLE annotation_log (
        seq INTEGER PRIMARY KEY,
        identity TEXT NOT NULL UNIQUE,
        supersedes INTEGER REFERENCES annotation_log (seq),
        content_digest TEXT NOT NULL,
        prev_hash TEXT NOT NULL,
        row_hash TEXT NOT NULL
    ) STRICT""",
    """CREATE TRIGGER annotation_log_no_update BEFORE UPDATE ON annotation_log
        BEGIN SELECT RAISE(ABORT, 'the annotation log is append-only'); END""",
    """CREATE TRIGGER annotation_log_no_delete BEFORE DELETE ON annotation_log
        BEGIN SELECT RAISE(ABORT, 'the annotation log is append-only'); END""",
    # The content of the log, erasable on request (the row goes, the digest in the chain stays). subject is a digest of
    # (backend, remote id), so that revisions find each other; superseded_by is derived, not part of the content.
    """CREATE TABLE annotations (
        seq INTEGER PRIMARY KEY REFERENCES annotation_log (seq),
        subject TEXT NOT NULL,
        key TEXT NOT NULL REFERENCES assignments (key),
        annotator TEXT NOT NULL,
        choice TEXT NOT NULL,
        deleted INTEGER NOT NULL CHECK (deleted IN (0, 1)),
        content TEXT NOT NULL,
        salt TEXT NOT NULL,
        during INTEGER,
        superseded_by INTEGER REFERENCES annotation_log (seq)
    ) STRICT""",
    # Tombstones: content that is missing without one was lost, not erased.
    """CREATE TABLE erasures (
        seq INTEGER PRIMARY KEY REFERENCES annotation_log (seq),
        at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX annotations_by_subject ON annotations (subject)",
    "CREATE INDEX annotations_by_key ON annotations (key)",
    # What the model of the moment said about a vote before it learned from it (prequential).
    """CREATE TABLE predictions (
        seq INTEGER NOT NULL REFERENCES annotation_log (seq),
        model TEXT NOT NULL,
        p_left REAL NOT NULL,
        PRIMARY KEY (seq)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE cursors (backend TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE artifacts (
        sha256 TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        meta TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    # What training produced; the current model of a role is its last accepted row. A rejected fit keeps its reason.
    """CREATE TABLE models (
        id INTEGER PRIMARY KEY,
        role TEXT NOT NULL CHECK (role IN ('reward', 'policy', 'reference')),
        round INTEGER NOT NULL REFERENCES rounds (number),
        artifact TEXT REFERENCES artifacts (sha256),
        accepted INTEGER NOT NULL CHECK (accepted IN (0, 1)),
        votes INTEGER NOT NULL,
        last_seq INTEGER NOT NULL,
        report TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        round INTEGER,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT""",
)


@migrations()
def m002_quality(db: sqlite_utils.Database) -> None:
    """Gold items, and decisions about whose votes count."""
    for statement in _M002:
        db.conn.execute(statement)


_M002 = (
    # Pairs with a known answer, about (first, second). A row outlives its line in the file (active = 0), so that
    # votes on it are still known as votes on a gold item.
    """CREATE TABLE gold_items (
        pair_id TEXT PRIMARY KEY REFERENCES pairs (id),
        answer TEXT NOT NULL CHECK (answer IN ('first', 'second', 'tie')),
        reason TEXT,
        line INTEGER NOT NULL,
        active INTEGER NOT NULL CHECK (active IN (0, 1))
    ) STRICT, WITHOUT ROWID""",
    # Append-only: who decided what about whom, when and why. The last row of an annotator counts.
    """CREATE TABLE annotator_decisions (
        id INTEGER PRIMARY KEY,
        annotator TEXT NOT NULL,
        excluded INTEGER NOT NULL CHECK (excluded IN (0, 1)),
        decided_by TEXT NOT NULL,
        reason TEXT,
        at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX annotator_decisions_by_annotator ON annotator_decisions (annotator)",
)
