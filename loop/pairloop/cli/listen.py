"""``pairloop listen``: run, and look at once when the annotation server says that something happened."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pairloop.cli.options import debug_option, folder_argument

if TYPE_CHECKING:
    from pairloop.campaign import Campaign
    from pairloop.cli.interrupt import Stop
    from pairloop.listening import Doorbell, Listener
    from pairloop.steps.base import Outcome

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SHORTEST = 16


@click.command()
@folder_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--secret-env", default="PAIRLOOP_LISTEN_SECRET", show_default=True, metavar="NAME",
    help="Environment variable with the secret that callers show in the header X-Pairloop-Secret.",
)  # fmt: skip
@click.option(
    "--wait", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="SECONDS",
    help="Poll so often without any notice.",
)  # fmt: skip
@click.option(
    "--quiet", type=click.FloatRange(min=0), default=2.0, show_default=True, metavar="SECONDS",
    help="Between two polls at least, however many notices arrive.",
)  # fmt: skip
@click.option(
    "--model", is_flag=True, help="Also answer for the current reward model, as an ML backend of Label Studio."
)
@debug_option
def listen(folder: Path, host: str, port: int, secret_env: str, wait: float, quiet: float, model: bool) -> None:
    """Run the campaign, and poll at once when a webhook arrives.

    A webhook is POST /webhook; what it says is not read: it only wakes the poll that would come anyway, so that lost,
    repeated and forged ones do no harm. Outside this machine (--host) a secret is required.

    A server that cannot be reached is tried again later. Ctrl-C stops after the current piece of work.
    """
    from pairloop.cli.interrupt import Interrupted
    from pairloop.cli.opening import open_campaign
    from pairloop.cli.output import message
    from pairloop.listening import Doorbell

    secret = _secret(secret_env, host)
    bell = Doorbell(quiet)
    with open_campaign(folder, as_json=False) as (campaign, stop):
        listener = _listener(campaign, host, port, bell, secret, model)
        listener.start()
        try:
            message(f"Listening at {listener.address}" + (", and answering for the reward model" if model else ""))
            _keep_on(campaign, stop, bell, wait)
        finally:
            listener.stop()
    if stop.signal is not None:
        raise Interrupted(stop.signal)


def _secret(name: str, host: str) -> str | None:
    """The secret.

    Raises:
        UsageError: it is needed and missing, or too short.
    """
    from pairloop.errors import UsageError

    secret = os.environ.get(name) or None
    if secret is None and host not in _LOOPBACK:
        raise UsageError(f"listening at {host} needs a secret", f"Put one into the environment variable {name}.")
    if secret is not None and len(secret) < _SHORTEST:
        raise UsageError(f"the secret in {name} is shorter than {_SHORTEST} characters", "Make it longer.")
    return secret


def _listener(
    campaign: "Campaign", host: str, port: int, bell: "Doorbell", secret: str | None, model: bool
) -> "Listener":
    from pairloop.errors import UsageError
    from pairloop.listening import Listener
    from pairloop.protocols import ServesModel
    from pairloop.steps.opinion import CurrentModel

    answers = None
    if model:
        backend = campaign.parts.backend
        if not isinstance(backend, ServesModel):
            raise UsageError(f"--model: backend {backend.name!r} asks no model", "Leave --model out.")
        threads = campaign.config.resources.threads
        answers = backend.model_server(CurrentModel(campaign.folder, campaign.parts, threads))
    try:
        return Listener(host, port, bell, secret=secret, model=answers)
    except OSError as error:
        raise UsageError(f"cannot listen at {host}:{port}: {error.strerror}", "Choose another --port.") from None


def _keep_on(campaign: "Campaign", stop: "Stop", bell: "Doorbell", wait: float) -> None:
    """Run until the campaign is finished or a signal came; what may work later is tried again later."""
    from pairloop.cli.outcomes import Teller
    from pairloop.cli.output import message
    from pairloop.errors import PairloopError

    tell = Teller(False)

    def pause(seconds: float) -> None:
        bell.wait(seconds, stop.check)

    def ended(_outcome: "Outcome") -> bool:
        return stop.signal is not None

    while True:
        try:
            campaign.run(wait=wait, on_outcome=tell, until=ended, sleep=pause)
            return
        except PairloopError as error:
            if not error.retryable:
                raise
            message(f"{error.message}; trying again in {wait:g} s at the latest")
        pause(wait)
