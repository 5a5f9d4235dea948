"""The YAML header of a card, as the hub and ``datasets`` read it."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pairloop.errors import UsageError
from pairloop.exports.columns import ANNOTATION, ANNOTATIONS, TURNS
from pairloop.exports.hub import Files, file_of
from pairloop.exports.training import Training

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*")


def header(values: Mapping[str, Any]) -> str:
    """The values between two lines of dashes. JSON is YAML, and quotes what must be quoted."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(["---", *lines, "---", ""])


def licence(name: str | None) -> str:
    """The identifier of a licence as the hub writes it, such as "cc-by-4.0"; "unknown" where none is said.

    Raises:
        UsageError: it is no identifier.
    """
    if name is not None and not _LICENCE.fullmatch(name):
        raise UsageError(f"--license: {name!r} is no identifier of a licence", "For example: cc-by-4.0, or other")
    return "unknown" if name is None else name.lower()


def data_header(name: str, rows: int, license_name: str) -> dict[str, Any]:
    """What every data card says."""
    return {
        "pretty_name": f"Preferences of {name}",
        "license": license_name,
        "tags": ["preference", "human-feedback", "rlhf", "pairloop"],
        "size_categories": [next((text for most, text in _SIZES if rows < most), "n>1M")],
    }


def loading(found: Training, files: Files) -> dict[str, Any]:
    """Which file is which split, and the types of the columns: a column may have no value in one of the files."""
    names = list(dict.fromkeys(name for name, _ in found.tables))
    return {
        "configs": [
            {
                "config_name": name,
                "data_files": [
                    {"split": split, "path": file_of(name, split, files)} for of, split in found.tables if of == name
                ],
            }
            for name in names
        ],
        "dataset_info": [{"config_name": name, "features": _features(found, name)} for name in names],
    }


def _features(found: Training, name: str) -> list[dict[str, Any]]:
    types = next(table.types for (of, _), table in found.tables.items() if of == name)
    return [_feature(column, kind) for column, kind in types.items()]


def _feature(column: str, kind: str) -> dict[str, Any]:
    inner: dict[str, list[dict[str, str]]] = {
        TURNS: [{"name": key, "dtype": "string"} for key in ("role", "content")],
        ANNOTATIONS: [{"name": key, "dtype": each} for key, each in ANNOTATION.items()],
    }
    if kind in inner:
        return {"name": column, "list": inner[kind]}
    return {"name": column, "list": "string"} if kind == "strings" else {"name": column, "dtype": kind}
