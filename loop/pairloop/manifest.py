"""What made a campaign what it is: config, versions, seeds and data hashes, rewritten after every round."""

import json
import platform
from typing import Any

from pairloop import __version__
from pairloop.config import Config
from pairloop.kit.atomic import write_atomic
from pairloop.kit.versions import installed_versions
from pairloop.registry import Registry
from pairloop.store import Store

FILE_NAME = "manifest.json"
_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "transformers", "sqlite-utils", "pluggy", "pydantic")


def manifest(store: Store, config: Config, registry: Registry) -> dict[str, Any]:
    """The manifest as JSON values."""
    return {
        "campaign": {"id": store.get_meta("id"), "created_at": store.get_meta("created_at")},
        "config": config.model_dump(mode="json"),
        "data": [{key: item[key] for key in ("digest", "source", "at")} for item in store.imports()],
        "plugins": [
            {"part": f"{o.kind}.{o.name}", "distribution": o.distribution, "version": o.version}
            for o in registry.loaded
        ],
        "versions": {"pairloop": __version__, "python": platform.python_version(), **installed_versions(_PACKAGES)},
        "machine": {"system": platform.system(), "processor": platform.machine()},
        "models": [
            {"role": row.role, "round": row.round, "artifact": row.artifact, "votes": row.votes}
            for role in ("reward", "reference", "policy")
            for row in store.models.all(role)
        ],
    }


def write_manifest(store: Store, config: Config, registry: Registry) -> None:
    """Write ``manifest.json`` into the campaign's folder, unless it says the same already."""
    path = store.folder / FILE_NAME
    content = json.dumps(manifest(store, config, registry), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    data = content.encode("utf-8", "replace")
    if not path.is_file() or path.read_bytes() != data:
        write_atomic(path, data)
