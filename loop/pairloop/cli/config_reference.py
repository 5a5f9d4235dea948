"""The configuration reference as Markdown, made from the models: ``python -m pairloop.cli.config_reference``."""

import sys
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from pairloop.config.models import Config


def reference() -> str:
    """Every table and key with type, default and meaning."""
    lines = [
        "# Configuration",
        "",
        "A campaign is described by `campaign.toml` in its folder. Every key has a default, so an empty file is valid;",
        "an unknown key is an error with a suggestion. `pairloop init` writes the file with comments,",
        "`pairloop config schema` prints the JSON schema. Options of plugins go into `[<table>.options]`.",
        "",
        "This page is generated from the models: `make docs`.",
    ]
    for section, field in Config.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            lines += ["", f"## `[{section}]`", "", (model.__doc__ or "").strip(), "", *_rows(model)]
    lines += ["", "# Options of the built-in parts", "", *_parts()]
    return "\n".join(lines).rstrip() + "\n"


def _parts() -> Iterator[str]:
    """A section for every built-in part: what it is, and its options."""
    from pairloop.registry import HOOKS, Registry

    registry = Registry()
    for offer in registry.offers():
        if offer.distribution != "pairloop" or offer.kind not in HOOKS:
            continue
        spec: Any = registry.spec(offer.kind, offer.name, offer.kind)  # type: ignore[call-overload]
        yield from (f"## {offer.kind} {offer.name}", "", f"{spec.summary[:1].upper()}{spec.summary[1:]}.", "")
        if spec.options is not None:
            yield from (f"Written under `[{_TABLE[offer.kind]}.options]`.", "", *_rows(spec.options), "")
            for key, model in _nested(spec.options):
                yield from (f"Each `{key}`:", "", *_rows(model), "")


_TABLE = {
    "backend": "backend",
    "source": "data",
    "reward": "reward",
    "strategy": "selection",
    "policy": "policy",
    "judge": "judge",
}


def _nested(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Options that are tables themselves, or lists of tables."""
    for key, field in model.model_fields.items():
        for found in (field.annotation, *get_args(field.annotation)):
            if isinstance(found, type) and issubclass(found, BaseModel):
                yield key, found


def _rows(model: type[BaseModel]) -> list[str]:
    whole = model.model_json_schema()
    schema = {key: _resolved(item, whole.get("$defs", {})) for key, item in whole["properties"].items()}
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        meaning = (field.description or "").replace("\n", " ").replace("|", "\\|")
        rows.append(f"| `{key}` | {_type(schema[key])} | {_default(default)} | {meaning} |")
    return rows


def _default(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, tuple | list):
        items = [f'"{item}"' if isinstance(item, str) else str(item) for item in value]
        return f"`[{', '.join(items)}]`"
    return f"`{value}`"


def _type(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f'`"{schema["const"]}"`'
    if "enum" in schema:
        return " or ".join(f'`"{item}"`' for item in schema["enum"])
    if "anyOf" in schema:
        kinds = [_type(item) for item in schema["anyOf"] if item.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    kind = {
        "number": "number",
        "integer": "integer",
        "string": "text",
        "array": "list",
        "object": "table",
        "boolean": "true or false",
    }
    name = "date and time" if schema.get("format") == "date-time" else kind.get(schema.get("type", ""), "value")
    return f"{name} {', '.join(bounds)}".strip()


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A property with its reference followed."""
    reference_to = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = definitions.get(reference_to, schema)
    return found


if __name__ == "__main__":
    sys.stdout.write(reference())
