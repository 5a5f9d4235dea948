"""Options of the simulated annotators, and the teachers of B-Pref as presets.

Lee, Smith, Dragan and Abbeel, "B-Pref: Benchmarking Preference-Based Reinforcement Learning", 2021
(arXiv 2111.03026): rationality β, myopia γ, ε_mistake, ε_skip and ε_equal, and its six teachers.
"""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, model_validator

from pairloop.kit.options import Options

Teacher = Literal["oracle", "noisy", "mistake", "skip", "equal", "myopic", "spammer"]
"""Presets of one annotator."""


class Behaviour(StrEnum):
    """How an annotator answers: like a teacher, or without reading."""

    TEACHER = "teacher"
    RANDOM = "random"
    LEFT = "left"
    RIGHT = "right"
    LONGER = "longer"
    SHORTER = "shorter"


TEACHERS: dict[str, dict[str, Any]] = {
    "oracle": {},
    "noisy": {"ability": 1.0},
    "mistake": {"mistake": 0.1},
    "skip": {"skip": 0.1},
    "equal": {"equal": 0.1},
    "myopic": {"myopia": 0.9},
    "spammer": {"behaviour": Behaviour.RANDOM, "seconds_fixed": 2.0, "seconds_per_word": 0.0},
}


class AnnotatorOptions(Options):
    """A kind of annotator, ``count`` of them. What is not set comes from ``teacher``."""

    teacher: Teacher | None = None
    """Preset: oracle, noisy, mistake, skip, equal, myopic (as in B-Pref) or spammer. Unset: the backend's teacher."""
    name: str = Field(default="sim", min_length=1, max_length=60)
    """Beginning of the annotators' ids; a number follows."""
    count: int = Field(default=1, ge=1, le=10_000)
    """How many annotators of this kind there are."""
    behaviour: Behaviour = Behaviour.TEACHER
    """"teacher", or a spammer: "random" clicks left or right, "left", "right", "longer", "shorter"."""
    ability: float | None = Field(default=None, ge=0)
    """Rationality β: the left response is preferred with probability σ(β·margin). Unset or inf: always the better one.
    Margins are in units of ``scale``."""
    ability_spread: float = Field(default=0.0, ge=0, le=3)
    """Standard deviation of log β between the annotators of this kind."""
    myopia: float = Field(default=1.0, gt=0, le=1)
    """Discount γ of everything but the last sentence: what sentence t of T adds to the gold score counts γ^(T−t)."""
    mistake: float = Field(default=0.0, ge=0, le=1)
    """ε_mistake: probability that a decided answer is given the wrong way round."""
    skip: float = Field(default=0.0, ge=0, le=1)
    """ε_skip: share of pairs that are skipped because even the better response is too bad."""
    equal: float = Field(default=0.0, ge=0, le=1)
    """ε_equal: share of pairs that are called a tie because the responses are too close."""
    skip_below: float | None = Field(default=None, allow_inf_nan=False)
    """Gold score up to which the better response is too bad; replaces the quantile that ``skip`` asks for."""
    equal_within: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Difference of gold scores up to which a pair is a tie; replaces the quantile that ``equal`` asks for."""
    skip_as: Literal["skip", "both_bad"] = "skip"
    """What the annotator says when both are too bad."""
    position_bias: float = Field(default=0.0, allow_inf_nan=False)
    """Added to the margin of the left response, in units of ``scale``."""
    length_bias: float = Field(default=0.0, allow_inf_nan=False)
    """Times ln((1 + words on the left) / (1 + words on the right)), added to the margin, in units of ``scale``."""
    fatigue: float = Field(default=0.0, ge=0, le=1)
    """How much ``mistake`` has grown by the end of a session. Late answers of a round are the tired ones."""
    anchoring: float = Field(default=0.0, ge=0, le=1)
    """Probability of copying a prelabel that is shown."""
    latency: float = Field(default=0.0, ge=0, le=10_000)
    """Mean number of polls that an answer takes beyond the first (exponential)."""
    no_answer: float = Field(default=0.0, ge=0, le=1)
    """Probability that a task is never answered."""
    cost: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Price of one vote. Unset: the campaign's."""
    seconds_fixed: float = Field(default=5.0, ge=0, allow_inf_nan=False)
    """Seconds that a vote takes beside reading."""
    seconds_per_word: float = Field(default=0.25, ge=0, allow_inf_nan=False)
    """Seconds per word of the prompt and both responses."""
    reasons: bool = False
    """Give a written reason."""

    def resolved(self, default: str) -> "AnnotatorOptions":
        """With the preset filled in where nothing else is set."""
        preset = TEACHERS[self.teacher or default]
        return self.model_copy(update={key: value for key, value in preset.items() if key not in self.model_fields_set})


CROWD: tuple[AnnotatorOptions, ...] = (
    AnnotatorOptions(
        name="careful", count=4, teacher="oracle", ability=4.0, ability_spread=0.2, mistake=0.02, equal=0.05,
    ),
    AnnotatorOptions(
        name="average", count=4, teacher="oracle", ability=2.0, ability_spread=0.3, mistake=0.05, equal=0.1,
        position_bias=0.1, length_bias=0.1, latency=0.3,
    ),
    AnnotatorOptions(name="tired", teacher="oracle", ability=2.0, mistake=0.05, fatigue=0.3, latency=1.0),
    AnnotatorOptions(name="clicker", teacher="spammer"),
)  # fmt: skip
"""The pool behind ``teacher = "crowd"``: an invented, uneven crowd, not a measurement of one."""


class SimulatedOptions(Options):
    """``[backend.options]`` of ``simulated``."""

    teacher: Teacher | Literal["crowd"] = "noisy"
    """Preset of every annotator whose pool entry names none; "crowd" is an uneven pool of ten."""
    annotators: int = Field(default=5, ge=1, le=10_000)
    """How many annotators there are where ``pool`` is empty (and ``teacher`` is not "crowd")."""
    pool: tuple[AnnotatorOptions, ...] = ()
    """Kinds of annotators, as ``[[backend.options.pool]]`` tables."""
    gold: Literal["scorer", "metadata"] = "scorer"
    """Where the gold score comes from: the scorer that ``backend.gold`` names, or the responses' metadata."""
    gold_key: str = "gold"
    """Key of the gold score in the responses' metadata."""
    scale: float | Literal["median"] = "median"
    """Unit of margins, in gold scores: a number, or the median difference of the first pairs asked."""
    prompt_rating_key: str | None = None
    """Key in the prompts' metadata by which annotators rate prompts: true means bad (rated 1), a number from 1 to 5
    is the rating itself, anything else is rated 5. Unset: prompts are not rated."""

    @model_validator(mode="after")
    def _scale_is_positive(self) -> "SimulatedOptions":
        if isinstance(self.scale, float) and not 0 < self.scale < float("inf"):
            raise ValueError('scale must be a positive number or "median"')
        return self

    def kinds(self) -> tuple[AnnotatorOptions, ...]:
        """The kinds of annotators with their presets filled in."""
        if self.pool:
            return tuple(kind.resolved("noisy" if self.teacher == "crowd" else self.teacher) for kind in self.pool)
        if self.teacher == "crowd":
            return tuple(kind.resolved("oracle") for kind in CROWD)
        return (AnnotatorOptions(teacher=self.teacher, count=self.annotators).resolved(self.teacher),)
