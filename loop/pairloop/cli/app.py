"""The root of the command line."""

import click

from pairloop import __version__
from pairloop.cli.failures import debug_option
from pairloop.cli.lazy import LazyGroup
from pairloop.cli.table import COMMANDS


@click.group(cls=LazyGroup, table=COMMANDS, more="pairloop.commands", context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="pairloop")
@debug_option
def cli() -> None:
    """Turn few human preferences into a reward model and a tuned policy, batch by batch.

    A campaign is a folder with a campaign.toml in it. Begin with: pairloop init FOLDER
    """
