"""Models as folders that are complete in themselves: the artifact byte for byte, a manifest, and a card."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pairloop.errors import CorruptionDetected, DataError, UsageError
from pairloop.exports.hub import CARD, write_folder
from pairloop.protocols import ModelContext, RewardModel
from pairloop.registry import Registry
from pairloop.store import Store
from pairloop.store.artifacts import folder_digest
from pairloop.store.models import ModelRow

Role = Literal["reward", "policy", "reference"]

MANIFEST = "pairloop.json"
FORMAT = 1
_CLASSES = {"reward": ("ForSequenceClassification",), "policy": ("ForCausalLM", "LMHeadModel")}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an exported model is.

    Attributes:
        name: the reward model or tuner that reads it, as in the configuration.
        artifact: `folder_digest` of the model's files, without the card and this manifest.
        votes: votes given when it was trained; last_row: the last row of the campaign's log that it saw; log: the
            hash of that row, which every row before it is chained into; None where it saw none.
    """

    format: int
    role: str
    name: str
    artifact: str
    campaign: str
    round: int
    votes: int
    last_row: int
    log: str | None


def chosen_model(store: Store, role: Role, round_number: int | None) -> ModelRow:
    """The latest usable model of a role, or that of a round.

    Raises:
        UsageError: there is none.
    """
    rows = [row for row in store.models.all(role) if row.artifact is not None]
    if round_number is not None:
        rows = [row for row in rows if row.round == round_number]
    if rows:
        return rows[-1]
    where = "" if round_number is None else f" in round {round_number}"
    raise UsageError(f"the campaign has no usable {role} model{where}", "See what it has: pairloop status")


def manifest_of(store: Store, row: ModelRow, name: str) -> Manifest:
    """The manifest of a stored model."""
    return Manifest(
        FORMAT, row.role, name, str(row.artifact), str(store.get_meta("id") or ""), row.round, row.votes, row.last_seq,
        store.annotations.row_hash(row.last_seq),
    )  # fmt: skip


def require_transformers(folder: Path, role: Role) -> None:
    """Refuse a model that transformers cannot load by itself.

    Raises:
        UsageError: the folder is no model of the class that the role needs.
    """
    wanted = _CLASSES["reward" if role == "reward" else "policy"]
    if any(name.endswith(wanted) for name in _architectures(folder)):
        return
    if role == "reward":
        raise UsageError(
            f"this reward model is no transformers model: {_why_not(folder)}",
            "Export the pairloop folder, without --form; or train one elsewhere on: pairloop export --format trl",
        )
    raise UsageError(
        "this policy is no folder for AutoModelForCausalLM: its tuner keeps something else in it",
        "Export it without --form.",
    )


def _why_not(folder: Path) -> str:
    """Why a reward model cannot be one of the architectures behind AutoModelForSequenceClassification."""
    if (folder / "member-1" / "config.json").is_file():
        return "it is an ensemble of networks, and no single one has its scores (members = 1 would)"
    try:
        kind = json.loads((folder / "model.json").read_text("utf-8")).get("kind")
    except (OSError, ValueError, AttributeError):
        kind = None
    if kind == "encoder":
        return (
            "its reward is linear in surface counts and in centred, length-limited embeddings, pooled otherwise than "
            "AutoModelForSequenceClassification does"
        )
    return "its features and its posterior are none of the architectures behind AutoModelForSequenceClassification"


def _architectures(folder: Path) -> list[str]:
    try:
        found = json.loads((folder / "config.json").read_text("utf-8")).get("architectures")
    except (OSError, ValueError, AttributeError):
        return []
    return [str(name) for name in found or ()]


def write_model(source: Path, target: Path, manifest: Manifest, card: str) -> int:
    """Write a verified artifact folder, its manifest and its card; returns the bytes of the model.

    Raises:
        CorruptionDetected: what was read is not what was stored. StorageFull: nothing is left behind.
    """
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    files = {name: source / name for name in names if name not in (CARD, MANIFEST)}
    if len(files) < len(names):
        raise DataError(f"{source} has a file named {CARD} or {MANIFEST}", "Copy the folder by hand.")
    described = json.dumps(asdict(manifest), indent=2, ensure_ascii=False) + "\n"
    own = {CARD: card.encode(), MANIFEST: described.encode()}
    write_folder(target, own, files, lambda folder: _verify(folder, manifest.artifact))
    return sum(path.stat().st_size for path in files.values())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an exported model.

    Raises:
        DataError: the folder has none that this release reads.
    """
    try:
        values: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        manifest = Manifest(**values)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{folder} is no exported model: {MANIFEST} is missing or cannot be read",
            "Export it with: pairloop export-model",
        ) from error
    if manifest.format > FORMAT:
        raise DataError(f"{folder / MANIFEST} has format {manifest.format}", "Read it with the release that wrote it.")
    return manifest


def load_reward_model(folder: Path, registry: Registry | None = None) -> RewardModel:
    """The reward model in an exported folder, checked against its hash; it predicts what it predicted there.

    Raises:
        DataError: no exported reward model. CorruptionDetected: a file is missing, changed, or was added.
        ConfigError: the reward model that reads it is not installed.
    """
    manifest = read_manifest(folder)
    if manifest.role != "reward":
        raise DataError(f"{folder} has a {manifest.role} model, and no reward model", "Name another folder.")
    _verify(folder, manifest.artifact)
    spec = (registry or Registry()).spec("reward", manifest.name, "name")
    return spec.load(folder, ModelContext())


def _verify(folder: Path, artifact: str) -> None:
    found = folder_digest(folder, without=frozenset((CARD, MANIFEST)))[0]
    if found != artifact:
        raise CorruptionDetected(
            f"{folder} does not match the hash of its model (found {found[:12]}, wanted {artifact[:12]})",
            "Export it again: pairloop export-model",
        )
