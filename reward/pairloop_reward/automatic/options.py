"""Options of the ``auto`` reward model."""

from typing import Literal

from pydantic import Field, field_validator

from pairloop.kit.options import Options
from pairloop_reward.encoder_options import EncoderOptions
from pairloop_reward.finetuned.options import FinetunedOptions
from pairloop_reward.options import TfidfOptions

Kind = Literal["tfidf", "encoder", "finetuned"]


class AutoOptions(Options):
    """Options of the ``auto`` reward model."""

    candidates: tuple[Kind, ...] = ("tfidf", "encoder", "finetuned")
    """What may be chosen, the cheapest first. One that cannot be used here (a package or a model is missing) is left
    out, and the notes of the fit say why."""

    first_votes: int = Field(default=60, ge=2)
    """Training votes before which nothing is compared and the first candidate is used."""

    growth: float = Field(default=1.5, gt=1.0)
    """Candidates are fitted anew for the comparison when there are so many times more votes: with 1.5, all fits of a
    campaign together cost about three times the last."""

    fewest_predicted: int = Field(default=20, ge=2)
    """Votes of the random arm that must have been predicted before another than the first candidate is used."""

    tfidf: TfidfOptions = TfidfOptions()
    """Options of ``tfidf``."""

    encoder: EncoderOptions = EncoderOptions()
    """Options of ``encoder``."""

    finetuned: FinetunedOptions = FinetunedOptions()
    """Options of ``finetuned``."""

    @field_validator("candidates")
    @classmethod
    def _each_once(cls, value: tuple[Kind, ...]) -> tuple[Kind, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("name at least one candidate, and each once")
        return value
