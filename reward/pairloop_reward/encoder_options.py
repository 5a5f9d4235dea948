"""Options of the ``encoder`` reward model."""

from typing import Literal

from pydantic import Field

from pairloop_reward.options import LinearOptions


class EncoderOptions(LinearOptions):
    """Options of the ``encoder`` reward model."""

    model: str = "minilm"
    """A folder (relative: to the campaign's), a name on the Hugging Face hub, or "minilm" (all-MiniLM-L6-v2)."""

    revision: str | None = None
    """Branch, tag or commit of a model on the hub."""

    input: Literal["joined", "separate", "response"] = "joined"
    """Prompt and response in one sequence; each by itself, with their product as features; or the response alone."""

    pooling: Literal["default", "mean", "cls", "last"] = "default"
    """From hidden states to a vector; "default": as sentence-transformers saved it, "last" if causal, else "mean"."""

    layer: int | None = None
    """Hidden state to take, 0 the embeddings, -1 the last layer; left out, the model's output."""

    max_length: int | None = Field(default=None, ge=8)
    """Longest sequence in tokens; left out, that of a sentence-transformers folder, or 512, or what the model takes."""

    dimensions: int = Field(default=128, ge=1, le=4096)
    """Directions kept of the embeddings: those in which responses to one prompt differ most."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Numbers to compute with; "auto": bfloat16 where the processor multiplies it in hardware."""

    batching: Literal["exact", "padded"] = "exact"
    """"exact": a text has the same bits in every company; "padded": batches, faster for small causal models."""

    token_budget: int = Field(default=2048, ge=64, le=1_000_000)
    """Tokens in a batch, about."""

    trust_remote_code: bool = False
    """Run the Python code that comes with the model: only for models that you trust."""
