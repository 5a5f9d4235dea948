"""Folders of sentence-transformers, read without that package where their modules are the common ones."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairloop.errors import ConfigError
from pairloop.kit.extras import require
from pairloop_reward.backbone.pooling import Dense, Pooling, PoolingName

_ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid")
_POOLINGS: dict[str, PoolingName] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
    "cls": "cls",
    "mean": "mean",
    "lasttoken": "last",
}


@dataclass(frozen=True, slots=True)
class SentenceModel:
    """What the folder says beside the transformer.

    Attributes:
        pooling: of the hidden states, with what follows it; None where only the package can do it.
        max_length: in tokens, or None. lower: texts go through ``str.lower`` first.
        why: what is unusual, where ``pooling`` is None.
    """

    pooling: Pooling | None
    max_length: int | None = None
    lower: bool = False
    why: str = ""


def read_sentence_model(folder: Path) -> SentenceModel | None:
    """What ``modules.json`` and its modules say; None where the folder is a plain transformers model.

    Raises:
        ConfigError: a file of it cannot be read.
    """
    if not (folder / "modules.json").is_file():
        return None
    modules = [(str(item["type"]).rpartition(".")[2], folder / str(item["path"])) for item in _list(folder)]
    limits = _json(modules[0][1] / "sentence_bert_config.json", optional=True) if modules else {}
    length, lower = limits.get("max_seq_length"), bool(limits.get("do_lower_case"))
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or any(kind not in ("Dense", "Normalize") for kind in kinds[2:]):
        return SentenceModel(None, length, lower, f"its modules are {', '.join(kinds)}")
    name = _pooling_name(_json(modules[1][1] / "config.json"))
    if name is None:
        return SentenceModel(None, length, lower, "its pooling is none of mean, cls and last token")
    after: list[Dense | None] = []
    for kind, path in modules[2:]:
        dense = None if kind == "Normalize" else _dense(path)
        if kind == "Dense" and dense is None:
            return SentenceModel(None, length, lower, "its dense layer has an activation of its own")
        after.append(dense)
    return SentenceModel(Pooling(name, tuple(after)), length, lower)


def _list(folder: Path) -> list[Any]:
    found = _json(folder / "modules.json")
    if not isinstance(found, list) or not all(isinstance(item, dict) and "type" in item for item in found):
        raise ConfigError(f"{folder}/modules.json is no list of modules of sentence-transformers")
    return [{"path": "", **item} for item in found]


def _json(path: Path, *, optional: bool = False) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if optional:
            return {}
        raise ConfigError(f"{path} is missing", "Copy the model's folder completely.") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", "Copy the model's folder again.") from error


def _pooling_name(config: Any) -> PoolingName | None:
    """The one pooling that is switched on, by the older names or the newer one."""
    on = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    if isinstance(config.get("pooling_mode"), str):
        on = [config["pooling_mode"]]
    return _POOLINGS.get(on[0]) if len(on) == 1 else None


def _dense(folder: Path) -> Dense | None:
    torch = require("torch", "torch", "A dense layer of a sentence-transformers model")
    from safetensors.torch import load_file

    activation = str(_json(folder / "config.json").get("activation_function", "Tanh")).rpartition(".")[2]
    weights = folder / "model.safetensors"
    if activation not in _ACTIVATIONS:
        return None
    if not weights.is_file():
        raise ConfigError(f"{weights} is missing", "Pickled weights are not opened; save the model as safetensors.")
    arrays = load_file(weights)
    bias = arrays.get("linear.bias")
    return Dense(
        arrays["linear.weight"].float(), None if bias is None else bias.float(), getattr(torch.nn, activation)()
    )
