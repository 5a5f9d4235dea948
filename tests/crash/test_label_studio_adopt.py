"""kill -9 while a campaign works on the tasks of a team: the same votes, and the team's tasks as they were."""

import copy
import json
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support.fake_label_studio import FakeLabelStudio, serving
from support.forkserver import ForkServer
from support.studied import people
from support.studio import CANARY, Studio

from pairloop.store import Store
from pairloop.testing.campaigns import toy_config

POINTS = (
    "select.before_commit", "label_studio.linked", "publish.before_send", "publish.after_send", "publish.after_receipt",
    "label_studio.before_page_commit", "label_studio.page_stored", "label_studio.before_predictions",
    "label_studio.after_predictions", "collect.after_poll", "ingest.before_commit", "collect.after_page",
)  # fmt: skip
SUBJECTS = ("river", "stone", "cloud", "maple", "tiger", "window", "copper", "garden", "violin", "harbor")


def everybody(task: dict[str, Any]) -> list[dict[str, Any]]:
    """No task stays open, which nobody could withdraw."""
    tie = {"from_name": "preference", "to_name": "prompt", "type": "choices", "value": {"choices": ["tie"]}}
    return people(task) or [{"result": [tie]}]


class Team:
    """A project with answered tasks, and campaigns that adopt it."""

    def __init__(self, server: ForkServer, folder: Path, fake: FakeLabelStudio) -> None:
        self._server, self._folder = server, folder
        self._studio = Studio(fake.url, CANARY, fake)
        self._numbers = count()
        self.reached: dict[str, int] = {}

    def config(self) -> tuple[str, int]:
        """A configuration with a project of its own."""
        made = self._studio.options(sweep_minutes=0.0, page=7, chunk=5, adopt="all", adopt_order=["predictions"])
        tasks = [
            {"data": {"prompt": f"What of the {a} and the {b}?", "left": f"{a} {i}", "right": f"{b} {b} not {i}"}}
            for i, (a, b) in enumerate((a, b) for a in SUBJECTS for b in SUBJECTS if a < b)
        ]
        self._studio._ok(self._studio.http.post(f"/api/projects/{made.project}/import", json=tasks))
        options = json.loads(made.model_dump_json(exclude_none=True))
        config = toy_config(
            backend={"kind": "studied", "options": options},
            data={"source": "label-studio", "options": options, "path": None},
            policy={"tuner": None},
            round={"size": 8, "close_share": 0.5, "max_rounds": 3},
        )
        return config, int(made.project or 0)

    def run(self, kill: tuple[str, int] | None) -> list[tuple[str, str, str, str]]:
        """A whole campaign, killed once; the votes that it ends with."""
        place = self._folder / f"team-{next(self._numbers)}"
        place.mkdir()
        config, project = self.config()
        before = [self._kept(task) for task in copy.deepcopy(self._studio.tasks(project))]
        environment = {"LABEL_STUDIO_API_KEY": CANARY}
        try:
            if kill is not None:
                killed: dict[str, Any] = self._server.run(place, "", config=config, environment=environment, kill=kill)
                assert killed["outcome"] not in ("error", "died", "finished"), killed
            answer = self._server.run(place, "", config=config, environment=environment)
            assert answer["outcome"] == "finished", answer
            self.reached = answer["reached"]
            with Store.open_readonly(place) as store:
                assert store.check() == []
                texts = {response.id: response.text for response in store.pool.responses()}
                votes = sorted(
                    (texts[v.left], texts[v.right], str(v.choice), str(v.arm)) for v in store.annotations.votes()
                )
        finally:
            shutil.rmtree(place)
        after = self._studio.tasks(project)
        assert [self._kept(task) for task in after] == before
        versions = [[guess["model_version"] for guess in task["predictions"]] for task in after]
        assert all(len(set(each)) == len(each) for each in versions), "no prediction twice"
        assert all(left.split()[1] == right.split()[3] for left, right, _, _ in votes), "left stays left"
        return votes

    @staticmethod
    def _kept(task: dict[str, Any]) -> dict[str, Any]:
        """A task without what predictions change, to which the campaign agreed."""
        return {name: value for name, value in task.items() if name not in ("predictions", "updated_at")}


@pytest.fixture(scope="module")
def team(fork_server: ForkServer, fast_folder: Path) -> Iterator[Team]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABEL_STUDIO_API_KEY", CANARY)
        with serving(FakeLabelStudio(CANARY, people=everybody)) as fake:
            yield Team(fork_server, fast_folder, fake)


@pytest.fixture(scope="module")
def whole(team: Team) -> tuple[dict[str, int], list[Any]]:
    """What an uninterrupted run reaches, and its votes."""
    votes = team.run(None)
    assert len(votes) > 20
    return dict(team.reached), votes


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_changes_nothing(team: Team, whole: tuple[dict[str, int], list[Any]], point: str) -> None:
    reached, votes = whole
    assert team.run((point, (reached[point] + 1) // 2)) == votes
