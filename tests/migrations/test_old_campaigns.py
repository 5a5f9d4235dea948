"""A campaign that an older release left in the middle of a round goes on with this one."""

import shutil
from pathlib import Path

import pytest

from pairloop import Campaign
from pairloop.errors import SchemaTooOld
from pairloop.steps.base import Finished
from pairloop.store.database import FILE_NAME, upgrade_schema
from pairloop.testing.campaigns import toy_registry

ASSETS = sorted(path for path in (Path(__file__).parent / "assets").iterdir() if path.is_dir())


@pytest.mark.parametrize("asset", ASSETS, ids=lambda path: path.name)
def test_it_goes_on_to_its_end_and_keeps_every_vote(asset: Path, tmp_path: Path) -> None:
    shutil.copytree(asset, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "campaign"
    try:
        campaign = Campaign(folder, registry=toy_registry())
    except SchemaTooOld:
        backup = upgrade_schema(folder / FILE_NAME)
        assert backup.is_file()
        campaign = Campaign(folder, registry=toy_registry())
    with campaign:
        before = [(vote.key, vote.choice) for vote in campaign.store.annotations.votes()]
        assert len(before) >= 10
        assert isinstance(campaign.run(), Finished)
        after = [(vote.key, vote.choice) for vote in campaign.store.annotations.votes()]
        assert after[: len(before)] == before
        assert campaign.store.check() == []
        assert campaign.store.annotations.verify() >= len(after)
        assert all(campaign.store.artifacts.path(sha256).is_dir() for sha256, _ in campaign.store.artifacts.all())


def test_every_release_has_an_asset() -> None:
    assert [path.name for path in ASSETS], "run tests/migrations/make_asset.py"
