"""Options of the ``classifier`` reward model."""

from typing import Literal

from pydantic import Field

from pairloop.kit.options import Options


class ClassifierOptions(Options):
    """Options of the ``classifier`` reward model."""

    features: str = "product"
    """"product" (those of ``tfidf``), "minilm" (all-MiniLM-L6-v2), or the folder of a sentence-transformers model."""

    verdicts: Literal["majority", "single"] = "majority"
    """Train on one verdict a pair (ties and draws left out), or on every decisive vote."""

    C: float = Field(default=1.0, gt=0.0)
    """Inverse regularisation strength, as scikit-learn has it: the prior variance of every weight."""
