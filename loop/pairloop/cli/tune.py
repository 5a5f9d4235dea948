"""``pairloop tune``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairloop.cli.options import debug_option, dry_run_option, folder_argument, json_option

if TYPE_CHECKING:
    from pairloop.campaign import Campaign


@click.command()
@folder_argument
@json_option
@dry_run_option("Only say whether tuning could start, and from which models.")
@debug_option
def tune(folder: Path, as_json: bool, dry_run: bool) -> None:
    """Tune the policy now, whatever the gate says.

    The latest round, which must be over, goes back to tuning: the policy is tuned against the current reward model,
    and its new responses join the pool. When this is interrupted, the same command, run or step go on.
    """
    from pairloop.cli.output import emit_json, line

    if dry_run:
        from pairloop.cli.rehearsal import rehearsal

        with rehearsal(folder) as campaign:
            facts = _models(campaign) | {"round": campaign.tune_now(), "tuned": False}
        text = f"Would tune in round {facts['round']} with {facts['tuner']}."
    else:
        facts = _tune(folder, as_json)
        text = f"Round {facts['round']}: {facts['policy']['stop_reason'] if facts['policy'] else 'no policy'}"
    emit_json(facts) if as_json else line(text)


def _tune(folder: Path, as_json: bool) -> dict[str, Any]:
    from pairloop.cli.interrupt import Interrupted
    from pairloop.cli.opening import open_campaign
    from pairloop.cli.outcomes import Teller
    from pairloop.states import RoundState

    with open_campaign(folder, as_json=as_json) as (campaign, stop):
        latest = campaign.store.rounds.latest()
        going = latest is not None and latest.state in (RoundState.TUNING, RoundState.GENERATING)
        number = latest.number if going and latest is not None else campaign.tune_now()
        tell = Teller(as_json)
        while _in(campaign, RoundState.TUNING, RoundState.GENERATING):
            tell(campaign.step())
            if stop.signal is not None:
                raise Interrupted(stop.signal)
        return _models(campaign) | {"round": number, "tuned": True, "policy": campaign.status()["policy"]}


def _in(campaign: "Campaign", *states: str) -> bool:
    latest = campaign.store.rounds.latest()
    return latest is not None and latest.state in states


def _models(campaign: "Campaign") -> dict[str, Any]:
    """The tuner and the artifacts that it starts from."""
    reward, policy = campaign.store.models.current("reward"), campaign.store.models.current("policy")
    return {
        "tuner": campaign.config.policy.tuner,
        "reward_model": None if reward is None else reward.artifact,
        "start": campaign.config.policy.model if policy is None else policy.artifact,
    }
