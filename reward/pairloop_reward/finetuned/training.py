"""The training loop of one member: AdamW on the likelihood of single votes, resumable at any step.

The likelihood is that of `pairloop_reward.likelihood`, in float64, with each vote's own flip rate and offset: its score
is the gradient that flows back through the network, so that ties, flips and positions are treated here exactly as
in the linear models. Where the votes are noisy, flips bound what one vote can do to the network.

Every random choice is derived from the seed and the step. After each epoch the left-out votes are predicted; the best
epoch's weights are kept (early stopping), the untrained network among them.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pairloop.errors import Diverged
from pairloop.kit.seeds import derive_seed, generator
from pairloop.posterior import IntArray
from pairloop.protocols import Progress
from pairloop_reward.finetuned.job import Job
from pairloop_reward.finetuned.network import Network
from pairloop_reward.finetuned.processes import Group
from pairloop_reward.finetuned.state import State, load_state, save_state
from pairloop_reward.likelihood import Float64, vote_terms

_CLIP = 1.0  # norm of the gradient
_WARMUP = 0.1  # of the steps


@dataclass(slots=True)
class Trainer:
    """One member in training, in one of the group's processes."""

    job: Job
    network: Network
    parameters: dict[str, nn.Parameter]
    folder: Path
    group: Group
    progress: Progress
    sequences: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.sequences = self.job.votes.sequences()

    def run(self) -> State:
        """Train from the last checkpoint, or from the beginning, to the end.

        Raises:
            Diverged: a loss or a gradient is not finite.
            StorageFull: the disk is full, read-only or failing; older checkpoints are intact.
        """
        optimizer = torch.optim.AdamW(
            list(self.parameters.values()), lr=1.0, weight_decay=self.job.options.weight_decay, foreach=False
        )
        state = load_state(self.folder, self.job.key, self.parameters, optimizer)
        if state is not None and state.finished:
            return state
        if state is None:
            state = State()
            self._look(state)
        self._train(state, optimizer)
        state.finished = True
        if self.group.rank == 0:
            save_state(self.folder, self.job.key, state, self.parameters, None)
        return state

    def _train(self, state: State, optimizer: torch.optim.Optimizer) -> None:
        rows = np.flatnonzero(self.job.votes.held == 0)
        batch, epochs = self.job.options.batch_size, self.job.options.epochs
        each = -(-len(rows) // batch)
        self.progress.start("fine-tuning the reward model", each * epochs)
        self.progress.advance(state.step)
        clock = Clock(each * epochs - state.step)
        while state.step < each * epochs:
            epoch, number = divmod(state.step, each)
            order = generator(self.job.seed, "order", epoch).permutation(rows)
            rate = learning_rate(state.step, each * epochs, self.job.options.learning_rate)
            state.train_losses.append(self._step(order[number * batch : (number + 1) * batch], rate, optimizer, state))
            state.step += 1
            if number + 1 == each:
                self._look(state)
            if state.step % self.job.options.checkpoint_every == 0 and self.group.rank == 0:
                save_state(self.folder, self.job.key, state, self.parameters, optimizer)
            self.progress.advance(1, clock.left())
        self.progress.finish()

    def _step(self, rows: IntArray, rate: float, optimizer: torch.optim.Optimizer, state: State) -> float:
        """One optimiser step on these votes; the mean loss of a vote, nats."""
        optimizer.zero_grad(set_to_none=True)
        typical = float(self.job.votes.weight[self.job.votes.held == 0].mean()) or 1.0
        scale = 1.0 / (len(rows) * typical)
        self.network.model.train(self.job.options.dropout)
        devices = [self.network.device] if self.network.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(derive_seed(self.job.seed, "dropout", state.step, self.group.rank) & 0x7FFFFFFF)
            loss = self._backward(rows[self.group.share(len(rows))], scale)
        self.network.model.eval()
        loss = float(self.group.add_up(torch.tensor([loss], dtype=torch.float64))[0])
        norm = self._gather()
        if not np.isfinite(loss) or not np.isfinite(norm):
            raise Diverged(
                f"fine-tuning diverged at step {state.step + 1}: loss {loss}, norm of the gradient {norm}",
                f"Lower reward.options.learning_rate (it is {self.job.options.learning_rate:g}).",
            )
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        return loss

    def _backward(self, rows: IntArray, scale: float) -> float:
        """Add the gradient of these votes; the loss times ``scale``."""
        total = 0.0
        for part in _chunks(rows, self.job.options.micro_batch):
            margin = self._margins(part)
            loss, gradient = self._loss(part, margin.detach().double().cpu().numpy())
            total += scale * loss
            margin.backward(torch.as_tensor(scale * gradient, dtype=margin.dtype, device=margin.device))  # type: ignore[no-untyped-call]
        return total

    def _margins(self, rows: IntArray) -> Tensor:
        """(n,) rewards of the left sequences minus those of the right ones; a shared sequence goes through once."""
        votes = self.job.votes
        ends = np.stack([votes.left[rows], votes.right[rows]])
        unique, index = np.unique(ends, return_inverse=True)
        index = index.reshape(ends.shape)
        low = self.job.options.dtype == "bfloat16"
        with torch.autocast(self.network.device.type, dtype=torch.bfloat16, enabled=low):
            hidden = self.network.hidden([self.sequences[i] for i in unique.tolist()])
        rewards = hidden.float() @ self.network.head.weight[0].float()
        return rewards[index[0]] - rewards[index[1]]

    def _loss(self, rows: IntArray, margin: Float64) -> tuple[float, Float64]:
        """Weighted negative log-likelihood of the votes, and its gradient by the margins."""
        votes = self.job.votes
        terms = vote_terms(margin + votes.offset[rows], votes.log_tie, votes.flip[rows], votes.outcome[rows])
        weight = votes.weight[rows]
        return -float(weight @ terms.log_likelihood), -weight * terms.score_margin

    def _look(self, state: State) -> None:
        """Predict the left-out votes, and keep the weights if they do better than all before; or if there are none."""
        held = np.flatnonzero(self.job.votes.held)
        epoch = len(state.epoch_losses)
        if not len(held):
            state.epoch_losses.append(0.0)
            state.keep(self.parameters, epoch)
            return
        sums = torch.zeros(2, dtype=torch.float64)
        with torch.no_grad():
            for part in _chunks(held[self.group.share(len(held))], self.job.options.micro_batch):
                loss, _ = self._loss(part, self._margins(part).double().cpu().numpy())
                sums += torch.tensor([loss, float(self.job.votes.weight[part].sum())], dtype=torch.float64)
        total = self.group.add_up(sums)
        loss = float(total[0] / total[1].clamp(min=1e-9))
        if not np.isfinite(loss):
            raise Diverged(f"the network's predictions are not finite after epoch {epoch}", "Lower the learning rate.")
        state.epoch_losses.append(loss)
        if loss <= min(state.epoch_losses):
            state.keep(self.parameters, epoch)

    def _gather(self) -> float:
        """Sum the gradients over the group and clip them; their norm before."""
        own = list(self.parameters.values())
        for parameter in own:
            if parameter.grad is None:  # a part that these votes did not touch
                parameter.grad = torch.zeros_like(parameter)
        if self.group.world > 1:
            flat = torch.cat([parameter.grad.flatten() for parameter in own if parameter.grad is not None])
            self.group.add_up(flat)
            start = 0
            for parameter in own:
                parameter.grad = flat[start : start + parameter.numel()].view_as(parameter)
                start += parameter.numel()
        return float(nn.utils.clip_grad_norm_(own, _CLIP, foreach=False))


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Up in a line for a tenth of the steps, then down in a line to nothing after the last."""
    warm = max(int(_WARMUP * steps), 1)
    return peak * min((step + 1) / warm, (steps - step) / max(steps - warm, 1))


def _chunks(rows: IntArray, size: int) -> list[IntArray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


class Clock:
    """How long the rest will take, by the pace so far."""

    def __init__(self, steps: int) -> None:
        self._steps, self._done, self._begun = steps, 0, time.monotonic()

    def left(self) -> str:
        """One more step is done; "3 min left"."""
        self._done += 1
        seconds = (time.monotonic() - self._begun) / self._done * (self._steps - self._done)
        return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"
