"""The SPI: what a plugin implements, and what it is given.

Everything here is structural (``typing.Protocol``); a plugin inherits nothing. `pairloop.testing` ships contract
tests for each protocol.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pairloop.posterior import FloatArray, IntArray, PreferencePosterior
from pairloop.records import Page, PromptContent, RejectedRow, ResponseView, SourceRow, Task

BoolArray = NDArray[np.bool_]
T = TypeVar("T")

# ---------------------------------------------------------------------------------------------- progress


class Progress(Protocol):
    """Where long work reports to; the command line draws it, tests ignore it."""

    def start(self, label: str, total: int | None = None) -> None:
        """Begin a piece of work of ``total`` units (None: unknown)."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """``n`` more units are done."""

    def finish(self) -> None:
        """The piece of work is done."""


# ---------------------------------------------------------------------------------------------- backends


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do; the orchestrator works around what it cannot.

    Attributes:
        idempotent_publish: publishing a key twice makes one task; otherwise ``lookup`` must work.
        lookup: finds tasks by key.
        cancel: withdraws open tasks.
        prelabels: shows or stores the model's guess.
        assigns_annotators: gives each replica to another person by itself.
        only_recorded: answers only pairs that came with recorded votes (replay), each vote once.
        blocking: ``poll`` has all answers at once, so waiting is pointless (simulators).
    """

    idempotent_publish: bool = False
    lookup: bool = True
    cancel: bool = False
    prelabels: bool = False
    assigns_annotators: bool = False
    only_recorded: bool = False
    blocking: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a publish call: remote ids by key, and refusals by key with the reason."""

    remote_ids: Mapping[str, str]
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackendContext:
    """What a backend is given at construction.

    Attributes:
        folder: a private folder of this backend inside the campaign; it exists.
        campaign: the campaign's id; seed: the campaign's seed.
        gold: a gold scorer where the config names one (simulated annotators need it).
        cost_per_vote: the config's price of a vote.
    """

    folder: Path
    campaign: str
    seed: int
    gold: "GoldScorer | None" = None
    cost_per_vote: float = 0.0


class Backend(Protocol):
    """A place where people (or simulators) answer. No method waits for people.

    A call that did not reach the backend, or whose answer got lost, raises ``BackendUnavailable``; the
    orchestrator then looks up before it sends anything again.
    """

    name: str
    capabilities: Capabilities

    def publish(self, tasks: Sequence[Task]) -> Published:
        """Create the tasks. Keys that are already there keep their remote id if ``idempotent_publish``."""

    def lookup(self, keys: Collection[str]) -> Mapping[str, str]:
        """Remote ids of those of the keys that the backend holds; unknown keys are left out."""

    def poll(self, cursor: str | None) -> Page:
        """One page of annotations after ``cursor`` (None: from the beginning).

        The same cursor gives a page that contains at least the same annotations; repeats are harmless.
        """

    def cancel(self, keys: Collection[str]) -> Collection[str]:
        """Withdraw open tasks; the keys for which the backend *confirms* it. Others are ignored."""

    def close(self) -> None:
        """Release what the backend holds; may be called twice."""


# ------------------------------------------------------------------------------------------ pair sources


class PairSource(Protocol):
    """Reads prompts with responses from somewhere. Iterating twice gives the same rows."""

    def rows(self) -> Iterator[SourceRow | RejectedRow]:
        """Good and bad rows in file order; a bad row never ends the iteration."""

    def digest(self) -> str:
        """sha256 of what is read, for the manifest."""


class GoldScorer(Protocol):
    """A stated programmatic score, used by simulated annotators and to judge policies in benchmarks."""

    def score(self, prompt: PromptContent, response: str, metadata: Mapping[str, Any]) -> float:
        """The gold reward of a response; higher is better, any finite number."""


# ----------------------------------------------------------------------------------------- reward models


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Single votes over a table of responses; nothing is aggregated before learning.

    Attributes:
        responses: (R) the whole pool; rows below index into it.
        trainable: (R,) False where a text belongs to the holdout: features must not learn from it.
        left, right: (N,) rows as displayed.
        outcome: (N,) 0 left, 1 right, 2 tie.
        annotator: (N,) index into ``annotators``.
        weight: (N,) ≥ 0.
        group: (N,) index of the prompt's group, for cross-fitting and clustered intervals.
        control: (N,) True for votes of the random arm: the only ones that may calibrate.
        prelabel_shown: (N,) True where the annotator saw the model's guess.
        round: (N,) the round that asked.
    """

    responses: Sequence[ResponseView]
    trainable: BoolArray
    left: IntArray
    right: IntArray
    outcome: IntArray
    annotator: IntArray
    annotators: tuple[str, ...]
    weight: FloatArray
    group: IntArray
    control: BoolArray
    prelabel_shown: BoolArray
    round: IntArray

    def __len__(self) -> int:
        return len(self.left)

    def subset(self, mask: BoolArray | IntArray) -> "TrainingData":
        """The votes under ``mask`` (boolean or row numbers) over the same responses."""
        return TrainingData(
            self.responses, self.trainable, self.left[mask], self.right[mask], self.outcome[mask],
            self.annotator[mask], self.annotators, self.weight[mask], self.group[mask], self.control[mask],
            self.prelabel_shown[mask], self.round[mask],
        )  # fmt: skip

    @property
    def pairs(self) -> IntArray:
        """(N, 2) rows, left first."""
        return np.stack([self.left, self.right], axis=1)


@dataclass(frozen=True, slots=True)
class ModelContext:
    """What a reward model is given at construction.

    Attributes:
        cache: a folder for derived data that may be deleted at any time.
    """

    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit found: numbers for people and for the manifest, all finite."""

    n_votes: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@runtime_checkable
class Scorer(Protocol):
    """What policy tuning optimises: conservative scores of responses."""

    def score(self, responses: Sequence[ResponseView]) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and standard deviation of the reward, two (N,) arrays."""


class RewardModel(Scorer, Protocol):
    """A model of the reward with a posterior."""

    def prior(self, responses: Sequence[ResponseView], trainable: BoolArray, *, seed: int) -> PreferencePosterior:
        """The posterior before any vote, so that selection works in the first round."""

    def fit(self, data: TrainingData, *, seed: int) -> FitReport:
        """Fit from scratch on all votes.

        Raises:
            NoSignal: no decisive vote, or one class only.
            Diverged: a parameter is not finite.
        """

    def posterior(self, responses: Sequence[ResponseView]) -> PreferencePosterior:
        """Joint posterior over the rewards of these responses (calibrated, after ``fit``)."""

    def save(self, into: Path) -> None:
        """Write the model into an empty folder: safetensors and JSON, never pickle; same model, same bytes."""


# --------------------------------------------------------------------------------------------- selection


@dataclass(frozen=True, slots=True)
class SelectionContext:
    """What a strategy may look at.

    Attributes:
        posterior: joint posterior over the R responses of the pool.
        candidates: (N, 2) rows of pairs that may be asked; never asked before, never in flight.
        prompt: (R,) prompt index of each response.
        group: (R,) group index of each response.
        pending: (M, 2) rows of pairs that are in flight: their expected information counts already.
        cost: (N,) price of asking each candidate, > 0.
        per_prompt: at most this many picks of one prompt; 0 for no limit (draws that must be uniform over pairs).
        seed: derived from campaign seed, round and step.
    """

    posterior: PreferencePosterior
    candidates: IntArray
    prompt: IntArray
    group: IntArray
    pending: IntArray
    cost: FloatArray
    per_prompt: int
    seed: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Picks in order of preference.

    Attributes:
        picks: (k,) indices into ``candidates``, no repeats.
        scores: (k,) the strategy's own score of each pick when it was picked.
        propensity: (k,) probability of inclusion for randomised strategies, NaN for deterministic ones.
    """

    picks: IntArray
    scores: FloatArray
    propensity: FloatArray


class BatchStrategy(Protocol):
    """Chooses a batch. Deterministic given the context, unchanged by swapping the two responses of any pair."""

    def select(self, context: SelectionContext, n: int) -> Selection:
        """Up to ``n`` picks; fewer only if the candidates or the per-prompt cap run out."""


Acquisition = Callable[[PreferencePosterior, IntArray], FloatArray]
"""Scalar acquisition: (posterior, (N, 2) candidate rows) → (N,) numbers, bigger is asked first."""


# ------------------------------------------------------------------------------------------------ policy


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


# ------------------------------------------------------------------------------------------------- specs


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """Offers a backend. ``options`` is a `pairloop.kit.options.Options` class or None."""

    name: str
    factory: Callable[[Any, BackendContext], Backend]
    options: type[Any] | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Offers a pair source; ``factory(options, path)`` gets the resolved path of ``data.path`` (may be None)."""

    name: str
    factory: Callable[[Any, Path | None], PairSource]
    options: type[Any] | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class GoldSpec:
    """Offers a gold scorer."""

    name: str
    factory: Callable[[], GoldScorer]
    options: None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class RewardModelSpec:
    """Offers a reward model: ``factory`` makes an unfitted one, ``load`` reads a folder that ``save`` wrote."""

    name: str
    factory: Callable[[Any, ModelContext], RewardModel]
    load: Callable[[Path, ModelContext], RewardModel]
    options: type[Any] | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """Offers a selection strategy."""

    name: str
    factory: Callable[[Any], BatchStrategy]
    options: type[Any] | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class TunerSpec:
    """Offers a policy tuner."""

    name: str
    factory: Callable[[Any], PolicyTuner]
    options: type[Any] | None = None
    summary: str = ""


Spec = BackendSpec | SourceSpec | GoldSpec | RewardModelSpec | StrategySpec | TunerSpec
