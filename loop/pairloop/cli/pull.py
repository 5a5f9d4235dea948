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
@click.option("--file", type=click.Path(path_type=Path), help="Read what the backend's server exported; ask nobody.")
@dry_run_option("Ask the backend, and only say what it reports, and what it would write to its server.")
@debug_option
def pull(folder: Path, as_json: bool, file: Path | None, dry_run: bool) -> None:
    """Fetch votes without moving the round.

    For late votes, also after the campaign has finished: they are stored, and train when a model is next trained.
    Where the backend reads files, those that it does not take are named line by line, and the exit code is 2: the
    votes of the other files are stored all the same.

    With --file, the votes come from what the backend's server exported (Label Studio: Export, JSON); a pull from the
    server afterwards stores none of them twice.
    """
    from pairloop.cli.output import emit_json
    from pairloop.errors import DataError

    writes: list[str] = []
    if dry_run:
        from pairloop.cli.rehearsal import rehearsal
        from pairloop.protocols import TellsWrites

        with rehearsal(folder, with_backend=True) as campaign:
            ingested = campaign.pull() if file is None else campaign.read_export(file)
            refused, backend = campaign.store.refused_files(), campaign.parts.backend
            writes = list(backend.writes(())) if isinstance(backend, TellsWrites) else []
    else:
        from pairloop.cli.opening import open_campaign

        with open_campaign(folder, as_json=as_json) as (campaign, _):
            ingested = campaign.pull() if file is None else campaign.read_export(file)
            refused = campaign.store.refused_files()
    facts = {**_facts(ingested), "stored": not dry_run, "refused_files": refused, "would_write": writes}
    emit_json(facts) if as_json else _tell(facts)
    if refused:
        raise click.exceptions.Exit(DataError.exit_code)


def _tell(facts: dict[str, Any]) -> None:
    from pairloop.cli.output import line
    from pairloop.cli.refused import tell_refused

    line(f"{facts['new']} new votes, {facts['revised']} revised, {facts['retracted']} retracted, {facts['late']} late.")
    if facts["unknown"]:
        line(f"{facts['unknown']} answer questions that this campaign never asked; they were left alone.")
    tell_refused(facts["refused_files"])
    for write in facts["would_write"]:
        line(f"Would {write}.")


def _facts(ingested: "Ingested") -> dict[str, Any]:
    return {
        "new": ingested.new,
        "revised": ingested.revised,
        "retracted": ingested.retracted,
        "repeated": ingested.repeated,
        "late": ingested.late,
        "unknown": len(ingested.unknown),
    }
