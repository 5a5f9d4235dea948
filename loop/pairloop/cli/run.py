"""``pairloop run`` and ``pairloop step``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairloop.cli.failures import EXIT_WAITING
from pairloop.cli.options import debug_option, dry_run_option, folder_argument, json_option

if TYPE_CHECKING:
    from pairloop.campaign import Campaign
    from pairloop.steps.base import Outcome

_DRY = "Only say what would happen next, and which questions would be published."


@click.command()
@folder_argument
@click.option("--wait", type=click.FloatRange(min=0), metavar="SECONDS", help="Poll so often while people work.")
@json_option
@dry_run_option(_DRY)
@debug_option
def run(folder: Path, wait: float | None, as_json: bool, dry_run: bool) -> None:
    """Go on until the campaign is finished or waits for people.

    Simulated annotators answer at once, so such a campaign runs to its end. With people, the command ends with exit
    code 3 when it waits for them; --wait keeps it running and polling instead.

    Ctrl-C stops after the current piece of work (exit code 130), a second Ctrl-C at once. Nothing that was committed
    is lost: the same command goes on where it stopped.
    """
    if dry_run:
        _rehearse(folder, as_json)
        return
    _drive(folder, as_json, wait=wait)


@click.command()
@folder_argument
@click.option("--once", is_flag=True, help="Make exactly one move of the state machine.")
@json_option
@dry_run_option(_DRY)
@debug_option
def step(folder: Path, once: bool, as_json: bool, dry_run: bool) -> None:
    """Make one tick, for cron.

    A tick does all that can be done now: with people it goes on until it waits for them (exit code 3), so that a round
    that closes is trained and the next batch published in the same tick. With simulated annotators, which always
    answer, it ends after a round has closed (exit code 0). A finished campaign: exit code 0.
    """
    if dry_run:
        _rehearse(folder, as_json)
        return
    _drive(folder, as_json, until=_once if once else _round_closed)


def _once(_campaign: "Campaign", _outcome: "Outcome") -> bool:
    return True


def _round_closed(campaign: "Campaign", outcome: "Outcome") -> bool:
    from pairloop.steps.base import Advanced

    over = isinstance(outcome, Advanced) and outcome.state.is_terminal
    return over and campaign.parts.backend.capabilities.blocking


def _drive(
    folder: Path,
    as_json: bool,
    *,
    wait: float | None = None,
    until: "Callable[[Campaign, Outcome], bool] | None" = None,
) -> None:
    from pairloop.cli.interrupt import Interrupted
    from pairloop.cli.opening import open_campaign
    from pairloop.cli.outcomes import Once, Teller, outcome_facts
    from pairloop.cli.output import emit_json
    from pairloop.cli.refused import RefusalTeller
    from pairloop.protocols import TellsWhere
    from pairloop.steps.base import Waiting

    tell, tell_refused, tell_where = Teller(as_json), RefusalTeller(), Once()
    with open_campaign(folder, as_json=as_json) as (campaign, stop):

        def told(made: "Outcome") -> None:
            tell(made)
            tell_refused(campaign.store.refused_files())
            if isinstance(made, Waiting) and isinstance(campaign.parts.backend, TellsWhere):
                tell_where(campaign.parts.backend.where())

        outcome = campaign.run(
            wait=wait,
            on_outcome=told,
            until=lambda made: stop.signal is not None or (until is not None and until(campaign, made)),
            sleep=stop.sleep,
        )
        facts: dict[str, Any] = {**outcome_facts(outcome), "interrupted": stop.signal is not None}
        if as_json:
            emit_json({**facts, "status": campaign.status()})
    if stop.signal is not None:
        raise Interrupted(stop.signal)
    if isinstance(outcome, Waiting):
        raise click.exceptions.Exit(EXIT_WAITING)


def _rehearse(folder: Path, as_json: bool) -> None:
    from pairloop.cli.output import emit_json
    from pairloop.cli.rehearsal import next_move, tell_move

    move = next_move(folder)
    emit_json(move) if as_json else tell_move(move)
