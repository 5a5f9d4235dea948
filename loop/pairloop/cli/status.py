"""``pairloop status``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairloop.cli.options import debug_option, folder_argument, json_option

if TYPE_CHECKING:
    from pairloop.config import Config

Facts = dict[str, Any]


@click.command()
@folder_argument
@json_option
@debug_option
def status(folder: Path, as_json: bool) -> None:
    """Show where the campaign stands.

    Only reads, so that it works while another process runs the campaign.
    """
    from pairloop.cli.opening import campaign_folder, has_database, open_store, read_config
    from pairloop.cli.output import emit_json
    from pairloop.status import status_facts

    folder = campaign_folder(folder)
    if has_database(folder):
        with open_store(folder) as (store, config):
            facts = {"started": True, **status_facts(store, config)}
    else:
        facts = _not_started(folder, read_config(folder))
    emit_json(facts) if as_json else tell(facts)


def _not_started(folder: Path, config: "Config") -> Facts:
    """The same keys as a campaign that runs, so that readers of ``--json`` need no second case."""
    return {
        "started": False,
        "campaign": {"name": config.campaign.name, "id": None, "folder": str(folder)},
        "pool": {"prompts": 0, "responses": 0, "excluded_prompts": 0},
        "round": None,
        "rounds_done": 0,
        "votes": None,
        "refused_files": [],
        "budget": None,
        "model": None,
        "selection": None,
        "outlook": None,
        "habits": None,
        "judge": None,
        "policy": None,
    }


def tell(facts: Facts) -> None:
    """The facts as lines for people."""
    from pairloop.cli.opening import command
    from pairloop.cli.output import facts as write
    from pairloop.cli.output import line

    if not facts["started"]:
        line(f"{facts['campaign']['name']} was not started yet. Next: {command('run', facts['campaign']['folder'])}")
        return
    write({name: text for name, text in _lines(facts) if text is not None})


def _lines(facts: Facts) -> list[tuple[str, str | None]]:
    pool = facts["pool"]
    excluded = f", {pool['excluded_prompts']} prompts excluded" if pool["excluded_prompts"] else ""
    return [
        ("campaign", f"{facts['campaign']['name']} ({facts['campaign']['id']})"),
        ("pool", f"{pool['prompts']} prompts, {pool['responses']} responses{excluded}"),
        ("round", _round(facts)),
        ("votes", _votes(facts["votes"])),
        ("refused", _refused(facts["refused_files"])),
        ("budget", _budget(facts["budget"])),
        ("reward model", _model(facts["model"])),
        ("judge", _judge(facts["judge"])),
        ("selection", _selection(facts["selection"])),
        ("more votes", facts["outlook"] and facts["outlook"]["advice"]["sentence"]),
        ("policy", _policy(facts["policy"])),
    ]


def _round(facts: Facts) -> str:
    current = facts["round"]
    if current is None:
        return "none yet"
    counts = ", ".join(f"{n} {state}" for state, n in current["assignments"].items())
    reason = f" ({current['reason']})" if current["reason"] else ""
    return f"{current['number']} is {current['state']}{reason}" + (f": {counts}" if counts else "")


def _votes(votes: Facts) -> str:
    kinds = ", ".join(f"{n} {kind}" for kind, n in votes["by_kind"].items() if n)
    if votes["total"] and votes["by_kind"]["model"] == votes["total"]:
        kinds += "; no person voted"
    arms = ", ".join(f"{n} {arm}" for arm, n in votes["by_arm"].items() if n)
    out = f"; {votes['excluded']} of {', '.join(votes['excluded_annotators'])} excluded" if votes["excluded"] else ""
    counted = f"{votes['total']} by {votes['annotators']} annotators"
    return counted + (f" ({kinds}; arms: {arms}{out})" if kinds else "")


def _refused(files: list[Facts]) -> str | None:
    if not files:
        return None
    named = ", ".join(f"{file['file']} ({len(file['problems'])} problems)" for file in files[:5])
    return f"{named}{', …' if len(files) > 5 else ''}: see pairloop pull"


def _budget(budget: Facts) -> str:
    parts = []
    for name in ("labels", "cost", "annotator_hours"):
        item = budget[name]
        limit = "" if item["limit"] is None else f" of {item['limit']:g}"
        reserved = f" + {item['reserved']:g} reserved" if item["reserved"] else ""
        if item["spent"] or item["reserved"] or item["limit"] is not None:
            parts.append(f"{name.replace('_', ' ')}: {item['spent']:g}{reserved}{limit}")
    if budget["until"]:
        parts.append(f"until {budget['until']}")
    return ", ".join(parts) or "nothing spent"


def _model(model: Facts | None) -> str:
    if model is None:
        return "none yet"
    accuracy = model.get("holdout", {}).get("accuracy")
    chosen = next((note.partition(":")[0] for note in model.get("notes") or () if note.startswith("auto chose ")), "")
    said = f"; {chosen}" if chosen else ""
    if accuracy is None:
        return f"round {model['round']}, {model['votes']} votes, no holdout votes yet{said}"
    spread = "" if accuracy.get("low") is None else f" [{accuracy['low']:.3f}, {accuracy['high']:.3f}]"
    return f"round {model['round']}, {model['votes']} votes, holdout accuracy {accuracy['value']:.3f}{spread}{said}"


def _judge(judge: Facts | None) -> str | None:
    from pairloop.judging.facts import judge_sentence

    return None if judge is None else judge_sentence(judge)


def _selection(state: Facts | None) -> str | None:
    if state is None:
        return None
    since = f" since round {state['since']}: {state['reason']}" if state["since"] else ""
    who = "random choice" if state["mode"] == "random" else state["strategy"]
    found = state["difference"]
    if found is None:
        return f"{who} chooses{since}; not compared with random choice yet"
    spread = f"{found['value']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}] over {found['n']} questions"
    return f"{who} chooses{since}; loss against as many random votes {spread}; {state['sentence']}"


def _policy(policy: Facts | None) -> str | None:
    if policy is None:
        return None
    return f"round {policy['round']}, {policy.get('tuner')}: {policy.get('stop_reason')}"
