"""What ``pairloop doctor`` looks at. Every check yields findings and lets the next ones run."""

import json
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal

from pairloop import __version__
from pairloop.campaign import CONFIG_NAME
from pairloop.cli.opening import campaign_folder
from pairloop.cli.recognise import open_source, recognise
from pairloop.config import Config, load_config, resolve_path
from pairloop.errors import BackendError, ConfigError, PairloopError, StorageFull, StoreError
from pairloop.kit.atomic import disk_errors
from pairloop.parts import Parts
from pairloop.protocols import Backend, Checkable, Examinable, Progress
from pairloop.registry import Registry, options_of
from pairloop.store import Store
from pairloop.store.database import FILE_NAME
from pairloop.store.lock import FILE_NAME as LOCK_NAME

PACKAGES = ("numpy", "scipy", "scikit-learn", "pydantic", "sqlite-utils", "pluggy", "torch", "transformers")
LOW_DISK, NO_DISK = 1 << 30, 50 << 20  # bytes free


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor; ``exit_code`` counts when the level is "fail"."""

    check: str
    level: Literal["ok", "warn", "fail"]
    text: str
    hint: str | None = None
    exit_code: int = 0


def _ok(check: str, text: str) -> Finding:
    return Finding(check, "ok", text)


def _failed(check: str, error: PairloopError) -> Finding:
    return Finding(check, "fail", error.message, error.hint, error.exit_code)


def _tried(check: str, work: Callable[[], str]) -> Finding:
    """What ``work`` says, or why it failed."""
    try:
        return _ok(check, work())
    except PairloopError as error:
        return _failed(check, error)


def examine(folder: Path, progress: Progress) -> Iterator[Finding]:
    """All checks, in an order in which the first failure explains later ones."""
    yield _versions()
    yield from _extras()
    try:
        folder = campaign_folder(folder)
        config = load_config(folder / CONFIG_NAME)
    except PairloopError as error:
        yield _failed("config", error)
        return
    yield _ok("config", f"{folder / CONFIG_NAME} is valid")
    registry = Registry()
    yield from _parts(config, folder, registry)
    yield _tried("data", lambda: _data(config, folder, registry))
    yield _tried("folder", lambda: _writable(folder))
    yield _disk(folder)
    yield _lock(folder)
    yield from _store(folder, progress)


# ------------------------------------------------------------------------------------------- installation


def _versions() -> Finding:
    found = [f"{name} {number}" for name in PACKAGES if (number := _version(name)) is not None]
    python = f"Python {platform.python_version()}"
    return _ok("installation", f"pairloop {__version__}, {python}, {', '.join(found)}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _extras() -> Iterator[Finding]:
    """Which optional dependencies are there; a missing one matters only to what needs it."""
    wanted: dict[str, list[str]] = {}
    for line in requires("pairloop") or []:
        name, _, marker = line.partition(";")
        extra = marker.replace(" ", "").replace("'", '"').partition('extra=="')[2].partition('"')[0]
        if extra and extra not in ("dev", "all"):
            package = name.strip().split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip()
            wanted.setdefault(extra, []).append(package)
    for extra, packages in sorted(wanted.items()):
        missing = [package for package in packages if _version(package) is None]
        text = f"installed ({', '.join(packages)})" if not missing else f"not installed: {', '.join(missing)}"
        yield _ok(f"extra [{extra}]", text)


# --------------------------------------------------------------------------------------- config and parts


def _parts(config: Config, folder: Path, registry: Registry) -> Iterator[Finding]:
    """Every part that the config names, with its options."""
    named: list[tuple[Any, str, str, dict[str, Any]]] = [
        ("source", config.data.source, "data.source", config.data.options),
        ("backend", config.backend.kind, "backend.kind", config.backend.options),
        ("strategy", config.selection.strategy, "selection.strategy", config.selection.options),
        ("reward", config.reward.model, "reward.model", config.reward.options),
    ]
    if config.backend.gold is not None:
        named.append(("gold", config.backend.gold, "backend.gold", {}))
    if config.policy.tuner is not None:
        named.append(("policy", config.policy.tuner, "policy.tuner", config.policy.options))
    sound = True
    for kind, name, key, options in named:
        found = _tried(key, lambda k=kind, n=name, i=key, o=options: _part(registry, folder, k, n, i, o))  # type: ignore[misc]
        sound = sound and found.level == "ok"
        yield found
    if sound:  # else it would fail for a reason that was just given
        yield from _backend(config, folder, registry)
        yield from _reward_model(config, folder, registry)
    yield from _observers(config, registry)
    yield from _tuner(config, folder, registry)
    yield from _judge(config, folder, registry)


def _judge(config: Config, folder: Path, registry: Registry) -> Iterator[Finding]:
    """Put one small question to the judge, which finds out about address, key and answers; it may cost a little."""
    if config.judge.kind is None:
        return

    def ask() -> str:
        parts = Parts(config, folder / CONFIG_NAME, folder, "doctor", registry)
        try:
            return f"{parts.judge.annotator}: {parts.judge.check()}"
        finally:
            parts.close()

    yield _tried("judge", ask)


def _backend(config: Config, folder: Path, registry: Registry) -> Iterator[Finding]:
    """Make the backend, which finds out whether its options go together; its files stay in a throw-away folder."""
    with tempfile.TemporaryDirectory(prefix="pairloop-doctor-") as name:
        parts = Parts(config, folder / CONFIG_NAME, Path(name), "doctor", registry, rehearsal=True)
        try:
            made = _tried("backend", lambda: _made(parts.backend))
            yield made
            if made.level == "ok" and isinstance(parts.backend, Examinable):
                for check in parts.backend.examine():
                    code = BackendError.exit_code if check.level == "fail" else 0
                    yield Finding(check.name, check.level, check.text, check.hint, code)
        finally:
            parts.close()


def _reward_model(config: Config, folder: Path, registry: Registry) -> Iterator[Finding]:
    """Make the reward model, which finds out whether its extras and files are there; one that can, says what it is."""

    def make(place: Path) -> str:
        model = Parts(config, folder / CONFIG_NAME, place, "doctor", registry).new_reward_model()
        made = f"{type(model).__name__} can be made"
        return f"{made}; {model.check()}" if isinstance(model, Checkable) else made

    with tempfile.TemporaryDirectory(prefix="pairloop-doctor-") as name:
        yield _tried("reward model", lambda: make(Path(name)))


def _made(backend: Backend) -> str:
    made = f"{type(backend).__name__} can be made"
    return f"{made}; {backend.check()}" if isinstance(backend, Checkable) else made


def _part(registry: Registry, folder: Path, kind: Any, name: str, key: str, options: dict[str, Any]) -> str:
    spec = registry.spec(kind, name, key)
    options_of(spec, options, str(folder / CONFIG_NAME), key.partition(".")[0] + ".options")
    offer = next(offer for offer in registry.offers(kind) if offer.name == name)
    return f"{name} of {offer.distribution} {offer.version}"


def _observers(config: Config, registry: Registry) -> Iterator[Finding]:
    for name in config.campaign.plugins:

        def load(name: str = name) -> str:
            registry.load_observers([name])
            return f"{name} loads"

        yield _tried("campaign.plugins", load)


def _tuner(config: Config, folder: Path, registry: Registry) -> Iterator[Finding]:
    """Make the tuner, which finds out whether its extra is installed."""
    if config.policy.tuner is None:
        return

    def make() -> str:
        parts = Parts(config, folder / CONFIG_NAME, folder, "doctor", registry)
        model = parts.policy_model()
        looks_like_a_path = model.startswith((".", "/", "~")) or model.count("/") > 1
        if looks_like_a_path and not Path(model).expanduser().is_dir():
            raise ConfigError(f"policy.model: there is no folder {model!r}", "Name a folder, a hub model, or scratch.")
        return f"{type(parts.tuner).__name__} can be made; the initial policy is {model}"

    yield _tried("policy", make)


def _data(config: Config, folder: Path, registry: Registry) -> str:
    path = resolve_path(folder / CONFIG_NAME, config.data.path)
    source = open_source(registry, config.data.source, config.data.options, path, str(folder / CONFIG_NAME))
    found = recognise(source)
    more = "" if found.complete else " (the first rows; there are more)"
    text = f"{found.usable} usable rows{more}, {found.pairs} pairs"
    for row in found.rejected[:1]:
        text += f"; {len(found.rejected)} cannot be used, the first in line {row.line}: {row.reason}"
    return text


# ------------------------------------------------------------------------------------------ folder and disk


def _writable(folder: Path) -> str:
    with disk_errors(folder), tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
    return f"{folder} is writable"


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / (1 << 30):.1f} GiB free"
    if free < NO_DISK:
        return Finding("disk", "fail", text, "Free space before going on.", StorageFull.exit_code)
    return Finding("disk", "warn" if free < LOW_DISK else "ok", text)


def _lock(folder: Path) -> Finding:
    """Reads who holds the lock; taking it, even for a moment, could turn a cron job away."""
    try:
        holder = json.loads((folder / (LOCK_NAME + ".holder")).read_text(encoding="utf-8"))
        pid, host = int(holder["pid"]), str(holder["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return _ok("lock", "no other process works on the campaign")
    if host == socket.gethostname() and not _alive(pid):
        return _ok("lock", f"process {pid} ended without cleaning up, which does no harm")
    return Finding("lock", "warn", f"process {pid} on {host} works on the campaign")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# -------------------------------------------------------------------------------------------------- store


def _store(folder: Path, progress: Progress) -> Iterator[Finding]:
    if not (folder / FILE_NAME).is_file():
        yield _ok("store", "the campaign was not started yet")
        return
    try:
        store = Store.open_readonly(folder)
    except PairloopError as error:
        yield _failed("store", error)
        return
    with store:
        yield _tried("store", lambda: _invariants(store))
        yield _tried("annotations", lambda: f"the chain of {store.annotations.verify()} rows verifies")
        yield _tried("artifacts", lambda: _artifacts(store, progress))


def _invariants(store: Store) -> str:
    problems = store.check()
    if problems:
        raise StoreError("; ".join(problems), "Restore the last good copy of the campaign folder.")
    return "all invariants hold"


def _artifacts(store: Store, progress: Progress) -> str:
    found = list(store.artifacts.all())
    progress.start("verifying artifacts", len(found))
    for sha256, _ in found:
        store.artifacts.path(sha256)
        progress.advance()
    return f"{len(found)} match their hashes"
