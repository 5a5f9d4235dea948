"""``pairloop config show`` and ``pairloop config schema``."""

from pathlib import Path
from typing import Any

import click

from pairloop.cli.options import debug_option, folder_argument, json_option


@click.group()
def config() -> None:
    """Show the configuration or its schema."""


@config.command()
@folder_argument
@json_option
@debug_option
def show(folder: Path, as_json: bool) -> None:
    """Show the configuration with every default filled in.

    Paths are absolute in it. Keys that are not set are left out of the TOML, and null in the JSON.
    """
    from pairloop.campaign import CONFIG_NAME
    from pairloop.cli.opening import campaign_folder, read_config
    from pairloop.cli.output import emit_bytes, emit_json
    from pairloop.config import resolve_path

    values = read_config(folder).model_dump(mode="json")
    path = resolve_path((campaign_folder(folder) / CONFIG_NAME).absolute(), values["data"]["path"])
    values["data"]["path"] = None if path is None else str(path)
    if as_json:
        emit_json(values)
        return
    import tomlkit

    emit_bytes(tomlkit.dumps(_without_null(values)).encode("utf-8"))


@config.command()
@json_option
@debug_option
def schema(as_json: bool) -> None:
    """Print the JSON schema of campaign.toml.

    For editors that check and complete TOML. With or without --json the output is the same.
    """
    from pairloop.cli.output import emit_json
    from pairloop.config import Config

    emit_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()})


def _without_null(value: Any) -> Any:
    """TOML has no null."""
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_null(item) for item in value if item is not None]
    return value
