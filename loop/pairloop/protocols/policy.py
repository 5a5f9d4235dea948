"""Policy tuning: one job, one result, and the tuner between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pairloop.protocols.models import Scorer
from pairloop.protocols.progress import Progress
from pairloop.records import PromptContent, ResponseView


@dataclass(frozen=True, slots=True)
class PolicyPrompt:
    """A prompt to tune on or to sample from."""

    id: str
    content: PromptContent
    group: str = ""


@dataclass(frozen=True, slots=True)
class PolicyJob:
    """One tuning job. Everything that decides the result is in here.

    Attributes:
        folder: private work folder; a job that was killed finds its own checkpoints there.
        policy: model folder to start from; ``reference``: π0, never inferred, the same in every round.
        prompts: prompts to tune on; ``probe`` prompts are never trained on and judge the result.
        kl_weight: β of the penalty in the reward; ``kl_budget``: stop beyond this KL to π0, nats a sequence.
        conservatism: k of the optimised reward mean − k·std.
        threads: processor threads to use; one by default, so that results do not depend on the machine.
    """

    folder: Path
    policy: Path
    reference: Path
    prompts: Sequence[PolicyPrompt]
    probe: Sequence[PolicyPrompt]
    kl_weight: float
    kl_budget: float
    conservatism: float
    seed: int
    threads: int = 1


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What tuning delivered.

    Attributes:
        checkpoint: model folder, loadable by transformers; complete.
        metrics: one mapping a step: step, reward, kl (nats a sequence), length, entropy …
        stop_reason: a sentence.
        summary: numbers before and after on the probe prompts, with what they were measured by.
    """

    checkpoint: Path
    metrics: Sequence[Mapping[str, float]]
    stop_reason: str
    summary: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Generated:
    """One sampled response."""

    prompt_id: str
    text: str
    sampling: Mapping[str, Any]


class PolicyTuner(Protocol):
    """Tunes a policy against a scorer, and samples from policies."""

    def prepare(self, model: str, corpus: Sequence[ResponseView], into: Path, *, seed: int, progress: Progress) -> None:
        """Write the initial policy π0 that the config names into an empty folder.

        ``model`` is a local folder, a hub name, or "scratch" (a small model trained on the corpus on the spot).
        """

    def tune(self, job: PolicyJob, scorer: Scorer, progress: Progress) -> PolicyResult:
        """Raise the reward within the KL budget."""

    def generate(
        self,
        policy: Path,
        prompts: Sequence[PolicyPrompt],
        n: int,
        scorer: Scorer | None,
        *,
        seed: int,
        threads: int = 1,
    ) -> Sequence[Generated]:
        """``n`` responses a prompt. best_of_n draws more and keeps the best by ``scorer``."""
