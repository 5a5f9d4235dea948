"""``pairloop report``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pairloop.cli.options import debug_option, dry_run_option, folder_argument, json_option

if TYPE_CHECKING:
    from pairloop.config import Config
    from pairloop.store import Store

FILE_NAME = "report.html"


@click.command()
@folder_argument
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help=f"By default FOLDER/{FILE_NAME}.")
@json_option
@dry_run_option("Only say which file would be written.")
@debug_option
def report(folder: Path, out: Path | None, as_json: bool, dry_run: bool) -> None:
    """Write the HTML report.

    One file that needs nothing else. Only reads the campaign, so that it works while another process runs it.
    """
    from pairloop.cli.opening import campaign_folder, open_store, writable_target
    from pairloop.cli.output import emit_json, line

    target = writable_target(out or campaign_folder(folder) / FILE_NAME)
    with open_store(folder) as (store, config):
        if not dry_run:
            _write(store, config, campaign_folder(folder), target)
    if as_json:
        emit_json({"report": str(target), "written": not dry_run})
    else:
        line(f"{'Would write' if dry_run else 'Wrote'} {target}")


def _write(store: "Store", config: "Config", folder: Path, target: Path) -> None:
    """Measure the reward models again on the holdout votes of today, then write the page."""
    from pairloop.campaign import CONFIG_NAME
    from pairloop.parts import Parts
    from pairloop.registry import Registry
    from pairloop.remeasure import remeasured
    from pairloop.report import write_report

    parts = Parts(config, folder / CONFIG_NAME, folder, str(store.get_meta("id")), Registry())
    write_report(store, config, target, remeasured(store, parts, seed=config.campaign.seed))
