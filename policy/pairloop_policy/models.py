"""Policies as folders of safetensors and a tokenizer: loading, checking, saving."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from pairloop.errors import ConfigError, CorruptionDetected, ModelError
from pairloop_policy.runtime import quiet

_UNLIMITED = 1 << 20


@dataclass(frozen=True, slots=True)
class Policy:
    """A causal language model in evaluation mode (no dropout, ever) with its tokenizer.

    Attributes:
        eos: ids that end a response, at least one. pad: id that fills, never looked at.
        context: longest sequence in tokens.
    """

    model: Any
    tokenizer: Any
    eos: tuple[int, ...]
    pad: int
    context: int
    device: torch.device


def load(folder: Path, device: torch.device, dtype: str = "float32") -> Policy:
    """Read a policy from a folder; no code of the folder is run, no pickle is opened.

    Raises:
        ConfigError: no folder, no tokenizer, no causal language model, or their vocabularies do not fit.
        CorruptionDetected: the weights are damaged.
    """
    tokenizer = load_tokenizer(folder)
    check_causal(folder)
    with _readable(folder), quiet():
        model = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
    return assemble(model, tokenizer, str(folder), device)


def assemble(model: Any, tokenizer: Any, name: str, device: torch.device) -> Policy:
    """Put model and tokenizer together.

    Raises:
        ConfigError: the tokenizer knows ids that the model does not, or nothing ends a response.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ConfigError(
            f"{name}: the tokenizer has {len(tokenizer)} tokens, but the model only {rows} embeddings.",
            "The tokenizer belongs to another model, or tokens were added without resizing the embeddings.",
        )
    eos = _eos_ids(model, tokenizer)
    if not eos:
        raise ConfigError(
            f"{name}: neither the tokenizer nor generation_config.json names an end-of-sequence token.",
            "Set eos_token in tokenizer_config.json; without it no response ever ends.",
        )
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else eos[0]
    return Policy(model.to(device).eval(), tokenizer, eos, pad, _context(model.config, tokenizer), device)


def load_tokenizer(source: Path) -> Any:
    """The tokenizer of a folder.

    Raises:
        ConfigError: there is none.
    """
    if not (source / "config.json").is_file():
        raise ConfigError(f"{source} is not a transformers model folder: it has no config.json.")
    names = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
    if not any((source / name).is_file() for name in names):
        raise ConfigError(
            f"{source} has no tokenizer (none of {', '.join(names)}).",
            "Save it beside the model: tokenizer.save_pretrained(folder).",
        )
    try:
        return AutoTokenizer.from_pretrained(str(source), local_files_only=True, trust_remote_code=False)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise ConfigError(f"the tokenizer in {source} cannot be read: {error}") from error


def check_causal(source: Path) -> None:
    """Refuse what is no causal language model of transformers itself.

    Raises:
        ConfigError: another architecture, or one that needs code from the folder.
    """
    try:
        config = AutoConfig.from_pretrained(str(source), local_files_only=True, trust_remote_code=False)
    except (ValueError, OSError, KeyError) as error:
        raise ConfigError(
            f"{source}/config.json cannot be used: {error}",
            "Models that bring their own code (trust_remote_code) are not supported.",
        ) from error
    check_config(config, str(source))


def check_config(config: Any, name: str) -> None:
    """See `check_causal`."""
    known = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    found: Any = known.get(config.model_type, ())
    classes = (found,) if isinstance(found, str) else tuple(found)
    architectures = tuple(config.architectures or ())
    if not classes or (architectures and not any(name in classes for name in architectures)):
        raise ConfigError(
            f"{name} is no causal language model: its architecture is {', '.join(architectures) or config.model_type}.",
            "Name a model whose class ends in ForCausalLM (or LMHeadModel).",
        )


def check_same_vocabulary(policy: Policy, reference: Policy) -> None:
    """KL compares probabilities token by token, so both must number the same tokens alike.

    Raises:
        ModelError: they do not.
    """
    if policy.tokenizer.get_vocab() != reference.tokenizer.get_vocab():
        raise ModelError(
            "the policy and its reference have different vocabularies, so their KL divergence is not defined.",
            "Start from a policy that was tuned from this reference.",
        )


def write(model: Any, tokenizer: Any, into: Path) -> None:
    """Write a model and its tokenizer into an existing folder."""
    with quiet():
        model.save_pretrained(str(into))
    tokenizer.save_pretrained(str(into))


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except SafetensorError as error:
        raise CorruptionDetected(f"the weights in {folder} are damaged: {error}") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"the model in {folder} cannot be loaded: {error}",
            "The folder needs config.json and weights as safetensors; pickled weights are not read.",
        ) from error


def _eos_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    named = getattr(model.generation_config, "eos_token_id", None)
    ids = [named] if isinstance(named, int) else list(named or ())
    if tokenizer.eos_token_id is not None:
        ids.append(tokenizer.eos_token_id)
    return tuple(sorted(dict.fromkeys(ids)))


def _context(config: Any, tokenizer: Any) -> int:
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return int(min(tokenizer.model_max_length, _UNLIMITED))
