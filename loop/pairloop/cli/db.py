"""``pairloop db upgrade``."""

from pathlib import Path

import click

from pairloop.cli.options import debug_option, dry_run_option, folder_argument, json_option


@click.group()
def db() -> None:
    """Maintain the campaign's database."""


@db.command()
@folder_argument
@json_option
@dry_run_option("Only say whether there is something to upgrade.")
@debug_option
def upgrade(folder: Path, as_json: bool, dry_run: bool) -> None:
    """Bring the database to the schema of this release.

    The old file is first copied beside itself. A database that is up to date is left alone.
    """
    from pairloop.cli.output import emit_json, line
    from pairloop.errors import SchemaTooOld, StoreError
    from pairloop.store import Store
    from pairloop.store.database import FILE_NAME, upgrade_schema
    from pairloop.store.lock import CampaignLock

    if not (folder / FILE_NAME).is_file():
        raise StoreError(f"{folder} holds no campaign database", "There is nothing to upgrade.")
    backup, needed = None, False
    try:
        Store.open_readonly(folder).close()
    except SchemaTooOld:
        needed = True
    if needed and not dry_run:
        lock = CampaignLock(folder)
        lock.acquire()
        try:
            backup = upgrade_schema(folder / FILE_NAME)
        finally:
            lock.release()
    if as_json:
        emit_json({"needed": needed, "upgraded": backup is not None, "backup": None if backup is None else str(backup)})
    elif not needed:
        line("The database is up to date.")
    else:
        line(f"Upgraded; the old file is {backup}" if backup else "The database would be upgraded.")
