"""A judge behind an OpenAI-compatible chat endpoint: one question, one request."""

import math
import time
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from pairloop.errors import BackendRejected
from pairloop.kit.canonical import digest
from pairloop.kit.text import for_terminal
from pairloop.protocols import JudgeAnswer, JudgeContext, JudgeQuestion
from pairloop.records import Choice
from pairloop_plugins.judge.options import OpenAIOptions
from pairloop_plugins.judge.parsing import agrees, parse, soft
from pairloop_plugins.judge.template import load_template
from pairloop_plugins.judge.transport import Refused, Transport
from pairloop_plugins.secrets import read_key, redacted

_OVERHEAD = 64  # tokens that a chat format adds to the messages, at most
_MILLION = 1e6
_TOP = 5  # every endpoint that gives log-probabilities gives so many


class EndpointJudge:
    """Implements `pairloop.protocols.Judge`."""

    batch_size = 1

    def __init__(self, options: OpenAIOptions, context: JudgeContext, transport: Transport | None = None) -> None:
        """Read the template.

        Raises:
            ConfigError: the template cannot be used.
        """
        self._options = options
        self._template = load_template(context.base, options.template)
        self._made = transport
        self._key: str | None = None
        self._lock = Lock()
        self._without_logprobs = False
        self.concurrency = options.concurrency
        decides = {"template": self._template.digest, "last_line": options.last_line, "body": self._parameters(True)}
        self.identity = f"openai {options.base_url} {options.model} {digest(decides)[:16]}"[:200]

    @property
    def _transport(self) -> Transport:
        """Made by the first question, whichever thread asks it."""
        o = self._options
        with self._lock:
            if self._made is None:
                self._key = read_key(o.api_key_env or None, o.api_key_keyring)
                self._made = Transport(
                    f"{o.base_url}/chat/completions", self._key,
                    timeout=o.timeout, tries=o.tries, longest_wait=o.longest_wait,
                )  # fmt: skip
            return self._made

    def price(self, question: JudgeQuestion) -> float:
        """A token stands for one byte at least, so that the bytes of the question bound its tokens."""
        system, user = self._template.fill(question)
        return self._cost(len(system.encode()) + len(user.encode()) + _OVERHEAD, self._options.max_tokens)

    def ask(self, questions: Sequence[JudgeQuestion]) -> Sequence[JudgeAnswer]:
        """One request each; what cannot be parsed is an abstention, paid like any other answer.

        Raises:
            BackendUnavailable: every try failed. BackendRejected: the key or the address is wrong.
        """
        return [self._ask_one(question) for question in questions]

    def _ask_one(self, question: JudgeQuestion) -> JudgeAnswer:
        started = time.monotonic()
        system, user = self._template.fill(question)
        messages = [{"role": "user", "content": user}]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        try:
            reply = self._post(messages)
        except Refused as error:  # this question will never be answered: too long, filtered …
            return JudgeAnswer(Choice.SKIP, reason=f"refused with {error}")
        cost = self._paid(reply, self.price(question))
        return self._answer(reply, cost, round(time.monotonic() - started, 3))

    def _post(self, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Some endpoints refuse the request because of ``logprobs``: those are asked without."""
        try:
            return self._transport.post({"messages": list(messages), **self._parameters(not self._without_logprobs)})
        except Refused as error:
            if self._without_logprobs or not self._options.logprobs or "logprob" not in error.text.lower():
                if error.status == 400 and "model" in error.text.lower() and "exist" in error.text.lower():
                    hint = "Check judge.options.model."
                    raise BackendRejected(f"the judge's model is not known: {error}", hint) from None
                raise
            self._without_logprobs = True
            return self._transport.post({"messages": list(messages), **self._parameters(False)})

    def _parameters(self, logprobs: bool) -> dict[str, Any]:
        """Everything of the request but the messages."""
        o = self._options
        body: dict[str, Any] = {
            "model": o.model, "temperature": o.temperature, "seed": o.seed, "max_tokens": o.max_tokens, "n": 1,
        }  # fmt: skip
        if logprobs and o.logprobs and not o.last_line:
            body |= {"logprobs": True, "top_logprobs": _TOP}
        return {name: value for name, value in (body | dict(o.extra_body)).items() if name not in o.omit}

    def _answer(self, reply: Mapping[str, Any], cost: float, seconds: float) -> JudgeAnswer:
        text = _text(reply)
        if text is None:
            return JudgeAnswer(Choice.SKIP, reason="the reply holds no text", seconds=seconds, cost=cost)
        choice = parse(text, last_line=self._options.last_line)
        if choice is None:
            shown = for_terminal(" ".join(redacted(text, self._key).split()), 80)
            return JudgeAnswer(Choice.SKIP, reason=f"no answer in: {shown!r}", seconds=seconds, cost=cost)
        p_left = soft(_first_token(reply))
        return JudgeAnswer(choice, p_left if agrees(choice, p_left) else None, seconds=seconds, cost=cost)

    def _paid(self, reply: Mapping[str, Any], most: float) -> float:
        """By the reply's ``usage``; the most that it can have cost where that is missing."""
        usage = reply.get("usage")
        counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")] if isinstance(usage, dict) else []
        if len(counts) != 2 or not all(_is_count(count) for count in counts):
            return most
        return self._cost(*(float(count) for count in counts if count is not None))

    def _cost(self, tokens_in: float, tokens_out: float) -> float:
        return (tokens_in * self._options.price_in + tokens_out * self._options.price_out) / _MILLION

    def check(self) -> str:
        """Ask which of two sums is right.

        Raises:
            BackendError: it cannot be asked, or its answer is none.
        """
        answer = self._ask_one(JudgeQuestion("How much is two and two?", "Four.", "Two and two are nine."))
        if answer.choice is Choice.SKIP:
            raise BackendRejected(
                f"the judge {self._options.model} gave no usable answer: {answer.reason}",
                "Check the template, max_tokens and omit in judge.options.",
            )
        how = "with probabilities" if answer.p_left is not None else "without probabilities"
        return f"{self._options.model} at {self._options.base_url} answers {how}, in {answer.seconds:.1f} s"

    def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            self._made.close()


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _text(reply: Mapping[str, Any]) -> str | None:
    """The text of the first choice, wherever the reply keeps to the format."""
    try:
        found = reply["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _first_token(reply: Mapping[str, Any]) -> dict[str, float]:
    """Log-probabilities of the first token that is not blank; {} where the reply has none."""
    try:
        for place in reply["choices"][0]["logprobs"]["content"]:
            if place["token"].strip():
                return {str(each["token"]): float(each["logprob"]) for each in place["top_logprobs"]}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return {}
    return {}
