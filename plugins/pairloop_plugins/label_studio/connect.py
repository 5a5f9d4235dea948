"""From options to a connection; the token is read here and handed to the transport, and goes nowhere else."""

import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pairloop.errors import ConfigError
from pairloop_plugins.label_studio.api import Api, Json
from pairloop_plugins.label_studio.options import LabelStudioOptions
from pairloop_plugins.label_studio.tokens import Token
from pairloop_plugins.label_studio.transport import Transport
from pairloop_plugins.secrets import read_key

UNENCRYPTED = (
    "Texts and the token go to {url} unencrypted: everybody on the way can read them. Use https, or a tunnel to this"
    " machine."
)


def read_token(options: LabelStudioOptions) -> Token:
    """The token that the options name.

    Raises:
        ConfigError: there is none.
    """
    secret = read_key(
        options.token_env or None, options.token_keyring, what="the token of Label Studio", table="backend.options"
    )
    if secret is None:
        raise ConfigError(
            "backend.options names no token for Label Studio", "Set token_env, or token_keyring, to where it is kept."
        )
    return Token(secret)


def connect(options: LabelStudioOptions, base: Path | None, **extra: Any) -> Transport:
    """A transport; ``extra`` goes to `Transport` (``client``, ``sleep``)."""
    if options.unencrypted:
        logging.getLogger("pairloop").warning(UNENCRYPTED.format(url=options.url))
    return Transport(
        options.url,
        read_token(options),
        timeout=options.timeout,
        tries=options.tries,
        longest_wait=options.longest_wait,
        verify=_trust(options, base),
        proxy=options.proxy,
        **extra,
    )


def _trust(options: LabelStudioOptions, base: Path | None) -> Any:
    if options.ca_file is None:
        return True
    path = (base or Path()) / Path(options.ca_file).expanduser()
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"backend.options.ca_file: {path} holds no certificates: {error}") from None
    return context


class Rehearsed(Api):
    """Reads as the real one does, and only notes what it would write."""

    def __init__(self, transport: Transport, project: int) -> None:
        super().__init__(transport, project)
        self.planned: list[str] = []

    def _note(self, text: str) -> None:
        self.planned.append(text)

    def change_project(self, settings: Any) -> None:
        """Note it."""
        self._note(changing(self.number, settings))

    def import_tasks(self, tasks: Sequence[Json]) -> Json:
        """Never called: a rehearsal publishes nothing."""
        raise NotImplementedError

    def import_predictions(self, predictions: Sequence[Json]) -> int:
        """Note it."""
        self._note(f"POST {len(predictions)} predictions to project {self.number}")
        return len(predictions)

    def delete_task(self, task: int) -> None:
        """Note it."""
        self._note(f"DELETE task {task}: a second copy of a question that has a task, and nobody answered it")

    def delete_model_version(self, version: str, *, timeout: float) -> None:
        """Note it."""
        self._note(f"DELETE the predictions of the older model version {version!r} in project {self.number}")


def changing(project: int, settings: Any) -> str:
    """A change of settings for people."""
    return f"PATCH project {project}: " + ", ".join(f"{name} = {value!r}" for name, value in sorted(settings.items()))


Sleep = Callable[[float], None]
