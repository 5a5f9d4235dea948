"""Options of the ``finetuned`` reward model."""

from typing import Literal

from pydantic import Field

from pairloop.kit.options import Options


class FinetunedOptions(Options):
    """Options of the ``finetuned`` reward model."""

    model: str = "minilm"
    """Where training starts: "minilm" (a package with all-MiniLM-L6-v2), a folder, or a name on the Hugging Face hub.
    Encoders and causal language models that ``AutoModelForSequenceClassification`` knows."""

    revision: str | None = None
    """Branch, tag or commit on the hub."""

    mode: Literal["full", "frozen", "lora"] = "full"
    """What trains: every weight; all but the embeddings and the lowest ``frozen_layers`` blocks; or low-rank
    adapters (Hu et al. 2021), for which the package peft is needed."""

    frozen_layers: int = Field(default=4, ge=1)
    """Lowest blocks that stay as they are, for mode "frozen"."""

    lora_rank: int = Field(default=16, ge=1)
    """Rank of the adapters, for mode "lora"."""

    lora_alpha: float = Field(default=32.0, gt=0)
    """Scale of the adapters; their product is multiplied by alpha over rank."""

    max_length: int = Field(default=512, ge=2)
    """Tokens of prompt and response; longer pairs lose the beginning of the prompt, then the end of the response. The
    fit reports how many."""

    epochs: int = Field(default=3, ge=0)
    """Passes over the votes. After each, the votes that were left out are predicted; the best epoch is kept, which may
    be none at all: the pretrained network with a fitted head. 0 trains nothing but the head."""

    batch_size: int = Field(default=16, ge=1)
    """Votes an optimiser step, over all processes together."""

    micro_batch: int = Field(default=8, ge=1)
    """Votes that go through the network at once: less memory, the same result up to rounding."""

    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak of AdamW's; it climbs for a tenth of the steps and then falls in a line. LoRA wants about ten times more."""

    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's."""

    dropout: bool = False
    """Train with the model's dropout. Off, training and scoring see the same network."""

    members: int = Field(default=1, ge=1, le=20)
    """Networks of a deep ensemble. Their disagreement joins the posterior; each costs as much as the first."""

    left_out: float = Field(default=0.2, ge=0.0, le=0.5)
    """Share of the groups of votes that a member does not train on (another one for each member): they choose the
    epoch and calibrate. No label is spent on this: the head learns from all votes. 0: the last epoch, uncalibrated."""

    dimensions: int = Field(default=32, ge=0, le=1024)
    """Directions of the last layer that the Laplace posterior is about, beside the network's own reward."""

    flip_rate: float | None = Field(default=None, ge=0.0, lt=0.5)
    """Probability that a decisive vote says the opposite; left out, it is chosen by evidence."""

    ties: Literal["learn", "drop"] = "learn"
    """Learn from ties that the responses are close, or leave them out."""

    annotators: Literal["joint", "pooled"] = "joint"
    """Give each annotator a flip rate and habits of their own, or ("pooled") one flip rate to all of them."""

    prelabel_shown_weight: float = Field(default=0.5, ge=0.0, le=1.0)
    """Weight of votes whose annotator saw the model's guess."""

    checkpoint_every: int = Field(default=25, ge=1)
    """Optimiser steps between two checkpoints, from which a killed training goes on."""

    processes: int = Field(default=1, ge=1)
    """Processes that train together, started on this machine by torchrun; or outside, with as many."""

    launch: Literal["torchrun", "outside"] = "torchrun"
    """Start the processes here, or ("outside") prepare the job and say with which command you start it yourself, by
    accelerate or torchrun, on as many machines as you like that share the folder."""

    device: Literal["cpu", "cuda"] = "cpu"
    """Where the network runs. Results are bit-identical on the same device only."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the forward pass in training; weights stay float32, and scoring is always float32."""
