"""The built-in judges, announced. Nothing heavy is imported before a factory runs."""

from collections.abc import Sequence

from pairloop.hookspecs import hookimpl
from pairloop.protocols import Judge, JudgeContext, JudgeSpec
from pairloop_plugins.judge.options import LocalOptions, OpenAIOptions


def make_openai(options: OpenAIOptions, context: JudgeContext) -> Judge:
    """A judge behind an OpenAI-compatible endpoint; the key is read when it is first needed."""
    from pairloop_plugins.judge.endpoint import EndpointJudge

    return EndpointJudge(options, context)


def make_local(options: LocalOptions, context: JudgeContext) -> Judge:
    """A causal language model on this machine, loaded when it is first asked.

    Raises:
        MissingExtra: torch or transformers is not installed.
    """
    from pairloop.kit.extras import require

    for module in ("torch", "transformers"):
        require(module, "torch", "the judge 'local'")
    from pairloop_plugins.judge.local import LocalJudge

    return LocalJudge(options, context)


@hookimpl
def pairloop_judges() -> Sequence[JudgeSpec]:
    """Offer ``openai`` and ``local``."""
    return [
        JudgeSpec("openai", make_openai, OpenAIOptions, "a model behind any OpenAI-compatible chat endpoint"),
        JudgeSpec("local", make_local, LocalOptions, "a causal language model on this machine, by log-likelihood"),
    ]
