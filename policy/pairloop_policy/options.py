"""Options of the built-in tuners, as they are written under ``[policy.options]``."""

from typing import Literal

from pydantic import Field

from pairloop.kit.options import Options


class ScratchOptions(Options):
    """The small Llama that ``model = "scratch"`` trains on the campaign's own responses."""

    vocabulary: int = Field(default=2560, ge=300, le=65536)
    """Size of the byte-pair vocabulary, learned from the corpus."""
    width: int = Field(default=96, ge=16, le=2048)
    """Hidden size; a multiple of ``heads``, and each head's share must be even."""
    layers: int = Field(default=2, ge=1, le=48)
    """Number of transformer blocks."""
    heads: int = Field(default=2, ge=1, le=64)
    """Number of attention heads."""
    context: int = Field(default=512, ge=64, le=8192)
    """Longest sequence in tokens, prompt and response together."""
    steps: int = Field(default=400, ge=1)
    """Optimiser steps; 400 take 15 to 25 seconds on one core for responses of 30 words."""
    batch_size: int = Field(default=12, ge=1)
    """Sequences an optimiser step."""
    learning_rate: float = Field(default=6e-3, gt=0)
    """Peak learning rate of AdamW; warmed up over a tenth of the steps, then decayed by a cosine."""


class PolicyOptions(Options):
    """What both tuners know."""

    device: Literal["cpu", "cuda"] = "cpu"
    """Where the models run. Results are bit-identical on the same device only."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the models while they run."""
    max_new_tokens: int = Field(default=64, ge=1)
    """Longest response in tokens."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature; in RL the tempered distribution *is* the policy, in rewards, gradients and KL alike."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus of ``generate`` (Holtzman et al. 2020). RL always samples the whole distribution."""
    batch_size: int = Field(default=64, ge=1)
    """Responses sampled at a time."""
    probe_prompts: int = Field(default=16, ge=1)
    """At most this many probe prompts are used to judge a policy."""
    probe_samples: int = Field(default=4, ge=2)
    """Responses a probe prompt."""
    scratch: ScratchOptions = ScratchOptions()
    """The model that ``model = "scratch"`` trains."""


class RLOOOptions(PolicyOptions):
    """REINFORCE leave-one-out."""

    steps: int = Field(default=40, ge=1)
    """Optimiser steps at most; the KL budget may end the job earlier."""
    prompts_per_step: int = Field(default=8, ge=1)
    """Prompts a step (fewer if the job has fewer)."""
    samples_per_prompt: int = Field(default=4, ge=2)
    """Responses a prompt and step; each is judged against the others' mean."""
    prompts_per_microbatch: int = Field(default=8, ge=1)
    """Prompts in memory at once during the update; gradients add up to the same but for rounding."""
    learning_rate: float = Field(default=5e-4, gt=0)
    """AdamW. 5e-4 suits models of about a million parameters; take 1e-5 or less for a billion."""
    warmup_steps: int = Field(default=3, ge=0)
    """Steps over which the learning rate grows linearly to its value."""
    grad_clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    train_layers: int | None = Field(default=None, ge=1)
    """Train only the last so many blocks; embeddings and output head stay frozen. None trains everything."""
    kl_control: Literal["fixed", "adaptive"] = "fixed"
    """Adaptive moves the KL weight so that the KL settles at ``kl_target_share`` of the budget."""
    kl_target_share: float = Field(default=0.5, gt=0, le=1)
    """See ``kl_control``."""
    kl_smoothing: float = Field(default=0.6, ge=0, lt=1)
    """Weight of the past in the moving average of the KL that is held against the budget."""
    unfinished_penalty: float = Field(default=1.0, ge=0)
    """Taken from a response that was cut off, in initial standard deviations of the reward."""
    probe_every: int = Field(default=10, ge=1)
    """Steps between two looks at the probe prompts, from which the delivered policy is chosen."""
    checkpoint_every: int = Field(default=10, ge=1)
    """Steps between two checkpoints, from which a killed job goes on."""


class BestOfNOptions(PolicyOptions):
    """Best of n samples, no training."""

    candidates: int = Field(default=8, ge=1)
    """Responses drawn for each that is kept."""
    conservatism: float = Field(default=1.0, ge=0)
    """k of the conservative reward mean − k·std by which ``generate`` chooses."""
