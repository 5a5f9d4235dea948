"""Dry runs: the real code on a throw-away copy of the campaign.

The database is copied by SQLite's own backup (so a running campaign does not matter, and no lock is taken), artifacts
are linked, and the copy is opened as a campaign of its own. What would be chosen, imported or pulled is then simply
done there: the answer is what the real command would do, and nothing outside the temporary folder is written.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import tomlkit

from pairloop.campaign import CONFIG_NAME, Campaign
from pairloop.cli.opening import campaign_folder, has_database
from pairloop.cli.output import facts, line, table
from pairloop.config import resolve_path
from pairloop.config.load import parse_config, read_text
from pairloop.errors import UsageError
from pairloop.kit.text import for_terminal, plain
from pairloop.lifecycle import stop_reason
from pairloop.protocols import TellsWrites
from pairloop.records import Assignment, Task
from pairloop.states import AssignmentState, RoundState
from pairloop.steps import judge
from pairloop.steps.prelabels import renew
from pairloop.store import Store
from pairloop.store.database import FILE_NAME

_UNSENT = (AssignmentState.PENDING, AssignmentState.SENDING, AssignmentState.AMBIGUOUS)
_SHOWN = 10


@contextmanager
def rehearsal(folder: Path, *, with_backend: bool = False) -> Iterator[Campaign]:
    """A copy of the campaign that may be changed freely; ``with_backend`` copies the backend's own files too."""
    folder = campaign_folder(folder)
    text = _with_absolute_data(folder)
    with TemporaryDirectory(prefix="pairloop-dry-run-") as name:
        copy = Path(name)
        if has_database(folder):
            Store.open_readonly(folder).close()  # refuses another schema, and ends what a killed writer left
            _copy_database(folder / FILE_NAME, copy / FILE_NAME)
        for artifact in (folder / "artifacts").glob("*/*"):
            link = copy / "artifacts" / artifact.parent.name / artifact.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(artifact.resolve())
        if with_backend and (folder / "backend").is_dir():
            copytree(folder / "backend", copy / "backend")
        with Campaign(copy, config_text=text, base=folder, rehearsal=True) as campaign:
            campaign.parts.base = folder.absolute()  # the judge's template and cache lie there
            yield campaign


def _copy_database(source: Path, target: Path) -> None:
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _with_absolute_data(folder: Path) -> str:
    """The configuration with a data path that means the same from another folder."""
    config_file = folder / CONFIG_NAME
    text = read_text(config_file)
    path = parse_config(text, str(config_file)).data.path
    if path is None:
        return text
    document = tomlkit.parse(text)
    document["data"]["path"] = str(resolve_path(config_file.absolute(), path))
    return tomlkit.dumps(document)


def next_move(folder: Path) -> dict[str, Any]:
    """What ``run`` or ``step`` would do next, with the questions that it would publish."""
    known = has_database(campaign_folder(folder))  # keys depend on the campaign's id, which the first run draws
    with rehearsal(folder, with_backend=True) as campaign:
        latest = campaign.store.rounds.latest()
        open_state = None if latest is None or latest.state.is_terminal else latest.state
        if open_state in (None, RoundState.SELECTING):
            reason = stop_reason(campaign.store, campaign.config, latest) if open_state is None else None
            return _nothing(reason) if reason else _selection(campaign, known)
        if open_state is RoundState.PUBLISHING:
            return _selection(campaign, known)
        return {
            "would": _WORK[open_state],
            "round": latest.number if latest else None,
            "backend": campaign.config.backend.kind,
            "questions": 0,
            "tasks": [],
        }


_WORK = {
    RoundState.COLLECTING: "collect votes; nothing is published until the round closes",
    RoundState.TRAINING: "train the reward model",
    RoundState.TUNING: "tune the policy",
    RoundState.GENERATING: "sample new responses",
}


def _nothing(reason: str) -> dict[str, Any]:
    return {"would": f"finish: {reason}", "round": None, "backend": None, "questions": 0, "tasks": []}


def _selection(campaign: Campaign, known: bool) -> dict[str, Any]:
    try:
        batch = campaign.ask()
    except UsageError as error:  # the pool or the budget has nothing left
        return _nothing(error.message)
    unsent = {a.key: a for a in batch.assignments if AssignmentState(a.state) in _UNSENT}
    tasks = [_task(unsent[task.key], task, known) for task in batch.tasks if task.key in unsent]
    return {
        "would": "publish",
        "round": batch.round,
        "backend": campaign.config.backend.kind,
        "questions": len(tasks),
        "cost": round(sum(a.cost for a in unsent.values()), 6),
        "tasks": tasks,
        "writes": _writes(campaign, [task for task in batch.tasks if task.key in unsent]),
        "judge": _judge(campaign, batch.round),
    }


def _writes(campaign: Campaign, tasks: Sequence[Task]) -> list[str]:
    """Every write to a server that publishing would make, new guesses at open questions included.

    Only a backend that tells its writes is asked: it heeds `BackendContext.rehearsal`.
    """
    backend, latest = campaign.parts.backend, campaign.store.rounds.latest()
    if not tasks or latest is None or not isinstance(backend, TellsWrites):
        return []
    renew(campaign.context, latest)
    return list(backend.writes(tasks))


def _judge(campaign: Campaign, number: int) -> dict[str, Any] | None:
    """What the judge would be asked about this batch, and what that can cost at most; nothing is asked."""
    settings, alone = campaign.config.judge, campaign.config.backend.kind == judge.BACKEND
    if settings.kind is None:
        return None
    context = campaign.context
    pool = context.pool()
    planned = judge.of_round(context, number) if alone else judge.plan(context, number, pool)
    questions, cost = campaign.parts.judge.price(judge.questions(pool, planned))
    return {"annotator": campaign.parts.judge.annotator, "pairs": len(planned), "questions": questions, "cost": cost,
            "budget": settings.budget}  # fmt: skip


def _task(assignment: Assignment, task: Task, known: bool) -> dict[str, Any]:
    return {
        "key": assignment.key if known else None,
        "pair": assignment.pair_id,
        "arm": assignment.arm.value,
        "strategy": assignment.strategy,
        "score": assignment.score,
        "prompt": plain(task.prompt),
        "left": task.left,
        "right": task.right,
    }


def tell_move(move: dict[str, Any]) -> None:
    """The next move for people."""
    if move["would"] != "publish":
        line(f"Would {move['would']}.")
        return
    facts({"would publish": f"{move['questions']} questions of round {move['round']} to {move['backend']}"})
    for write in move.get("writes", []):
        line(f"Would {write}.")
    rows = [
        [task["arm"], task["strategy"], task["score"], *(_short(task[key]) for key in ("prompt", "left", "right"))]
        for task in move["tasks"][:_SHOWN]
    ]
    table(("arm", "strategy", "score", "prompt", "left", "right"), rows)
    asked = move.get("judge")
    if asked is not None:
        line(
            f"Would ask {asked['annotator']} about {asked['pairs']} pairs: {asked['questions']} calls, for"
            f" {asked['cost']:.4g} at most."
        )
    if len(move["tasks"]) > _SHOWN:
        line(f"… and {len(move['tasks']) - _SHOWN} more; --json lists them all.")


def _short(text: str) -> str:
    return for_terminal(" ".join(text.split()), 32)
