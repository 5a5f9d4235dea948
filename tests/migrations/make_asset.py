"""Make the asset of a release: a real campaign, stopped in the middle of its second round.

    python tests/migrations/make_asset.py

writes ``assets/<version>/``. Run it once when a release is made; assets are never made again.
"""

import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

from pairloop import Campaign, __version__
from pairloop.states import RoundState
from pairloop.steps.base import Advanced, Outcome
from pairloop.store.database import FILE_NAME
from pairloop.testing.campaigns import toy_config, toy_registry

ASSETS = Path(__file__).parent / "assets"
REMOTE = "remote.sqlite3"  # the toys' server, beside the campaign


def in_round_two(outcome: Outcome) -> bool:
    return isinstance(outcome, Advanced) and (outcome.round, outcome.state) == (2, RoundState.COLLECTING)


def main() -> None:
    target = ASSETS / __version__
    if target.exists():
        raise SystemExit(f"{target} exists: the asset of a release is never made again")
    with TemporaryDirectory() as name:
        folder = Path(name) / "campaign"
        folder.mkdir()
        (folder / "campaign.toml").write_text(toy_config(), encoding="utf-8")
        with Campaign(folder, registry=toy_registry()) as campaign:
            campaign.run(until=in_round_two)
        for database in (folder / FILE_NAME, Path(name) / REMOTE):
            connection = sqlite3.connect(database)
            connection.execute("VACUUM")
            connection.close()
        target.mkdir(parents=True)
        shutil.copy(Path(name) / REMOTE, target / REMOTE)
        shutil.copytree(
            folder, target / "campaign", ignore=shutil.ignore_patterns("cache", "*.lock*", "work", "backend")
        )


if __name__ == "__main__":
    main()
