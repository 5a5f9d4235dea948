"""A campaign on real arguments whose files pass through LibreOffice, beside the same campaign run directly."""

import csv
import io
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pairloop.campaign import Campaign, Finished, Waiting
from pairloop.config.template import template
from pairloop.records import Annotation, Choice
from pairloop.store import Store

SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.shared,
    pytest.mark.skipif(SOFFICE is None, reason="LibreOffice (soffice) is not installed"),
]

READ = "--infilter=CSV:44,34,76,1"
"""What is written is read with commas, double quotes, UTF-8, from line 1."""
WAYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "xlsx": (("xlsx", "xlsx"),),
    "semicolons, cp1252": (("csv:Text - txt - csv (StarCalc):59,34,1", "csv"),),
    "tabs, UTF-16": (("csv:Text - txt - csv (StarCalc):9,34,65535", "csv"),),
    "bars, UTF-8, all quoted": (("csv:Text - txt - csv (StarCalc):124,34,76,1,,0,true", "csv"),),
    "ods, then xlsx": (("ods", "ods"), ("xlsx", "xlsx")),
    "xlsx, then semicolons": (("xlsx", "xlsx"), ("csv:Text - txt - csv (StarCalc):59,34,76", "csv")),
}
WORDS = {Choice.LEFT: "left", Choice.RIGHT: "B", Choice.TIE: "same"}


@dataclass(frozen=True)
class Said:
    """What somebody once said about a pair, as displayed."""

    choice: Choice
    annotator: str
    reason: str


def config(folder: Path, data: Path, kind: str) -> Path:
    folder.mkdir()
    tables = {
        "campaign": {"name": "arguments", "id": "arguments", "seed": 5},
        "data": {"path": str(data), "source": "jsonl", "near_duplicate_threshold": 1.0},
        "backend": {"kind": kind},
        "round": {"size": 24, "max_rounds": 2},
    }
    (folder / "campaign.toml").write_text(template(tables), encoding="utf-8")
    return folder


def recorded(store: Store, round_number: int) -> dict[str, Said]:
    """The first recorded vote on each pair of a round, by key in the order of the batch."""
    flips = {a.key: (a.pair_id, a.flipped) for a in store.rounds.assignments(round_number)}
    votes = store.pool.recorded(pair for pair, _ in flips.values())
    said = {}
    for key, (pair, flipped) in flips.items():
        vote = votes[pair][0]
        reason = "".join(char for char in vote.reason or "" if char.isascii() and char.isprintable()).strip("'=+-@ ")
        said[key] = Said(vote.choice.mirrored() if flipped else vote.choice, vote.annotator, f"{reason} – é"[-200:])
    return said


def run_directly(folder: Path) -> None:
    with Campaign(folder) as campaign:
        while not isinstance(campaign.run(), Finished):
            batch = campaign.ask()
            said = recorded(campaign.store, batch.round)
            campaign.tell(
                Annotation(
                    key, "manual", key, "1", one.annotator, one.choice, strength=80, reason=one.reason, seconds=90.0
                )
                for key, one in said.items()
            )


def run_by_files(folder: Path, scratch: Path) -> None:
    """Each batch comes back in three files, each of which went another way through LibreOffice."""
    ways = iter(WAYS.items())
    with Campaign(folder) as campaign:
        while isinstance(outcome := campaign.run(), Waiting):
            said = recorded(campaign.store, outcome.round)
            written = folder / "outbox" / f"round-{outcome.round:04d}.csv"
            rows = list(csv.DictReader(io.StringIO(written.read_bytes().decode("utf-8-sig"), newline="")))
            assert len(rows) == 24
            for part in range(3):
                name, steps = next(ways)
                filled = scratch / f"{outcome.round}-{part}.csv"
                fill(filled, rows[8 * part : 8 * part + 8], said)
                back = through_office(filled, steps, scratch)
                shutil.copy(back, folder / "inbox" / f"{part} {name}{back.suffix}")
        assert isinstance(outcome, Finished)


def fill(path: Path, rows: list[dict[str, str]], said: dict[str, Said]) -> None:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0], quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for row in rows:
        one = said[row["key"]]
        answer = {"choice": WORDS[one.choice], "annotator": one.annotator, "reason": one.reason}
        writer.writerow({**row, **answer, "strength": "80", "minutes": "1.5"})
    path.write_bytes(b"\xef\xbb\xbf" + out.getvalue().encode())


def through_office(path: Path, steps: tuple[tuple[str, ...], ...], scratch: Path) -> Path:
    for number, (kind, suffix) in enumerate(steps):
        folder = scratch / f"{path.stem}-{number}"
        reading = [READ] if path.suffix == ".csv" else []
        assert SOFFICE is not None
        command = [SOFFICE, "--headless", f"-env:UserInstallation={(scratch / 'profile').as_uri()}", *reading,
                   "--convert-to", kind, "--outdir", str(folder), str(path)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        path = folder / f"{path.stem}.{suffix}"
        assert path.exists(), done.stdout + done.stderr
    return path


def outcome_of(folder: Path) -> tuple[list[object], list[object]]:
    """All votes, and all reward models by content."""
    with Store.open_readonly(folder) as store:
        votes = [
            (v.key, v.annotator, v.choice, v.strength, v.reason, v.seconds, v.round) for v in store.annotations.votes()
        ]
        return votes, [sha for sha, kind in store.artifacts.all() if kind == "reward"]


def test_a_campaign_through_libreoffice_is_the_same_campaign(tmp_path: Path, shared_data: Path) -> None:
    data = shared_data / "ukpconvarg1_dev.jsonl.gz"
    direct, filed = config(tmp_path / "direct", data, "manual"), config(tmp_path / "filed", data, "csv")
    run_directly(direct)
    run_by_files(filed, tmp_path)
    votes, models = outcome_of(direct)
    assert len(votes) == 48
    assert models
    assert outcome_of(filed) == (votes, models)
