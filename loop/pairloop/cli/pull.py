"""``pairloop pull``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairloop.cli.options import debug_option, dry_run_option, folder_argument, json_option

if TYPE_CHECKING:
    from pairloop.store.annotation_log import Ingested


@click.command()
@folder_argument
@json_option
@dry_run_option("Ask the backend, and only say what it reports.")
@debug_option
def pull(folder: Path, as_json: bool, dry_run: bool) -> None:
    """Fetch votes without moving the round.

    For late votes, also after the campaign has finished: they are stored, and train when a model is next trained.
    """
    from pairloop.cli.output import emit_json, line

    if dry_run:
        from pairloop.cli.rehearsal import rehearsal

        with rehearsal(folder, with_backend=True) as campaign:
            ingested = campaign.pull()
    else:
        from pairloop.cli.opening import open_campaign

        with open_campaign(folder, as_json=as_json) as (campaign, _):
            ingested = campaign.pull()
    facts = {**_facts(ingested), "stored": not dry_run}
    if as_json:
        emit_json(facts)
        return
    line(f"{facts['new']} new votes, {facts['revised']} revised, {facts['retracted']} retracted, {facts['late']} late.")
    if facts["unknown"]:
        line(f"{facts['unknown']} answer questions that this campaign never asked; they were left alone.")


def _facts(ingested: "Ingested") -> dict[str, Any]:
    return {
        "new": ingested.new,
        "revised": ingested.revised,
        "retracted": ingested.retracted,
        "repeated": ingested.repeated,
        "late": ingested.late,
        "unknown": len(ingested.unknown),
    }
