"""One way to call a causal language model, and log-probabilities of responses by it."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache as memoize
from typing import Any, Protocol

import torch
from torch import Tensor


class Scored(Protocol):
    """What is needed of a sample to compute its log-probability."""

    @property
    def head(self) -> Sequence[int]: ...  # noqa: D102

    @property
    def response(self) -> Sequence[int]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Sequences:
    """Prompts padded on the left, responses on the right, so that all responses begin in the same column.

    Attributes:
        ids, mask, positions: (B, P + T) token ids, 1 where real, position of each real token in its sequence.
        response: (B, T) ids. weight: (B, T) 1.0 on the tokens of the response, its end of sequence among them.
    """

    ids: Tensor
    mask: Tensor
    positions: Tensor
    response: Tensor
    weight: Tensor


def collate(samples: Sequence[Scored], pad: int, device: torch.device) -> Sequences:
    """Lay samples out as `Sequences`. Padding is told by length: ``pad`` may well be the end of sequence."""
    before = max(len(s.head) for s in samples)
    after = max(len(s.response) for s in samples)
    ids, mask = [], []
    for s in samples:
        left, right = before - len(s.head), after - len(s.response)
        ids.append([pad] * left + list(s.head) + list(s.response) + [pad] * right)
        mask.append([0] * left + [1] * (len(s.head) + len(s.response)) + [0] * right)
    all_ids, all_mask = torch.tensor(ids, device=device), torch.tensor(mask, device=device)
    positions = (all_mask.cumsum(1) - 1).clamp(min=0)
    return Sequences(all_ids, all_mask, positions, all_ids[:, before:], all_mask[:, before:].float())


def response_log_probs(model: Any, batch: Sequences, temperature: float) -> tuple[Tensor, Tensor]:
    """(B, T) log-probability of each response token given all before it, and (B, T) entropy of its distribution.

    Nats, at ``temperature``; zero where there is padding. Gradients flow unless the caller forbids them.
    """
    width = batch.response.shape[1]
    logits, _ = forward(model, batch.ids, batch.mask, batch.positions, keep=width + 1)
    # The logits at a position are about the *next* token: the last prompt token predicts the first response token.
    predicting = logits[:, -(width + 1) : -1].float() / temperature
    log_probs = torch.log_softmax(predicting, dim=-1)
    chosen = log_probs.gather(2, batch.response[:, :, None])[:, :, 0]
    with torch.no_grad():
        entropy = -(log_probs.exp() * log_probs).sum(-1)
    return chosen * batch.weight, entropy * batch.weight


def forward(
    model: Any, ids: Tensor, mask: Tensor, positions: Tensor, *, keep: int, cache: Any = None, use_cache: bool = False
) -> tuple[Tensor, Any]:
    """Logits of at least the last ``keep`` positions, and the key-value cache.

    ``ids`` and ``positions`` are (B, L) new tokens, ``mask`` (B, L + cached). Arguments that an architecture does
    not know (positions where they follow from the mask, say) are left out.
    """
    accepted = _parameters(model.__class__)
    arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": use_cache}
    if "position_ids" in accepted:
        arguments["position_ids"] = positions
    if "logits_to_keep" in accepted:
        arguments["logits_to_keep"] = keep
    if use_cache and cache is not None:
        arguments["past_key_values"] = cache
    out = model(**arguments)
    return out.logits, getattr(out, "past_key_values", None) if use_cache else None


@memoize
def _parameters(model_class: Any) -> frozenset[str]:
    return frozenset(inspect.signature(model_class.forward).parameters)
