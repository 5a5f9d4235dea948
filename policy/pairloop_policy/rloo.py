"""REINFORCE leave-one-out against a frozen reference.

A step, top to bottom: sample K responses to each of P prompts from the policy π; reward each whole response with
(mean − k·std of the scorer) / s0 − β·(log π − log π0); subtract the mean reward of the prompt's other responses;
follow the gradient of Σ advantage · log π. There is no critic, no importance ratio and no clipping (Ahmadian et al.
2024; the baseline is of Kool et al. 2019).

s0 is the standard deviation of the reward within a prompt under π0, so the KL weight β has a unit that means the same
for every reward model: initial standard deviations a nat. The reference π0 is the folder that the job names. Both
models stay in evaluation mode: with dropout the policy that is updated would not be the one that sampled.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pairloop.errors import Diverged, UsageError
from pairloop.kit.seeds import derive_seed, generator
from pairloop.kit.staging import staged
from pairloop.protocols import Generated, PolicyJob, PolicyPrompt, PolicyResult, Progress, Scorer
from pairloop.records import ResponseView
from pairloop_policy import checkpoints, models
from pairloop_policy.delivery import reason, summary
from pairloop_policy.forward import collate, response_log_probs
from pairloop_policy.generate import generate
from pairloop_policy.models import Policy
from pairloop_policy.objective import kl_k1, kl_k3, leave_one_out, rloo_loss
from pairloop_policy.options import RLOOOptions
from pairloop_policy.prepare import prepare
from pairloop_policy.probe import Probe, evaluate
from pairloop_policy.rewards import Rewards, conservative
from pairloop_policy.runtime import deterministic, device
from pairloop_policy.sampling import Sample, Sampling, sample, views
from pairloop_policy.training import Training, fingerprint, trainable


class RLOO:
    """Implements `pairloop.protocols.PolicyTuner`."""

    def __init__(self, options: RLOOOptions) -> None:
        self.options = options

    def prepare(self, model: str, corpus: Sequence[ResponseView], into: Path, *, seed: int, progress: Progress) -> None:
        """Write π0; see `pairloop_policy.prepare`."""
        prepare(model, corpus, into, self.options.scratch, seed=seed, progress=progress)

    def generate(
        self,
        policy: Path,
        prompts: Sequence[PolicyPrompt],
        n: int,
        scorer: Scorer | None,
        *,
        seed: int,
        threads: int = 1,
    ) -> Sequence[Generated]:
        """``n`` plain samples a prompt; the scorer is not used."""
        return generate(policy, prompts, n, self.options, seed=seed, threads=threads)

    def tune(self, job: PolicyJob, scorer: Scorer, progress: Progress) -> PolicyResult:
        """Raise the conservative reward within the KL budget; a killed job goes on from its last checkpoint.

        The result is that of the step with the best conservative reward on the probe prompts within the budget,
        the start included, so an over-optimised policy is not delivered.

        Raises:
            UsageError: no prompts, or a probe prompt is among them.
            Diverged: a reward, the loss or the gradient is not finite; nothing is kept.
            StorageFull: a checkpoint could not be written.
        """
        _check(job)
        with deterministic(job.threads):
            return _Tuning(self.options, job, scorer, progress).run()


def _check(job: PolicyJob) -> None:
    if not job.prompts:
        raise UsageError("there is no prompt to tune the policy on.", "Prompts rated bad do not count.")
    ids = {prompt.id for prompt in job.prompts}
    shared = [prompt.id for prompt in job.probe if prompt.id in ids]
    if shared:
        raise UsageError(f"probe prompts must not be tuned on, but {len(shared)} are, among them {shared[0]}.")


class _Tuning:
    """One job while it runs: the two models, the optimiser and the state that a checkpoint holds."""

    def __init__(self, options: RLOOOptions, job: PolicyJob, scorer: Scorer, progress: Progress) -> None:
        self.options, self.job, self.scorer, self.progress = options, job, scorer, progress
        where = device(options.device)
        self.policy = models.load(job.policy, where, options.dtype)
        self.reference = models.load(job.reference, where, options.dtype)
        self.reference.model.requires_grad_(False)
        models.check_same_vocabulary(self.policy, self.reference)
        self.parameters = trainable(self.policy.model, options.train_layers)
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=options.learning_rate, weight_decay=0.0)
        self.how = Sampling(options.max_new_tokens, options.temperature)
        self.probes = list(job.probe or job.prompts)[: options.probe_prompts]
        self.id = fingerprint(job, options, scorer)
        self.state = Training(beta=job.kl_weight)

    # ------------------------------------------------------------------------------------------- the loop

    def run(self) -> PolicyResult:
        """All steps from wherever the job stands, then the delivery."""
        self.progress.start("tuning the policy (rloo)", self.options.steps)
        if not self.resume():
            self.begin()
        self.progress.advance(self.state.step, "resumed" if self.state.step else "")
        while not self.state.stopped:
            self.step()
        self.progress.finish()
        return self.deliver()

    def step(self) -> None:
        """One optimiser step, with the probes, the stop rules and the checkpoint that are due after it."""
        o, state = self.options, self.state
        state.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = o.learning_rate * min(1.0, state.step / max(o.warmup_steps, 1))

        prompts = self.prompts_of(state.step)
        seed = derive_seed(self.job.seed, "step", state.step)
        samples = sample(
            self.policy, prompts, o.samples_per_prompt, self.how, seed=seed, batch_size=o.batch_size
        )  # prompt by prompt, K each
        rewards = conservative(self.scorer, views(samples, prompts), self.job.conservatism)
        numbers = self.accumulate_gradient(samples, rewards)
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters.values(), o.grad_clip))
        if not np.isfinite(norm) or not np.isfinite(numbers["kl"]):
            raise Diverged(
                f"the gradient of step {state.step} is not finite; nothing was kept.", "Lower the learning rate."
            )
        smoothed = state.smooth_kl(numbers["kl_k3"], o.kl_smoothing)
        numbers |= {"grad_norm": norm, "kl_smoothed": smoothed, "beta": state.beta}

        if smoothed > self.job.kl_budget:  # the gradient of this step is not applied any more
            state.stopped = (
                f"stopped at step {state.step} of {o.steps} by the KL budget: {smoothed:.2f} nats a sequence to the "
                f"reference, the budget is {self.job.kl_budget:g}"
            )
        else:
            self.optimizer.step()
            if state.step == o.steps:
                state.stopped = f"all {o.steps} steps done within the KL budget"
        self.optimizer.zero_grad(set_to_none=True)
        if o.kl_control == "adaptive":
            state.adapt_beta(smoothed, o.kl_target_share * self.job.kl_budget)
        if state.stopped or state.step % o.probe_every == 0:
            numbers |= self.probe()
        state.metrics.append({"step": float(state.step), **numbers})
        if state.stopped or state.step % o.checkpoint_every == 0:
            self.save()
        self.progress.advance(1, f"reward {numbers['reward']:.3f}, KL {numbers['kl']:.2f}")

    def accumulate_gradient(self, samples: Sequence[Sample], rewards: Rewards) -> dict[str, float]:
        """Gradient of the objective over all samples, a few prompts at a time.

        A micro-batch holds whole prompts, so rewards, KL, baseline and gradient need a single forward pass of π.
        """
        o, k = self.options, self.options.samples_per_prompt
        unfinished = torch.tensor([not s.finished for s in samples], dtype=torch.float64)
        task = torch.from_numpy(rewards.value) / self.state.scale - o.unfinished_penalty * unfinished
        k1, k3, entropy, total = [], [], 0.0, 0.0
        for start in range(0, len(samples), o.prompts_per_microbatch * k):
            part = slice(start, start + o.prompts_per_microbatch * k)
            batch = collate(samples[part], self.policy.pad, self.policy.device)
            log_probs, entropies = response_log_probs(self.policy.model, batch, o.temperature)
            with torch.no_grad():
                fixed, _ = response_log_probs(self.reference.model, batch, o.temperature)
                kl = kl_k1(log_probs, fixed).double().cpu()
                k1.append(kl)
                k3.append(kl_k3(log_probs, fixed).double().cpu())
                objective = task[part] - self.state.beta * kl
                advantages = leave_one_out(objective.reshape(-1, k)).reshape(-1)
            loss = rloo_loss(log_probs.sum(dim=1), advantages.to(log_probs)) / len(samples)
            loss.backward()  # type: ignore[no-untyped-call]
            entropy += float(entropies.sum())
            total += float(objective.sum())
        lengths = [len(s.response) for s in samples]
        return {
            "reward": float(rewards.value.mean()),
            "reward_mean": float(rewards.mean.mean()),
            "reward_std": float(rewards.std.mean()),
            "objective": total / len(samples),
            "kl": float(torch.cat(k1).mean()),
            "kl_k3": float(torch.cat(k3).mean()),
            "length": float(np.mean(lengths)),
            "entropy": entropy / sum(lengths),
            "unfinished": float(unfinished.mean()),
            "truncated_prompts": float(len({s.prompt for s in samples if s.truncated})),
        }

    def prompts_of(self, step: int) -> list[PolicyPrompt]:
        """The prompts of a step, a function of seed and step alone; no prompt comes twice in a step."""
        prompts = self.job.prompts
        size = min(self.options.prompts_per_step, len(prompts))
        epoch, place = divmod(step - 1, len(prompts) // size)
        order = generator(self.job.seed, "epoch", epoch).permutation(len(prompts))
        return [prompts[i] for i in order[place * size : (place + 1) * size]]

    # ------------------------------------------------------------------------------- probes and delivery

    def begin(self) -> None:
        """Measure π0 and the policy that the job starts from; the start is the first candidate for delivery."""
        at_reference = self.look(self.reference, "probe")
        self.state.scale = at_reference.spread
        if at_reference.spread <= 1e-9 * max(1.0, abs(at_reference.reward)):
            self.state.stopped = "nothing was tuned: the reward is the same for all responses of the reference"
            self.state.scale = 1.0
        known = at_reference if self.job.policy == self.job.reference else None
        self.state.metrics.append({"step": 0.0, **self.probe(known)})

    def probe(self, known: Probe | None = None) -> dict[str, float]:
        """Look at the probe prompts; keep this policy if it is the best so far within the KL budget."""
        seen = known or self.look(self.policy, "probe")
        first = self.state.best is None
        if first or (seen.kl <= self.job.kl_budget and seen.reward > self.state.best_reward):
            self.state.keep(seen.reward, self.parameters)
        return {"probe_reward": seen.reward, "probe_kl": seen.kl, "probe_length": seen.length}

    def look(self, policy: Policy, purpose: str) -> Probe:
        """Evaluate a policy on the probe prompts; the same purpose means the same random numbers."""
        o = self.options
        return evaluate(
            policy, self.reference, self.probes, self.scorer, self.how,
            samples=o.probe_samples, conservatism=self.job.conservatism,
            seed=derive_seed(self.job.seed, purpose), batch_size=o.batch_size,
        )  # fmt: skip

    def deliver(self) -> PolicyResult:
        """Write the kept policy, and measure start and result on samples that took no part in choosing it."""
        before = self.look(models.load(self.job.policy, self.policy.device, self.options.dtype), "final")
        self.restore(self.state.best or {})
        after = self.look(self.policy, "final")
        target = self.job.folder / "policy"
        with staged(target) as into:
            models.write(self.policy.model, self.policy.tokenizer, into)
        trained = sum(parameter.numel() for parameter in self.parameters.values())
        return PolicyResult(
            target,
            self.state.metrics,
            reason(self.state, self.job, len(self.probes)),
            summary(self.state, self.job, self.options, trained, len(self.probes), before, after),
        )

    # ---------------------------------------------------------------------------------------- checkpoints

    def save(self) -> None:
        """Write a checkpoint of this step."""
        tensors: dict[str, Mapping[str, Tensor]] = {
            "policy": self.parameters,
            "best": self.state.best or {},
            "optimizer": self.state.pack(self.optimizer, self.parameters),
        }
        checkpoints.save(self.folder, self.id, self.state.step, self.state.to_json(), tensors)

    def resume(self) -> bool:
        """Go on from the newest whole checkpoint of this job, if there is one."""
        found = checkpoints.latest(self.folder, self.id)
        if found is None:
            return False
        self.state = Training.from_json(found.state, found.tensors["best"], self.policy.device, found.damaged)
        self.restore(found.tensors["policy"])
        self.state.unpack(found.tensors["optimizer"], self.optimizer, self.parameters)
        return True

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put trained parameters back into the policy."""
        with torch.no_grad():
            for name, value in tensors.items():
                self.parameters[name].copy_(value)

    @property
    def folder(self) -> Path:
        """Where the checkpoints are."""
        return self.job.folder / "checkpoints"
