"""What RL training holds between two steps, and which parameters it trains."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pairloop.errors import ConfigError
from pairloop.kit.canonical import digest
from pairloop.kit.ids import content_json, response_id
from pairloop.kit.text import plain
from pairloop.protocols import PolicyJob, Scorer
from pairloop.records import JsonObject, ResponseView
from pairloop_policy.checkpoints import hash_folder
from pairloop_policy.options import RLOOOptions

_SCALARS = ("step", "beta", "scale", "kl_average", "best_step", "best_reward", "stopped", "metrics", "damaged")


@dataclass
class Training:
    """The state of a job; all but the tensors is JSON.

    Attributes:
        beta: the KL weight now. scale: s0, the unit of the reward. kl_average: moving average before correction.
        best: the trained parameters of the best step so far, ``best_reward`` on the probes.
        stopped: why training is over, empty while it is not. damaged: checkpoints that could not be read.
    """

    step: int = 0
    beta: float = 0.0
    scale: float = 1.0
    kl_average: float = 0.0
    best_step: int = 0
    best_reward: float = 0.0
    stopped: str = ""
    damaged: str = ""
    metrics: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] | None = None

    def smooth_kl(self, kl: float, past: float) -> float:
        """Exponential moving average of the KL with the start's bias corrected; ``past`` in [0, 1)."""
        self.kl_average = past * self.kl_average + (1 - past) * kl
        return self.kl_average / (1 - past**self.step)

    def adapt_beta(self, kl: float, target: float) -> None:
        """Move the KL weight by at most 2 % towards the target (Ziegler et al. 2019, section 2.2)."""
        error = min(max(kl / target - 1, -0.2), 0.2)
        self.beta *= 1 + 0.1 * error

    def keep(self, reward: float, parameters: Mapping[str, Tensor]) -> None:
        """Remember the parameters of this step as the best so far."""
        self.best_step, self.best_reward = self.step, reward
        self.best = {name: value.detach().clone() for name, value in parameters.items()}

    def to_json(self) -> JsonObject:
        """Everything but the tensors; floats survive JSON bit for bit."""
        return {name: getattr(self, name) for name in _SCALARS}

    @classmethod
    def from_json(
        cls, state: JsonObject, best: Mapping[str, Tensor], device: torch.device, damaged: tuple[str, ...]
    ) -> "Training":
        """The inverse of `to_json`, with the tensors of the best step; adds the newly found damage."""
        found = cls(**state, best={name: value.to(device) for name, value in best.items()})
        found.damaged = "; ".join(part for part in (found.damaged, *damaged) if part)
        return found

    @staticmethod
    def pack(optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The optimiser's moments as tensors named "<parameter>:<moment>"."""
        return {
            f"{name}:{key}": value
            for name, parameter in parameters.items()
            for key, value in optimizer.state.get(parameter, {}).items()
        }

    @staticmethod
    def unpack(
        tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]
    ) -> None:
        """The inverse of `pack`."""
        index = {name: i for i, name in enumerate(parameters)}
        state: dict[int, dict[str, Any]] = {}
        for key, value in tensors.items():
            name, _, moment = key.rpartition(":")
            state.setdefault(index[name], {})[moment] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def trainable(model: nn.Module, last: int | None) -> dict[str, nn.Parameter]:
    """Freeze all but the last ``last`` blocks (None: nothing is frozen); the parameters that train, by name.

    Raises:
        ConfigError: the model has no stack of blocks, or a smaller one.
    """
    if last is None:
        return dict(model.named_parameters())
    blocks = _blocks(model)
    if last > len(blocks):
        raise ConfigError(f"policy.options.train_layers is {last}, but the model has {len(blocks)} blocks.")
    model.requires_grad_(False)
    for block in blocks[-last:]:
        block.requires_grad_(True)
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _blocks(model: nn.Module) -> list[nn.Module]:
    """The decoder blocks: the longest list of equal modules that is not inside another list."""
    lists = [list(m) for m in model.modules() if isinstance(m, nn.ModuleList)]
    lists = [blocks for blocks in lists if len({type(block) for block in blocks}) == 1]
    if not lists:
        raise ConfigError("the policy's architecture has no list of blocks, so train_layers cannot be used with it.")
    return max(lists, key=len)


def fingerprint(job: PolicyJob, options: RLOOOptions, scorer: Scorer) -> str:
    """sha256 of everything that decides a job's result; a checkpoint with another one is of another job.

    The scorer takes part by its scores of the first prompts, taken as responses.
    """
    fixed = [
        ResponseView(response_id(p.id, plain(p.content)), p.id, p.content, plain(p.content), p.group)
        for p in job.prompts[:8]
    ]
    scores = [[repr(float(x)) for x in part] for part in scorer.score(fixed)]
    return digest(
        {
            "policy": hash_folder(job.policy),
            "reference": hash_folder(job.reference),
            "prompts": [[p.id, content_json(p.content), p.group] for p in job.prompts],
            "probe": [[p.id, content_json(p.content), p.group] for p in job.probe],
            "numbers": [job.kl_weight, job.kl_budget, job.conservatism, job.seed, job.threads],
            "options": options.model_dump(mode="json"),
            "scores": scores,
        }
    )
