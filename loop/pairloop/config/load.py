"""TOML file → `Config`, with errors that name file and key and suggest what was meant."""

import difflib
import json
import tomllib
from datetime import date, time
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pairloop.config.models import Config
from pairloop.errors import ConfigError

M = TypeVar("M", bound=BaseModel)

MAX_BYTES = 1_000_000


def load_config(path: Path) -> Config:
    """Read and validate a configuration file.

    Raises:
        ConfigError: missing, unreadable, not TOML, or a key or value is wrong; names file and key.
    """
    return parse_config(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of the configuration file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file", "Create one with: pairloop init FOLDER") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: {len(raw):,} bytes are too many for a configuration file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}", "Save the file as UTF-8.") from None


def parse_config(text: str, origin: str) -> Config:
    """Validate configuration text; ``origin`` names it in errors.

    Raises:
        ConfigError: as `load_config`.
    """
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{origin}: not valid TOML: {error}") from None
    return validate(Config, table, origin)


def validate(model: type[M], table: dict[str, Any], origin: str, prefix: str = "") -> M:
    """Validate a table against a model.

    Raises:
        ConfigError: names origin and key; unknown keys get a suggestion.
    """
    try:
        # By way of JSON, where strict means what TOML means: true is no 1, "12" no 12, but an array may be a tuple.
        return model.model_validate_json(json.dumps(table, default=_iso_format), strict=True)
    except ValidationError as error:
        lines = [_sentence(model, problem, prefix) for problem in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from None


def _iso_format(value: date | time) -> str:
    """TOML's dates and times; it has no other types that JSON lacks."""
    return value.isoformat()


def _sentence(model: type[BaseModel], problem: Any, prefix: str) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join([prefix, *path] if prefix else path)
    if problem["type"] == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        return f"{key}: unknown key{did_you_mean(path[-1], known)}"
    message = problem["msg"].removeprefix("Value error, ")
    shown = problem.get("input")
    got = f" (got {shown!r})" if isinstance(shown, (str, int, float, bool)) else ""
    return f"{key}: {message}{got}" if key else f"{message}{got}"


def _keys_at(model: type[BaseModel], path: list[str]) -> list[str]:
    current: type[BaseModel] = model
    for part in path:
        field = current.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        current = field.annotation
    return list(current.model_fields)


def did_you_mean(word: str, known: list[str]) -> str:
    """`` (did you mean "x"?)`` when something similar exists, else the list of what exists."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f' (did you mean "{close[0]}"?)'
    return f" (known: {', '.join(sorted(known))})" if known else ""


def resolve_path(config_file: Path, value: str | None) -> Path | None:
    """A path of the configuration, relative to the folder of the configuration file."""
    if value is None:
        return None
    path = Path(value).expanduser()
    return path if path.is_absolute() else (config_file.parent / path)
