"""A campaign of weeks: files go out, files come back filled in, cron calls one command.

    python examples/guides/weeks_by_files.py [FOLDER]

Each pass of the loop is one morning: `pairloop step` as cron would call it, then somebody fills the file in. Here that
is a function that fills in what it is sent, half of it on the first day.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from ask_and_tell import data, judge

WAITS = 3  # exit code of pairloop when it waits for people


def pairloop(*arguments: str | Path) -> int:
    """The command line; cron would call the same."""
    call = [sys.executable, "-m", "pairloop", *map(str, arguments)]
    done = subprocess.run(call, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
    print("  ", (done.stdout or done.stderr).strip().splitlines()[-1])
    return done.returncode


def fill_in(path: Path, inbox: Path, share: float) -> None:
    """Answer a share of the open lines of a file, as a person with a spreadsheet would."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    asked = [row for row in rows if not row["key"].startswith("#")]
    for row in asked[: round(share * len(asked))]:
        row["choice"] = {"left": "left", "right": "right", "tie": "same"}[judge(row["left"], row["right"]).value]
        row["annotator"] = "ann"
    with (inbox / path.name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=";")  # Excel in half of Europe
        writer.writeheader()
        writer.writerows(rows)


def main(folder: Path) -> None:
    """The whole campaign."""
    folder.mkdir(parents=True, exist_ok=True)
    data(folder / "prompts.jsonl")
    campaign = folder / "campaign"
    pairloop("init", campaign, "--data", folder / "prompts.jsonl", "--backend", "csv")
    config = campaign / "campaign.toml"
    text = config.read_text("utf-8").replace("size = 50", "size = 10").replace("max_rounds = 20", "max_rounds = 2")
    config.write_text(text, "utf-8")
    for day in range(1, 7):
        print(f"day {day}")
        if pairloop("step", campaign) != WAITS:
            break  # nothing is left to do
        newest = max((campaign / "outbox").glob("round-*.csv"))
        (campaign / "inbox").mkdir(exist_ok=True)
        fill_in(newest, campaign / "inbox", 0.5 if day == 1 else 1.0)
    pairloop("status", campaign)
    pairloop("export", campaign, "--out", folder / "preferences.jsonl", "--card")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
