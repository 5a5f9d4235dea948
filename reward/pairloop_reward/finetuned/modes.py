"""Which weights train: all, all but the lowest blocks, or adapters beside the frozen ones."""

from typing import Any

import torch
from torch import nn

from pairloop.errors import ConfigError
from pairloop.kit.extras import require
from pairloop_reward.finetuned.network import FRESH, Network
from pairloop_reward.finetuned.options import FinetunedOptions


def prepare(network: Network, options: FinetunedOptions, seed: int) -> dict[str, nn.Parameter]:
    """Freeze what does not train, add adapters where they are wanted; the parameters that train, by name.

    Raises:
        ConfigError: the model has no list of blocks, or too few. MissingExtra: "lora" without peft.
    """
    model = network.model
    model.requires_grad_(options.mode == "full")
    if options.mode == "frozen":
        blocks = block_list(model)
        if options.frozen_layers >= len(blocks):
            raise ConfigError(
                f"reward.options.frozen_layers is {options.frozen_layers}, but the model has {len(blocks)} blocks",
                f"At most {len(blocks) - 1}, so that something is left to train.",
            )
        for block in blocks[options.frozen_layers :]:
            block.requires_grad_(True)
    if options.mode == "lora":
        _add_adapters(network, options, seed)
    for name, parameter in model.named_parameters():
        # the head, and what transformers had to invent because the files lack it
        if any(part in name for part in FRESH) and "lora_" not in name:
            parameter.requires_grad_(True)
    if network.head.bias is not None:
        network.head.bias.requires_grad_(False)  # a constant says nothing about a pair
    return {name: p for name, p in sorted(model.named_parameters()) if p.requires_grad}


def block_list(model: nn.Module) -> list[nn.Module]:
    """The transformer's blocks: the longest list of equal modules.

    Raises:
        ConfigError: there is none.
    """
    lists = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList) and len(module)]
    lists = [blocks for blocks in lists if len({type(block) for block in blocks}) == 1]
    if not lists:
        raise ConfigError('the model has no list of blocks, so mode = "frozen" cannot be used with it.')
    return max(lists, key=len)


def _add_adapters(network: Network, options: FinetunedOptions, seed: int) -> None:
    peft = require("peft", "lora", 'reward.options.mode = "lora"')
    blocks = {id(module) for block in block_list(network.model) for module in block.modules()}
    names = [
        name
        for name, module in network.model.named_modules()
        if id(module) in blocks and type(module).__name__ in ("Linear", "Conv1D")
    ]
    config = peft.LoraConfig(
        r=options.lora_rank, lora_alpha=options.lora_alpha, lora_dropout=0.0, target_modules=names, bias="none"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed & 0x7FFFFFFF)
        peft.inject_adapter_in_model(config, network.model)


def merge(network: Network) -> None:
    """Work adapters into the weights beside them, so that a plain transformers model remains."""
    model: Any = network.model
    layers = [(name, module) for name, module in model.named_modules() if hasattr(module, "get_base_layer")]
    for name, module in layers:
        module.merge()
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, module.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
    if hasattr(model, "_hf_peft_config_loaded"):
        model._hf_peft_config_loaded = False
    model.requires_grad_(False)
