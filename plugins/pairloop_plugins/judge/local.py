"""A causal language model on this machine as judge: which of the answers A, B and tie does it find most likely?

Nothing is sampled: the log-likelihood of each answer after the filled template is compared, so that any model gives an
answer, a small base model too, and always the same one. A question that does not fit into the model's context is an
abstention; it is never cut.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from pairloop.errors import BackendRejected, ConfigError
from pairloop.kit.canonical import digest
from pairloop.protocols import JudgeAnswer, JudgeContext, JudgeQuestion
from pairloop.records import Choice
from pairloop_plugins.judge.options import LocalOptions
from pairloop_plugins.judge.template import load_template

_ANSWERS = ("A", "B", "tie")
_UNLIMITED = 1 << 20
_PART = 1 << 20  # bytes hashed at a time


class LocalJudge:
    """Implements `pairloop.protocols.Judge`."""

    concurrency = 1

    def __init__(self, options: LocalOptions, context: JudgeContext) -> None:
        """Read the template; the model is loaded when it is first asked.

        Raises:
            ConfigError: the template cannot be used, or the device is not there.
        """
        if options.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("judge.options.device is 'cuda', but torch finds no CUDA device", "Set device = 'cpu'.")
        self._options = options
        self._threads = context.threads
        self._template = load_template(context.base, options.template)
        folder = context.base / Path(options.model).expanduser()
        self._folder = folder if folder.is_dir() else None
        self.batch_size = options.batch_size

    @cached_property
    def identity(self) -> str:
        """Of a folder its files, of a hub model its name and revision."""
        o = self._options
        weights = f"{o.model}@{o.revision}" if self._folder is None else _folder_digest(self._folder)
        decides = [weights, self._template.digest, o.chat, o.ties, o.dtype]
        return f"local {Path(o.model).name} {digest(decides)[:16]}"

    def price(self, question: JudgeQuestion) -> float:
        """It costs time alone."""
        return 0.0

    def ask(self, questions: Sequence[JudgeQuestion]) -> Sequence[JudgeAnswer]:
        """Compare the likelihoods of the answers.

        Raises:
            ConfigError: the model cannot be loaded, or has no chat template where one is wanted.
        """
        if not questions:
            return []
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)  # sums then have one order
        try:
            return [self._answer(question) for question in questions]
        finally:
            torch.set_num_threads(before)

    def _answer(self, question: JudgeQuestion) -> JudgeAnswer:
        head = self._encode(question)
        tails = self._tails
        if len(head) + max(len(tail) for tail in tails) > self._context:
            return JudgeAnswer(Choice.SKIP, reason=f"{len(head)} tokens do not fit into the context of {self._context}")
        scores = self._log_likelihoods(head, tails)
        if not bool(torch.isfinite(scores).all()):
            return JudgeAnswer(Choice.SKIP, reason="the model's probabilities are not finite")
        share = torch.softmax(scores, dim=0).tolist()
        tie = share[2] if self._options.ties else 0.0
        best = max(range(len(share)), key=lambda i: share[i])
        return JudgeAnswer((Choice.LEFT, Choice.RIGHT, Choice.TIE)[best], _probability(share[0], share[1], tie, best))

    def _log_likelihoods(self, head: list[int], tails: list[list[int]]) -> torch.Tensor:
        """(answers,) log-likelihood of each answer after the question."""
        longest = max(len(tail) for tail in tails)
        rows = [
            head + tail + [tail[-1]] * (longest - len(tail)) for tail in tails
        ]  # what follows an answer is not seen
        device = self._options.device
        with torch.no_grad():
            logits = self._model(torch.tensor(rows, device=device)).logits[:, len(head) - 1 : -1].float()
        steps = torch.log_softmax(logits, dim=-1)
        found = [
            steps[row, torch.arange(len(tail)), torch.tensor(tail)].sum().double().cpu()
            for row, tail in enumerate(tails)
        ]
        return torch.stack(found)

    def _encode(self, question: JudgeQuestion) -> list[int]:
        system, user = self._template.fill(question)
        if self._chat:
            messages = [{"role": "user", "content": user}]
            if system:
                messages.insert(0, {"role": "system", "content": system})
            out = self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=True, return_dict=True
            )
            return list(out["input_ids"])
        ids = list(self._tokenizer(f"{system}\n\n{user}\nAnswer:".strip(), add_special_tokens=True)["input_ids"])
        if len(ids) > 1 and ids[-1] == self._tokenizer.eos_token_id:
            ids.pop()  # some tokenizers end every text
        return ids

    @cached_property
    def _chat(self) -> bool:
        has = bool(self._tokenizer.chat_template)
        if self._options.chat == "always" and not has:
            raise ConfigError(f"judge.options.chat is 'always', but {self._options.model} has no chat template")
        return has and self._options.chat != "never"

    @cached_property
    def _tails(self) -> list[list[int]]:
        """Token ids of the answers."""
        words = _ANSWERS if self._options.ties else _ANSWERS[:2]
        lead = "" if self._chat else " "
        tails = [list(self._tokenizer(lead + word, add_special_tokens=False)["input_ids"]) for word in words]
        if not all(tails) or len({tuple(tail) for tail in tails}) < len(tails):
            raise ConfigError(f"{self._options.model}: its tokenizer cannot tell the answers {', '.join(words)} apart")
        return tails

    @cached_property
    def _tokenizer(self) -> Any:
        return self._loaded(AutoTokenizer)

    @cached_property
    def _model(self) -> Any:
        made = self._loaded(AutoModelForCausalLM, dtype=self._options.dtype, use_safetensors=True)
        return made.to(self._options.device).eval()

    @cached_property
    def _context(self) -> int:
        known = getattr(self._model.config, "max_position_embeddings", None) or getattr(
            self._model.config, "n_positions", None
        )
        return int(known) if known else _UNLIMITED

    def _loaded(self, kind: Any, **how: Any) -> Any:
        """A part of the model; no code of the folder is run, and no pickle is opened.

        Raises:
            ConfigError: it cannot be loaded.
        """
        source = self._options.model if self._folder is None else str(self._folder)
        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            return kind.from_pretrained(
                source, revision=self._options.revision or "main", trust_remote_code=False,
                local_files_only=self._folder is not None, **how,
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"judge.options.model: cannot load {source}: {error}", "Name a folder or a hub model with safetensors."
            ) from error
        finally:
            if shown:
                logging.enable_progress_bar()  # type: ignore[no-untyped-call]

    def check(self) -> str:
        """Load the model, and ask which of two sums is right.

        Raises:
            BackendRejected: the question does not fit.
        """
        (answer,) = self.ask([JudgeQuestion("How much is two and two?", "Four.", "Two and two are nine.")])
        if answer.choice is Choice.SKIP:
            raise BackendRejected(f"the judge {self._options.model} cannot answer: {answer.reason}")
        how = "by its chat template" if self._chat else "without a chat template"
        return f"{self._options.model} answers {how}"

    def close(self) -> None:
        """Forget the model."""
        self.__dict__.pop("_model", None)


def _probability(left: float, right: float, tie: float, best: int) -> float | None:
    """Half of a tie's for each side; None where that would contradict the choice."""
    p = left + tie / 2.0
    p = p / (left + right + tie)
    return None if (best == 0 and p < 0.5) or (best == 1 and p > 0.5) else min(max(p, 0.0), 1.0)


def _folder_digest(folder: Path) -> str:
    """sha256 over names and bytes of the model's files."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in (".json", ".safetensors", ".model", ".txt", ".jinja"):
            own = hashlib.sha256()
            with path.open("rb") as file:
                while part := file.read(_PART):
                    own.update(part)
            total.update(f"{path.name}:{own.hexdigest()}\n".encode())
    return total.hexdigest()
