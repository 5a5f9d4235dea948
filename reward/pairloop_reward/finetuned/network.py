"""A transformer with a scalar head: what `AutoModelForSequenceClassification` builds, read at its last hidden layer.

The reward is the head's product with the hidden state that feeds it: for an encoder whatever its class pools, for a
causal model that of the last real token. Which token is the last is told by length, never by the padding id: many
causal models pad with their end of sequence, and transformers would then read the token before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pairloop.errors import ConfigError
from pairloop_reward.backbone.loading import (
    check_vocabulary,
    context_length,
    is_causal,
    load_config,
    load_model,
    load_tokenizer,
)
from pairloop_reward.backbone.location import Location

FRESH = ("pooler", "lm_head", "cls.", "classifier", "score", "position_ids", "head.")
"""Parts of names of weights that a model without a scalar head may lack; they always train."""
_PAD = "<|pad|>"


@dataclass(slots=True)
class Network:
    """A model with its tokenizer.

    Attributes:
        head: the linear layer that the reward comes out of. causal: the last token has seen everything.
        pad: id that fills. context: longest sequence in tokens.
        headed: the files brought a scalar head: they are those of a reward model already.
    """

    model: Any
    tokenizer: Any
    head: nn.Linear
    causal: bool
    pad: int
    context: int
    device: torch.device
    headed: bool = False

    def hidden(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """(B, d) states that feed the head, float32, for B token sequences padded on the right."""
        width = max(map(len, sequences))
        ids = torch.tensor([[*each, *[self.pad] * (width - len(each))] for each in sequences], device=self.device)
        mask = torch.tensor([[1] * len(each) + [0] * (width - len(each)) for each in sequences], device=self.device)
        caught: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _module, inputs: caught.append(inputs[0]))
        try:
            self.model(input_ids=ids, attention_mask=mask)
        finally:
            hook.remove()
        state = caught[0]
        if state.dim() == 3:
            last = torch.tensor([len(each) - 1 for each in sequences], device=self.device)
            state = state[torch.arange(len(sequences), device=self.device), last]
        return state.float()

    def rewards(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """(B,) rewards, float32."""
        return self.hidden(sequences) @ self.head.weight[0]

    def set_head(self, weights: Any) -> None:
        """Let the reward be this (d,) product with the last layer."""
        with torch.no_grad():
            self.head.weight[0] = torch.as_tensor(weights, dtype=torch.float32, device=self.device)
            if self.head.bias is not None:
                self.head.bias.zero_()


def load_network(location: Location, device: torch.device) -> Network:
    """The model in a folder with a scalar head, its new weights always the same; nothing in it drops out.

    Raises:
        ConfigError: not an encoder or causal model with a sequence classifier, or the tokenizer is another model's.
        CorruptionDetected: the weights are damaged. MissingExtra: torch or transformers are missing.
    """
    config = load_config(location)
    if getattr(config, "is_encoder_decoder", False):
        raise ConfigError(
            f"{location.name} is an encoder-decoder model ({config.model_type}), which is not supported here",
            "Name an encoder or a causal language model.",
        )
    model = load_model(
        location, auto_class="AutoModelForSequenceClassification", may_lack=FRESH, num_labels=1,
        ignore_mismatched_sizes=False,
    )  # fmt: skip
    tokenizer = load_tokenizer(location)
    check_vocabulary(location, model, tokenizer)
    network = assemble(model, tokenizer, location.name, device)
    network.headed = any(str(name).endswith("ForSequenceClassification") for name in config.architectures or ())
    return network


def assemble(model: Any, tokenizer: Any, name: str, device: torch.device) -> Network:
    """Find the head and settle the padding.

    Raises:
        ConfigError: the model has no scalar head.
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear) and module.out_features == 1]
    if not linear:
        raise ConfigError(
            f"{name}: its sequence classifier ends in no linear layer with one output", "Name another architecture."
        )
    causal = is_causal(model.config)
    context = context_length(model.config, tokenizer)
    pad = _padding(model, tokenizer, causal)
    model.config.problem_type = "regression"
    return Network(model.to(device).eval(), tokenizer, linear[-1], causal, pad, context, device)


def _padding(model: Any, tokenizer: Any, causal: bool) -> int:
    """The padding id; a causal model gets a token of its own where it would share the end of sequence.

    Nothing here needs that. It lets transformers, which tells the last token by its id, find the same one.
    """
    pad, ends = tokenizer.pad_token_id, model.config.eos_token_id
    taken = {tokenizer.eos_token_id, *(ends if isinstance(ends, (list, tuple)) else [ends])}
    if causal and (pad is None or pad in taken):
        tokenizer.add_special_tokens({"pad_token": _PAD})
        pad = int(tokenizer.pad_token_id)
        embeddings = model.get_input_embeddings().weight
        if pad >= len(embeddings):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                model.resize_token_embeddings(pad + 1, mean_resizing=False)
            with torch.no_grad():
                model.get_input_embeddings().weight[pad] = 0.0
    model.config.pad_token_id = 0 if pad is None else pad
    return int(model.config.pad_token_id)
