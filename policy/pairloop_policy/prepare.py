"""The initial policy π0: a local folder, a model of the Hugging Face hub, or a small one trained on the spot."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from pairloop.errors import ConfigError, ModelError
from pairloop.kit.staging import disk_trouble
from pairloop.protocols import Progress
from pairloop.records import ResponseView
from pairloop_policy import models
from pairloop_policy.options import ScratchOptions

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def prepare(
    model: str, corpus: Sequence[ResponseView], into: Path, scratch: ScratchOptions, *, seed: int, progress: Progress
) -> None:
    """Write π0 into the folder ``into``: safetensors, config and tokenizer.

    Raises:
        ConfigError: ``model`` is no usable causal language model.
        ModelError: the hub cannot be reached or does not have it.
        StorageFull: the disk is full, read-only or failing.
    """
    if model == "scratch":
        from pairloop_policy.scratch import train

        policy = train(corpus, scratch, seed=seed, progress=progress)
    else:
        progress.start(f"loading {model}")
        policy = _from_folder(Path(model).expanduser()) if Path(model).expanduser().exists() else _from_hub(model)
        progress.finish()
    with disk_trouble(into):
        models.write(policy.model, policy.tokenizer, into)


def _from_folder(folder: Path) -> models.Policy:
    return models.load(folder, torch.device("cpu"), "auto")


def _from_hub(name: str) -> models.Policy:
    if not _HUB_NAME.fullmatch(name) or name.startswith("."):
        raise ConfigError(
            f"policy.model is {name!r}: there is no such folder, and it is no name of a hub model.",
            'Name an existing folder, a hub model ("owner/name"), or "scratch".',
        )
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    try:
        models.check_config(AutoConfig.from_pretrained(name, trust_remote_code=False), name)
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(name, dtype="auto", use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the model {name!r} cannot be had from the hub: {str(error).splitlines()[0]}",
            "Check name, network and HF_TOKEN; or download it elsewhere and give the folder's path as policy.model.",
        ) from error
    return models.assemble(model, tokenizer, name, torch.device("cpu"))
