"""``pairloop import``."""

from pathlib import Path
from typing import Any

import click

from pairloop.cli.options import debug_option, dry_run_option, folder_argument, json_option


@click.command("import")
@folder_argument
@json_option
@dry_run_option("Read everything, and only say what would be added.")
@debug_option
def import_(folder: Path, as_json: bool, dry_run: bool) -> None:
    """Read the data source again and add what is new.

    Known prompts and responses are merged, sides of the holdout split stay as they are, and nothing is ever removed.
    Rows that cannot be used go to rejected.jsonl in the campaign's folder, with line and reason, and what [curation]
    leaves out to removed.jsonl. Look at it before with: pairloop data
    """
    from pairloop.cli.output import emit_json

    if dry_run:
        from pairloop.cli.rehearsal import rehearsal

        with rehearsal(folder) as campaign:
            report = campaign.import_data().as_json()
    else:
        from pairloop.cli.opening import open_campaign

        with open_campaign(folder, as_json=as_json) as (campaign, _):
            report = campaign.import_data().as_json()
    facts = {**report, "stored": not dry_run}
    emit_json(facts) if as_json else _tell(facts, folder)


def _tell(facts: dict[str, Any], folder: Path) -> None:
    from pairloop.cli.output import line

    verb = "added" if facts["stored"] else "would be added"
    line(f"{facts['rows']} rows read: {facts['prompts']} prompts and {facts['responses']} responses {verb}.")
    if facts["merged_prompts"] or facts["merged_responses"]:
        line(f"Known already: {facts['merged_prompts']} prompts, {facts['merged_responses']} responses.")
    line(f"{facts['groups']} groups, {facts['holdout_groups']} of them held out.")
    for reason, n in facts["reasons"].items():
        line(f"Rejected {n}: {reason}")
    if facts["rejected"] and facts["stored"]:
        line(f"Lines and reasons: {folder / 'rejected.jsonl'}")
    for name, check in facts["curation"]["checks"].items():
        if check["found"]:
            line(f"Found {check['found']} ({name}), left out {check['removed']}.")
    if facts["shared_responses"]:
        line(f"{facts['shared_responses']} long responses appear on both sides of the split; they leak.")
