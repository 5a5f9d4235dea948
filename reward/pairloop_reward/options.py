"""Options of the built-in reward models."""

from typing import Literal

from pydantic import Field

from pairloop.kit.options import Options


class LinearOptions(Options):
    """What all reward models with a Bradley–Terry head on a fixed feature map have in common."""

    surface: bool = True
    """Add surface features: length, punctuation, markup, overlap with the prompt and the like."""

    max_characters: int = Field(default=20_000, ge=100)
    """Longer responses are cut to this many characters for the model only; the fit reports how many were."""

    flip_rate: float | None = Field(default=None, ge=0.0, lt=0.5)
    """Probability that a decisive vote says the opposite; left out, it is chosen by evidence."""

    prior_margin: float | None = Field(default=None, gt=0.0)
    """Prior standard deviation of a typical margin due to each kind of features; left out, chosen by evidence."""

    ties: Literal["learn", "drop"] = "learn"
    """Learn from ties that the responses are close, or leave them out."""

    annotators: Literal["joint", "pooled"] = "joint"
    """Give each annotator a flip rate and habits of their own, or ("pooled") one flip rate to all of them."""

    prelabel_shown_weight: float = Field(default=0.5, ge=0.0, le=1.0)
    """Weight of votes whose annotator saw the model's guess: they partly repeat the model. They never calibrate."""

    calibration_folds: int = Field(default=5, ge=2, le=50)
    """Folds by group of the cross-fitted temperature."""


class TfidfOptions(LinearOptions):
    """Options of the ``tfidf`` reward model."""

    dimensions: int = Field(default=128, ge=0, le=2048)
    """Components kept of the TF-IDF space; 0 uses the surface features only."""

    vocabulary: int = Field(default=30_000, ge=1, le=1_000_000)
    """At most this many words and word pairs, the most frequent ones."""
