"""The configuration reference as Markdown, made from the models: ``python -m pairloop.config.reference``."""

import sys
from typing import Any

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
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel]) -> list[str]:
    schema = model.model_json_schema()["properties"]
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        meaning = (field.description or "").replace("\n", " ").replace("|", "\\|")
        rows.append(f"| `{key}` | {_type(schema[key])} | {_default(default)} | {meaning} |")
    return rows


def _default(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{str(value).lower() if isinstance(value, bool) else list(value) if isinstance(value, tuple) else value}`"


def _type(schema: dict[str, Any]) -> str:
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
    kind = {"number": "number", "integer": "integer", "string": "text", "array": "list", "object": "table"}
    name = "date and time" if schema.get("format") == "date-time" else kind.get(schema.get("type", ""), "value")
    return f"{name} {', '.join(bounds)}".strip()


if __name__ == "__main__":
    sys.stdout.write(reference())
