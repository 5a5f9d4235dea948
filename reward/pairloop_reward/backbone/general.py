"""Hidden states of any transformers model, one text at a time or padded in batches."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pairloop_reward.backbone.sequences import Tokens


def general_states(model: Any, texts: Sequence[Tokens], pad: int, layer: int | None) -> list[Tensor]:
    """(L, d) hidden states of each text; shorter ones are padded on the right and the padding is masked.

    Args:
        layer: number of the hidden state, 0 the embeddings; None the model's output.
    """
    longest = max(len(text.ids) for text in texts)
    ids = torch.tensor([[*text.ids, *[pad] * (longest - len(text.ids))] for text in texts])
    mask = torch.tensor([[1] * len(text.ids) + [0] * (longest - len(text.ids)) for text in texts])
    arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
    accepted = inspect.signature(model.forward).parameters
    if "use_cache" in accepted:
        arguments["use_cache"] = False
    if layer is not None:
        arguments["output_hidden_states"] = True
    with torch.inference_mode():
        out = model(**arguments)
    states = out.last_hidden_state if layer is None else out.hidden_states[layer]
    return [own[: len(text.ids)] for own, text in zip(states, texts, strict=True)]
