"""From a FOLDER argument to a campaign, its config or its store."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pairloop.campaign import CONFIG_NAME, Campaign
from pairloop.cli.interrupt import Stop, stopping
from pairloop.cli.progress import Bar, watched
from pairloop.config import Config, load_config
from pairloop.errors import UsageError
from pairloop.store import Store
from pairloop.store.database import FILE_NAME


def campaign_folder(folder: Path) -> Path:
    """The folder, which must hold a configuration; the path of a ``campaign.toml`` stands for its folder.

    Raises:
        UsageError: it holds none; suggests ``pairloop init``.
    """
    if folder.name == CONFIG_NAME and folder.is_file():
        folder = folder.parent
    if not (folder / CONFIG_NAME).exists():
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file", f"Name the folder that holds {CONFIG_NAME}.")
        what = f"{folder} holds no {CONFIG_NAME}" if folder.is_dir() else f"{folder}: there is no such folder"
        raise UsageError(what, f"Create a campaign with: {command('init', folder)}")
    return folder


def command(name: str, folder: Path | str) -> str:
    """A command line to copy: the folder is quoted where the shell needs it."""
    return f"pairloop {name} {shlex.quote(str(folder))}"


def writable_target(path: Path) -> Path:
    """A file to write, in a folder that exists.

    Raises:
        UsageError: it does not, or the path is a folder.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "Name a file in it.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path.parent}: there is no such folder", "Create it first, or name another file.")
    return path


def read_config(folder: Path) -> Config:
    """The validated configuration of a campaign folder."""
    return load_config(campaign_folder(folder) / CONFIG_NAME)


def has_database(folder: Path) -> bool:
    """True once the campaign was started."""
    return (folder / FILE_NAME).is_file()


@contextmanager
def open_store(folder: Path) -> Iterator[tuple[Store, Config]]:
    """Store (to look at only) and config of a campaign."""
    config = read_config(folder)
    with Store.open_readonly(campaign_folder(folder)) as store:
        yield store, config


@contextmanager
def open_campaign(folder: Path, *, as_json: bool) -> Iterator[tuple[Campaign, Stop]]:
    """A campaign opened for writing, with progress for people and clean stops."""
    with stopping() as stop:
        bar = Bar(stop, visible=watched() and not as_json)
        try:
            with Campaign(campaign_folder(folder), progress=bar) as campaign:
                yield campaign, stop
        finally:
            bar.finish()
