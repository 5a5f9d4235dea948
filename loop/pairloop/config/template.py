"""The commented configuration file that ``pairloop init`` writes, made from the models."""

from typing import Any

import tomlkit
from pydantic import BaseModel

from pairloop.config.models import Config


def template(changes: dict[str, dict[str, Any]] | None = None) -> str:
    """TOML text with every key of every table, its comment, and its default or the given change.

    Keys whose default is null are written as comments.
    """
    document = tomlkit.document()
    document.add(tomlkit.comment("Configuration of a pairloop campaign. Every key is shown with its default."))
    document.add(tomlkit.comment("Check it with: pairloop doctor. Reference: docs/configuration.md"))
    for section, field in Config.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)  # noqa: S101 - every field of Config is a model class
        document.add(tomlkit.nl())
        document[section] = _table(model, (changes or {}).get(section, {}))
    return tomlkit.dumps(document)


def _table(model: type[BaseModel], changes: dict[str, Any]) -> tomlkit.items.Table:
    table = tomlkit.table()
    table.comment((model.__doc__ or "").strip().split("\n")[0])
    nested: list[tuple[str, dict[str, Any]]] = []
    for key, field in model.model_fields.items():
        value = changes.get(key, field.get_default(call_default_factory=True))
        for line in (field.description or "").split("\n"):
            if line.strip() and not isinstance(value, dict):
                table.add(tomlkit.comment(line.strip()))
        if value is None:
            table.add(tomlkit.comment(f"{key} ="))
        elif isinstance(value, dict):
            if value:
                nested.append((key, value))
        else:
            table.add(key, list(value) if isinstance(value, tuple) else value)
    for key, value in nested:
        table.add(tomlkit.nl())
        table.add(key, tomlkit.item(value))
    return table
