"""A small Llama trained on the campaign's own responses, so that everything can be tried without a download.

It learns a byte-pair vocabulary and then to continue each prompt by its responses. It is good for demonstrations and
tests, and for nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pairloop.errors import ConfigError, Diverged, NoSignal
from pairloop.kit.seeds import derive_seed, generator
from pairloop.kit.text import plain
from pairloop.kit.tokens import encode
from pairloop.protocols import Progress
from pairloop.records import ResponseView
from pairloop_policy.models import Policy, assemble
from pairloop_policy.options import ScratchOptions
from pairloop_policy.runtime import deterministic

PAD, BOS, EOS = "<pad>", "<s>", "</s>"
_CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:\n{% endif %}"
)
_IGNORED = -100
_INITIAL_STD = 0.06
"""Three times the usual 0.02, which is meant for wide models: a narrow one learns twice as fast from here."""


def train(corpus: Sequence[ResponseView], options: ScratchOptions, *, seed: int, progress: Progress) -> Policy:
    """Train tokenizer and model on the corpus; the same corpus, options and seed give the same bytes.

    Raises:
        NoSignal: the corpus holds no text. ConfigError: sizes that do not fit each other. Diverged: the loss does.
    """
    texts = [view for view in corpus if view.text.strip()]
    if not texts:
        raise NoSignal("there is no response to train a policy on.", "Name an existing model as policy.model.")
    with deterministic(1):
        tokenizer = train_tokenizer([t for v in texts for t in (plain(v.prompt), v.text)], options)
        rows = [_row(tokenizer, view, options.context) for view in texts]
        model = _new_model(tokenizer, options, seed)
        _fit(model, rows, options, seed, progress)
    return assemble(model, tokenizer, "scratch", torch.device("cpu"))


def train_tokenizer(texts: Sequence[str], options: ScratchOptions) -> Any:
    """A byte-level BPE tokenizer with bos, eos, pad and a chat template; any text can be encoded and comes back."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=options.vocabulary,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    core.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, core.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        chat_template=_CHAT,
        model_max_length=options.context,
        clean_up_tokenization_spaces=False,
    )


def _new_model(tokenizer: Any, options: ScratchOptions, seed: int) -> LlamaForCausalLM:
    if options.width % (2 * options.heads):
        raise ConfigError(
            f"policy.options.scratch: width {options.width} is not a multiple of twice the {options.heads} heads."
        )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=options.width,
        intermediate_size=options.width * 2,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        max_position_embeddings=options.context,
        tie_word_embeddings=True,
        initializer_range=_INITIAL_STD,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    # transformers draws initial weights from torch's global generator: seed it, and put it back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "scratch"))
        return LlamaForCausalLM(config)


@dataclass(frozen=True, slots=True)
class _Row:
    ids: tuple[int, ...]
    prompt: int


def _row(tokenizer: Any, view: ResponseView, context: int) -> _Row:
    encoded = encode(tokenizer, view.prompt, view.text, context)
    return _Row(encoded.prompt + encoded.response, len(encoded.prompt))


def _fit(model: LlamaForCausalLM, rows: Sequence[_Row], options: ScratchOptions, seed: int, progress: Progress) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=0.05)
    batches = _batches(rows, options, seed)
    progress.start("training a small language model", options.steps)
    model.train()
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * _schedule(step, options.steps)
        ids, labels, mask = _collate(batch)
        hidden = model.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
        # The output head is most of a small model's work: leave out prompts and padding.
        wanted = labels[:, 1:] != _IGNORED
        loss = cross_entropy(model.lm_head(hidden[wanted]), labels[:, 1:][wanted])
        if not torch.isfinite(loss):
            raise Diverged("the loss of the small language model is not finite.", "Lower its learning rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        progress.advance(1, f"loss {loss.item():.2f}")
    progress.finish()


def _schedule(step: int, total: int) -> float:
    warm = max(total // 10, 1)
    if step < warm:
        return (step + 1) / warm
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1)))


def _batches(rows: Sequence[_Row], options: ScratchOptions, seed: int) -> list[list[_Row]]:
    """``steps`` batches, epoch by epoch; rows of similar length go together, so that little is padding."""
    out: list[list[_Row]] = []
    epoch = 0
    while len(out) < options.steps:
        rng = generator(seed, "scratch", epoch)
        order = rng.permutation(len(rows))
        pool = 16 * options.batch_size
        chunks = []
        for start in range(0, len(order), pool):
            part = sorted(order[start : start + pool].tolist(), key=lambda i: (len(rows[i].ids), i))
            chunks += [part[i : i + options.batch_size] for i in range(0, len(part), options.batch_size)]
        out += [[rows[i] for i in chunks[j]] for j in rng.permutation(len(chunks))]
        epoch += 1
    return out[: options.steps]


def _collate(batch: Sequence[_Row]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    width = max(len(row.ids) for row in batch)
    ids = torch.tensor([list(row.ids) + [0] * (width - len(row.ids)) for row in batch])
    mask = torch.tensor([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in batch])
    labels = ids.masked_fill(mask == 0, _IGNORED)
    for i, row in enumerate(batch):
        labels[i, : row.prompt] = _IGNORED
    return ids, labels, mask
