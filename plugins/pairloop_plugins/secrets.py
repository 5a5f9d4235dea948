"""Keys and tokens from the environment or the system's keyring; they go into one header and nowhere else."""

import os
import re

from pairloop.errors import ConfigError
from pairloop.kit.extras import require

_PRINTABLE = re.compile(r"^[\x21-\x7e]+$")


def read_key(
    variable: str | None, keyring_entry: str | None, *, what: str = "the judge's key", table: str = "judge.options"
) -> str | None:
    """The key; None where the endpoint needs none (both names are None).

    Args:
        variable: environment variable. keyring_entry: ``service/user``, which goes first.
        what, table: how messages call the key and the table of the configuration that names it.

    Raises:
        ConfigError: the named variable or entry holds nothing, or something that no header can carry.
        MissingExtra: a keyring entry is named, and the package keyring is not installed.
    """
    if keyring_entry is not None:
        service, _, user = keyring_entry.partition("/")
        found = require("keyring", "keyring", f"a keyring entry in {table}").get_password(service, user)
        where = f"the keyring entry {keyring_entry!r}"
    elif variable is not None:
        found, where = os.environ.get(variable), f"the environment variable {variable}"
    else:
        return None
    key = (found or "").strip()
    if not key:
        raise ConfigError(f"{what} is missing: {where} is empty or not set", "Set it; never in a file.")
    if not _PRINTABLE.match(key):
        raise ConfigError(f"{what} in {where} holds blanks or characters that no header can carry")
    return key


def redacted(text: str, key: str | None) -> str:
    """The text without the key, or pieces of it that services echo."""
    if key is None:
        return text
    for piece in {key, key[: max(len(key) // 2, 8)], key[-max(len(key) // 2, 8) :]}:
        text = text.replace(piece, "[key]") if len(piece) >= 4 else text
    return text
