"""Batched sampling from any causal language model, with a key-value cache and no global random numbers.

Every response draws its tokens by inverting the cumulative distribution at uniform numbers of its own generator,
seeded from (seed, prompt id, number of the sample). So a response does not depend on which others share its batch
or in which order prompts come (up to rounding of the logits, which depends on the shape of the batch).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pairloop.errors import ConfigError, Diverged
from pairloop.kit.ids import response_id
from pairloop.kit.seeds import derive_seed
from pairloop.kit.tokens import encode_prompt
from pairloop.protocols import PolicyPrompt
from pairloop.records import ResponseView
from pairloop_policy.forward import forward
from pairloop_policy.models import Policy


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample: at most ``max_new_tokens`` (> 0), ``temperature`` > 0, nucleus ``top_p`` in (0, 1].

    ``allow_empty``: may the end of sequence come first?
    """

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    allow_empty: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled response.

    Attributes:
        prompt: index into the prompts. head: ids of the prompt as the model saw it.
        response: ids, with the end of sequence where it came. finished: it came.
        text: the response decoded, without special tokens: exactly what is scored, shown and stored.
        truncated: tokens cut from the beginning of the prompt.
    """

    prompt: int
    head: tuple[int, ...]
    response: tuple[int, ...]
    finished: bool
    text: str
    truncated: int


def sample(
    policy: Policy, prompts: Sequence[PolicyPrompt], n: int, how: Sampling, *, seed: int, batch_size: int = 64
) -> list[Sample]:
    """``n`` responses a prompt: those of the first prompt, of the second, and so on.

    Raises:
        ConfigError: ``max_new_tokens`` leaves no room for a prompt.
        Diverged: the model's logits are not finite.
    """
    heads = [fit_prompt(policy, prompt, how.max_new_tokens) for prompt in prompts]
    rows = [(p, k) for p in range(len(prompts)) for k in range(n)]
    # Rows of similar length share a batch, so that little is computed for padding.
    order = sorted(range(len(rows)), key=lambda row: (len(heads[rows[row][0]][0]), row))
    out: list[Sample | None] = [None] * len(rows)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        uniforms = torch.stack([_uniforms(seed, prompts[rows[r][0]].id, rows[r][1], how.max_new_tokens) for r in batch])
        decoded = _decode(policy, [heads[rows[r][0]][0] for r in batch], uniforms.to(policy.device), how)
        for row, (ids, finished) in zip(batch, decoded, strict=True):
            index = rows[row][0]
            head, cut = heads[index]
            out[row] = Sample(index, head, ids, finished, to_text(policy, ids, finished), cut)
    return [one for one in out if one is not None]


def views(samples: Sequence[Sample], prompts: Sequence[PolicyPrompt]) -> list[ResponseView]:
    """The samples as a scorer sees them."""
    return [
        ResponseView(response_id(p.id, s.text), p.id, p.content, s.text, p.group)
        for s in samples
        for p in (prompts[s.prompt],)
    ]


def fit_prompt(policy: Policy, prompt: PolicyPrompt, room: int) -> tuple[tuple[int, ...], int]:
    """Ids of a prompt with its beginning cut so that ``room`` more tokens fit, and how many were cut.

    Raises:
        ConfigError: not even one token of a prompt would fit, or the prompt has no token.
    """
    limit = policy.context - room
    if limit < 1:
        raise ConfigError(
            f"max_new_tokens is {room}, but the policy's context is only {policy.context} tokens, prompt included."
        )
    ids = encode_prompt(policy.tokenizer, prompt.content)
    if not ids:
        raise ConfigError(f"prompt {prompt.id} has no tokens under the policy's tokenizer.")
    return tuple(ids[-limit:]), max(len(ids) - limit, 0)


def to_text(policy: Policy, ids: Sequence[int], finished: bool) -> str:
    """A response decoded, without the end of sequence and other special tokens."""
    body = list(ids[:-1] if finished else ids)
    text: str = policy.tokenizer.decode(body, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


def _uniforms(seed: int, prompt_id: str, k: int, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(derive_seed(seed, prompt_id, k))
    return torch.rand(count, generator=generator, dtype=torch.float64)


def left_pad(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """(B, P) ids with the padding in front, and the mask of what is real."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


@torch.inference_mode()
def _decode(
    policy: Policy, heads: Sequence[Sequence[int]], uniforms: Tensor, how: Sampling
) -> list[tuple[tuple[int, ...], bool]]:
    """Response ids and whether they finished, a row each. ``uniforms``: (B, max_new_tokens) in [0, 1)."""
    ids, mask = (t.to(policy.device) for t in left_pad(heads, policy.pad))
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    eos = torch.tensor(policy.eos, device=policy.device)
    done = torch.zeros(len(heads), dtype=torch.bool, device=policy.device)
    lengths = torch.zeros(len(heads), dtype=torch.long, device=policy.device)
    chosen: list[Tensor] = []
    cache: Any = None
    for step in range(how.max_new_tokens):
        logits, cache = forward(policy.model, ids, mask, positions, keep=1, cache=cache, use_cache=True)
        last = logits[:, -1]
        if step == 0 and not how.allow_empty:
            last = last.index_fill(1, eos, float("-inf"))
        token = choose(last, uniforms[:, step], how)
        chosen.append(token)
        lengths += ~done
        done |= torch.isin(token, eos)
        if bool(done.all()):
            break
        ids, positions = token[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(heads), 1)], dim=1)
    table = torch.stack(chosen, dim=1).tolist()
    return [
        (tuple(row[:length]), finished)
        for row, length, finished in zip(table, lengths.tolist(), done.tolist(), strict=True)
    ]


def choose(logits: Tensor, uniform: Tensor, how: Sampling) -> Tensor:
    """(B,) token ids: the cumulative distribution of (B, V) logits, inverted at (B,) uniform numbers.

    Raises:
        Diverged: a row has no finite probabilities.
    """
    probabilities = torch.softmax(logits.double() / how.temperature, dim=-1)
    if not bool(torch.isfinite(probabilities).all()):
        raise Diverged("the policy's logits are not finite; nothing was sampled.")
    ranked = None
    if how.top_p < 1:
        probabilities, ranked = torch.sort(probabilities, dim=-1, descending=True, stable=True)
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before >= how.top_p, 0.0)
    cumulative = probabilities.cumsum(-1)
    target = uniform[:, None] * cumulative[:, -1:]
    index = torch.searchsorted(cumulative, target, right=True)
    # Rounding may put the target at the very end: fall back to the likeliest token instead of an impossible one.
    index = torch.where(index < cumulative.shape[1], index, probabilities.argmax(-1, keepdim=True))
    return (index if ranked is None else ranked.gather(1, index))[:, 0]
