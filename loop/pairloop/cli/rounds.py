"""``pairloop reopen`` and ``pairloop abandon``."""

from pathlib import Path

import click

from pairloop.cli.options import debug_option, folder_argument, json_option


@click.command()
@folder_argument
@json_option
@debug_option
def reopen(folder: Path, as_json: bool) -> None:
    """Collect votes again in the latest round.

    For votes that came in, or were corrected, after the round closed. The next tick pulls them, and trains again when
    the round closes for the second time.
    """
    from pairloop.cli.opening import open_campaign

    with open_campaign(folder, as_json=as_json) as (campaign, _):
        number = campaign.reopen()
    _tell(number, "collecting", as_json)


@click.command()
@folder_argument
@click.option("--reason", default="by hand", show_default=True, help="Kept in the round's history.")
@json_option
@debug_option
def abandon(folder: Path, reason: str, as_json: bool) -> None:
    """Give up the open round; its votes stay.

    They train in the next round, which the next tick opens.
    """
    from pairloop.cli.opening import open_campaign

    with open_campaign(folder, as_json=as_json) as (campaign, _):
        number = campaign.abandon(reason)
    _tell(number, "abandoned", as_json)


def _tell(number: int, state: str, as_json: bool) -> None:
    from pairloop.cli.output import emit_json, line

    if as_json:
        emit_json({"round": number, "state": state})
    else:
        line(f"Round {number} is {state}. Next: pairloop step")
