"""The nouns of pairloop as frozen, slotted records.

Ids are content hashes (`pairloop.kit.ids`), so the same text always has the same id, in every campaign.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

JsonObject = Mapping[str, Any]
"""A JSON object; values are JSON values."""


class Choice(StrEnum):
    """What an annotator said about the two responses *as displayed*."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    BOTH_BAD = "both_bad"
    SKIP = "skip"

    def mirrored(self) -> "Choice":
        """The same judgement with the two responses displayed the other way round."""
        return {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT}.get(self, self)

    @property
    def is_decisive(self) -> bool:
        """True for LEFT and RIGHT."""
        return self in (Choice.LEFT, Choice.RIGHT)


class AnnotatorKind(StrEnum):
    """Who judged; a model is never counted as a human."""

    HUMAN = "human"
    MODEL = "model"
    SIMULATED = "simulated"


class Arm(StrEnum):
    """Why a pair is in a batch; decides what its votes may be used for.

    ACTIVE and FRESH votes train. RANDOM votes (the control arm, drawn uniformly from the training side) train and
    calibrate. HOLDOUT votes (drawn uniformly from groups that never train) only measure the model. GOLD votes (on
    pairs whose right answer is known) only measure annotators: they never train, and no measure of the model or of
    agreement sees them. JUDGE marks what was put to the judge beside people: to people it does not count as asked.
    """

    ACTIVE = "active"
    FRESH = "fresh"
    RANDOM = "random"
    HOLDOUT = "holdout"
    GOLD = "gold"
    JUDGE = "judge"


class Split(StrEnum):
    """The side of a group, fixed for ever when the group is first seen."""

    TRAIN = "train"
    HOLDOUT = "holdout"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


PromptContent = str | tuple[Message, ...]
"""A prompt is plain text, or the turns of a conversation that the response continues."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a response came from.

    Attributes:
        source: "data" for imported responses, "policy" for sampled ones, or a name the source chose.
        model: name of the model that wrote it, where known.
        policy: artifact of the policy that wrote it, where pairloop sampled it.
        round: the round in which it was sampled.
        sampling: sampling parameters (temperature, top_p, seed …).
    """

    source: str = "data"
    model: str | None = None
    policy: str | None = None
    round: int | None = None
    sampling: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt and the group whose side of the split it shares."""

    id: str
    content: PromptContent
    group: str
    metadata: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """One response to one prompt; the same text from two models is one response with two provenances."""

    id: str
    prompt_id: str
    text: str
    provenance: tuple[Provenance, ...] = ()
    metadata: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two responses to one prompt, unordered: ``first`` and ``second`` are sorted by id."""

    id: str
    prompt_id: str
    first: str
    second: str

    def displayed(self, flipped: bool) -> tuple[str, str]:
        """Response ids (left, right) under a stored flip."""
        return (self.second, self.first) if flipped else (self.first, self.second)


@dataclass(frozen=True, slots=True)
class ResponseView:
    """A response with its prompt, as models see it."""

    id: str
    prompt_id: str
    prompt: PromptContent
    text: str
    group: str
    metadata: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedVote:
    """A judgement that came with the data, about (first, second) of its pair."""

    annotator: str
    choice: Choice
    kind: AnnotatorKind = AnnotatorKind.HUMAN
    strength: int | None = None
    reason: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Prelabel:
    """The model's guess, never training data.

    Attributes:
        choice: LEFT or RIGHT, as displayed.
        p_left: calibrated probability that the left response is preferred, in [0, 1].
        model: artifact of the reward model.
        shown: False when annotators must not see it (the default, and the blind control).
    """

    choice: Choice
    p_left: float
    model: str
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """What a backend needs to ask one question. ``key`` is the idempotency key of its assignment.

    Attributes:
        left, right: the texts as displayed: the stored flip is already applied.
        recorded: votes that came with the data, already mirrored to the display order: LEFT means the displayed left.
        not_for: annotators who judged this pair in an earlier round; a backend that assigns people asks others.
        rank: place of the pair in the order of its batch, from 0.
    """

    key: str
    round: int
    replica: int
    pair_id: str
    prompt: PromptContent
    left: str
    right: str
    prelabel: Prelabel | None = None
    recorded: tuple[RecordedVote, ...] = ()
    left_metadata: JsonObject = field(default_factory=dict)
    right_metadata: JsonObject = field(default_factory=dict)
    prompt_metadata: JsonObject = field(default_factory=dict)
    not_for: tuple[str, ...] = ()
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """One stored question: pair × round × replica, with its display order and why it was chosen.

    Attributes:
        flipped: True when ``second`` of the pair is displayed on the left.
        strategy: what chose it ("vopt", "random" …); ``score`` and ``rank`` are the strategy's own.
        propensity: probability of having been drawn, for arms that draw at random; None for deterministic picks.
        cost: what one vote is expected to cost, in the campaign's currency.
    """

    key: str
    round: int
    pair_id: str
    replica: int
    flipped: bool
    arm: Arm
    strategy: str
    score: float | None
    rank: int
    model: str | None
    propensity: float | None
    cost: float
    state: str
    remote_id: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The questions of one round."""

    round: int
    assignments: tuple[Assignment, ...]
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """A raw judgement as the backend reported it.

    ``(backend, remote_id, revision)`` identifies it: the same triple is stored once, a new revision supersedes the
    older one, and ``deleted`` retracts it. ``choice`` is about the display order; ``p_left`` is how sure of the left
    side a model was that gives probabilities.
    """

    key: str
    backend: str
    remote_id: str
    revision: str
    annotator: str
    choice: Choice
    kind: AnnotatorKind = AnnotatorKind.HUMAN
    strength: int | None = None
    prompt_rating: int | None = None
    reason: str | None = None
    seconds: float | None = None
    prelabel_shown: bool = False
    submitted_at: str | None = None
    cost: float | None = None
    deleted: bool = False
    p_left: float | None = None


@dataclass(frozen=True, slots=True)
class Vote:
    """The current judgement of one person about one assignment, as learning and reports see it.

    ``excluded``: a person decided that this annotator's votes count for nothing; they stay, with weight zero.
    """

    seq: int
    key: str
    round: int
    pair_id: str
    left: str
    right: str
    annotator: str
    kind: AnnotatorKind
    choice: Choice
    arm: Arm
    flipped: bool
    prelabel_shown: bool
    strength: int | None
    prompt_rating: int | None
    reason: str | None
    seconds: float | None
    cost: float
    excluded: bool = False
    p_left: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A derived view of all votes on a pair, for people and exports; learning uses the votes themselves.

    Attributes:
        p_first: share of the decisive and tied votes for ``first`` (a tie counts half), in [0, 1].
        n: number of votes behind it.
        disagreement: share of votes that differ from the most frequent choice, in [0, 1].
    """

    pair_id: str
    p_first: float
    n: int
    disagreement: float


@dataclass(frozen=True, slots=True)
class SourceResponse:
    """A response as a pair source delivers it."""

    text: str
    provenance: Provenance = field(default_factory=Provenance)
    metadata: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of a pair source: a prompt with two or more responses.

    Attributes:
        pairs: indices into ``responses`` of the pairs that may be asked; None means all n(n−1)/2 of them.
        recorded: judgements that came with the row, by the index pair they are about.
        line: where the row stands in its file, for messages.
    """

    prompt: PromptContent
    responses: tuple[SourceResponse, ...]
    pairs: tuple[tuple[int, int], ...] | None = None
    recorded: tuple[tuple[tuple[int, int], RecordedVote], ...] = ()
    group: str | None = None
    metadata: JsonObject = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be used, with the reason."""

    line: int
    reason: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file of answers that a backend does not take: every problem is a sentence that begins with its place."""

    name: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One non-blocking page of a backend: what it reported, and where to go on.

    ``more`` is True when the next page can be asked for at once. ``refused``: all files that stand refused now, for
    backends that read files; a file that is no longer among them was mended or removed. ``gone``: keys of open
    questions that nobody can answer any more, because somebody deleted them on the server.
    """

    annotations: Sequence[Annotation]
    cursor: str
    more: bool = False
    refused: tuple[RefusedFile, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in the order in which it was committed."""

    id: int
    round: int | None
    kind: str
    body: JsonObject
    at: str


@dataclass(frozen=True, slots=True)
class CampaignInfo:
    """Which campaign an observer is told about.

    Attributes:
        id: unique, the same for ever. name: for people. folder: of the campaign; observers may keep files in a folder
            of their own there.
    """

    id: str
    name: str
    folder: Path
