"""kill -9 while a campaign works with a Label Studio: nothing is lost, doubled or misread on either side."""

import json
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support.fake_label_studio import FakeLabelStudio, serving
from support.fault_proxy import Fault, FaultProxy, proxying
from support.forkserver import ForkServer
from support.label_studio_day import IMPORT
from support.studied import people
from support.studio import CANARY, Studio, compare

from pairloop.config.load import parse_config
from pairloop.records import Annotation, AnnotatorKind, Choice, Task
from pairloop.store import Store
from pairloop.testing.campaigns import toy_config

KEEP: dict[str, dict[str, Any]] = {"round": {"size": 12, "close_share": 0.7, "max_rounds": 3}}
WITHDRAW: dict[str, dict[str, Any]] = {"round": {**KEEP["round"], "on_close": "withdraw"}}
POINTS = {
    "keep": (
        "label_studio.keys_stored", "label_studio.before_import", "label_studio.after_import", "label_studio.received",
        "label_studio.switched", "label_studio.before_predictions", "label_studio.after_predictions",
        "label_studio.before_page_commit", "label_studio.page_stored", "label_studio.swept",
        "publish.after_lookup", "publish.before_send", "publish.after_send", "publish.after_receipt",
        "collect.after_poll", "ingest.before_commit", "collect.after_page",
    ),
    "withdraw": ("label_studio.before_delete", "label_studio.after_delete", "collect.before_cancel"),
}  # fmt: skip
CASES = [(scenario, point) for scenario, points in POINTS.items() for point in points]


class Site:
    """A fake server behind a proxy, and campaigns on it, each in a project of its own."""

    def __init__(self, server: ForkServer, folder: Path, fake: FakeLabelStudio, proxy: FaultProxy) -> None:
        self._server, self._folder, self._fake, self.proxy = server, folder, fake, proxy
        self._studio = Studio(fake.url, CANARY, fake)
        self._numbers = count()

    def config(self, scenario: str) -> str:
        """A configuration with a project of its own."""
        options = self._studio.options(url=self.proxy.url, late_commit=0.0, chunk=4, page=5, tries=1, sweep_minutes=0.0)
        backend = {"kind": "studied", "options": json.loads(options.model_dump_json(exclude_none=True))}
        changes = {"keep": KEEP, "withdraw": WITHDRAW}[scenario]
        return toy_config(backend=backend, policy={"tuner": None}, **changes)

    def run(self, place: Path, config: str, **request: Any) -> dict[str, Any]:
        """Run it in a child."""
        environment = {"LABEL_STUDIO_API_KEY": CANARY}
        return self._server.run(place, "", config=config, environment=environment, **request)

    def problems(self, scenario: str, kills: list[tuple[str, int]], *faults: Fault) -> list[str]:
        """Kill, resume, compare both sides, and what training saw with an uninterrupted run."""
        place = self._folder / f"studio-{next(self._numbers)}"
        place.mkdir()
        config = self.config(scenario)
        self.proxy.faults, self.proxy.forwarded = list(faults), []
        try:
            for kill in kills:
                answer = self.run(place, config, kill=kill)
                if answer["outcome"] in ("error", "died"):
                    return [f"before the kill: {answer}"]
            answer = self.run(place, config)
            if answer["outcome"] != "finished":
                return [f"resuming: {answer}"]
            self.reached = answer["reached"]
            return self._compare(place, int(parse_config(config, "").backend.options["project"]))
        finally:
            shutil.rmtree(place)

    def _compare(self, place: Path, project: int) -> list[str]:
        with Store.open_readonly(place) as store:
            problems = store.check()
            asked = _asked(store)
            rows = store.dump("annotations")
            self.votes = sorted((vote.pair_id, vote.choice, vote.arm) for vote in store.annotations.votes())
        votes = [_annotation(json.loads(row["content"])) for row in sorted(rows, key=lambda row: int(row["seq"]))]
        problems += compare(self._studio.tasks(project), votes, asked)
        sent = sum(len(json.loads(body)) for call, body in self.proxy.forwarded if IMPORT.search(call))
        withdrawn = {task.key for task in asked}
        with Store.open_readonly(place) as store:
            all_keys = {a.key for a in store.rounds.assignments()}
        if sent != len(all_keys | withdrawn):
            problems.append(f"{sent} tasks were sent for {len(all_keys)} questions")
        secret = CANARY.encode()
        problems += [
            f"{file} holds the token" for file in place.rglob("*") if file.is_file() and secret in file.read_bytes()
        ]
        return problems


def _asked(store: Store) -> list[Task]:
    """The questions that were not withdrawn, as they should be displayed."""
    texts = {response.id: response.text for response in store.pool.responses()}
    pairs = {pair.id: pair for pair, _ in store.pool.pairs()}
    out = []
    for a in store.rounds.assignments():
        if a.state != "withdrawn":
            left, right = pairs[a.pair_id].displayed(a.flipped)
            out.append(Task(a.key, a.round, a.replica, a.pair_id, "", texts[left], texts[right]))
    return out


def _annotation(content: dict[str, Any]) -> Annotation:
    return Annotation(**{**content, "choice": Choice(content["choice"]), "kind": AnnotatorKind(content["kind"])})


@pytest.fixture(scope="module")
def site(fork_server: ForkServer, fast_folder: Path) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABEL_STUDIO_API_KEY", CANARY)
        with serving(FakeLabelStudio(CANARY, people=people)) as fake, proxying(fake.url) as proxy:
            yield Site(fork_server, fast_folder, fake, proxy)


@pytest.fixture(scope="module")
def whole(site: Site) -> Callable[[str], tuple[dict[str, int], list[Any]]]:
    """What an uninterrupted run reaches, and the votes that it ends with."""
    made: dict[str, tuple[dict[str, int], list[Any]]] = {}

    def run(scenario: str) -> tuple[dict[str, int], list[Any]]:
        if scenario not in made:
            assert site.problems(scenario, []) == []
            made[scenario] = (dict(site.reached), site.votes)
        return made[scenario]

    return run


@pytest.mark.parametrize(("scenario", "point"), CASES)
def test_a_kill_changes_nothing(
    site: Site, whole: Callable[[str], tuple[dict[str, int], list[Any]]], scenario: str, point: str
) -> None:
    reached, votes = whole(scenario)
    assert site.problems(scenario, [(point, (reached[point] + 1) // 2)]) == []
    assert site.votes == votes


@pytest.mark.parametrize("fate", ["lost", "truncated", "after-5xx", "after-html", "reset", "before-5xx"])
@pytest.mark.parametrize(
    "point",
    [
        "label_studio.before_import",
        pytest.param("publish.after_send", marks=pytest.mark.slow),
        pytest.param("label_studio.page_stored", marks=pytest.mark.slow),
    ],
)
def test_a_fault_and_a_kill(
    site: Site, whole: Callable[[str], tuple[dict[str, int], list[Any]]], point: str, fate: str
) -> None:
    """The second import, and a page, get the fault; the process dies at its second hit of the point, twice."""
    _, votes = whole("keep")
    faults = (Fault(IMPORT.pattern, fate, 2), Fault(r"GET /api/tasks/\?", fate, 6))
    assert site.problems("keep", [(point, 2), (point, 1)], *faults) == []
    assert site.votes == votes


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "point"), CASES)
def test_a_kill_at_every_hit(
    site: Site, whole: Callable[[str], tuple[dict[str, int], list[Any]]], scenario: str, point: str
) -> None:
    reached, votes = whole(scenario)
    for hit in range(1, reached[point] + 1):
        assert site.problems(scenario, [(point, hit)]) == [], hit
        assert site.votes == votes
