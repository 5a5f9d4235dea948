"""Best-of-n: no training; of n samples the one with the best conservative reward is kept.

KL(π_n‖π0) ≤ log n − (n − 1)/n, an upper bound that is loose where responses repeat (Beirami et al. 2024, "Theoretical
guarantees on the best-of-n alignment policy").
"""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pairloop.errors import UsageError
from pairloop.kit.seeds import derive_seed
from pairloop.kit.staging import staged
from pairloop.posterior import FloatArray
from pairloop.protocols import Generated, PolicyJob, PolicyPrompt, PolicyResult, Progress, Scorer
from pairloop.records import ResponseView
from pairloop_policy import models
from pairloop_policy.generate import draw, generate, told_sampling
from pairloop_policy.options import BestOfNOptions
from pairloop_policy.prepare import prepare
from pairloop_policy.rewards import conservative
from pairloop_policy.runtime import deterministic, device
from pairloop_policy.sampling import Sampling, sample, views


class BestOfN:
    """Implements `pairloop.protocols.PolicyTuner`."""

    def __init__(self, options: BestOfNOptions) -> None:
        self.options = options

    def prepare(self, model: str, corpus: Sequence[ResponseView], into: Path, *, seed: int, progress: Progress) -> None:
        """Write π0; see `pairloop_policy.prepare`."""
        prepare(model, corpus, into, self.options.scratch, seed=seed, progress=progress)

    def tune(self, job: PolicyJob, scorer: Scorer, progress: Progress) -> PolicyResult:
        """Return the job's policy as it is, with what best-of-n would gain on the probe prompts.

        One row of metrics for each n = 1, 2, 4 … up to ``candidates``; ``kl`` is the upper bound.

        Raises:
            UsageError: there is neither a probe prompt nor a prompt.
            Diverged: a reward is not finite.
        """
        prompts = list(job.probe or job.prompts)[: self.options.probe_prompts]
        if not prompts:
            raise UsageError("there is no prompt to measure best-of-n on.", "Prompts rated bad do not count.")
        progress.start("measuring best-of-n", len(prompts))
        metrics = self._measure(job, prompts, scorer)
        target = job.folder / "policy"
        with staged(target) as into:
            shutil.copytree(job.policy, into, dirs_exist_ok=True, copy_function=shutil.copyfile)
        progress.advance(len(prompts))
        progress.finish()
        n = metrics[-1]["n"]
        reason = (
            f"nothing was trained: generation keeps the best of {self.options.candidates} samples by the reward model; "
            f"its own mean − {job.conservatism:g}·std judged n = {n:g} on {len(prompts)} "
            f"{'probe' if job.probe else 'training'} prompts, so the gain is optimistic"
        )
        return PolicyResult(target, metrics, reason, _summary(metrics, len(prompts), bool(job.probe)))

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
        """``n`` responses a prompt, each the best of ``candidates`` fresh samples; plain samples without a scorer.

        Raises:
            Diverged: a reward is not finite.
        """
        o = self.options
        if scorer is None:
            return generate(policy, prompts, n, o, seed=seed, threads=threads)
        drawn = draw(policy, prompts, n * o.candidates, o, seed=seed, threads=threads)
        rewards = conservative(scorer, views(drawn, prompts), o.conservatism).value.reshape(-1, o.candidates)
        best = rewards.argmax(axis=1) + np.arange(len(rewards)) * o.candidates
        told = {**told_sampling(o, seed), "best_of": o.candidates, "kl_upper_bound": kl_bound(o.candidates)}
        return [Generated(prompts[drawn[i].prompt].id, drawn[i].text, dict(told)) for i in best]

    def _measure(self, job: PolicyJob, prompts: Sequence[PolicyPrompt], scorer: Scorer) -> list[dict[str, float]]:
        o = self.options
        count = max(o.candidates, o.probe_samples)
        with deterministic(job.threads):
            policy = models.load(job.policy, device(o.device), o.dtype)
            how = Sampling(o.max_new_tokens, o.temperature, o.top_p, allow_empty=False)
            seed = derive_seed(job.seed, "probe")
            drawn = sample(policy, prompts, count, how, seed=seed, batch_size=o.batch_size)
        rewards = conservative(scorer, views(drawn, prompts), job.conservatism)
        table = rewards.value.reshape(len(prompts), count)
        lengths = np.array([float(len(s.response)) for s in drawn]).reshape(table.shape)
        rows = []
        for step, n in enumerate(_sizes(o.candidates)):
            weights = best_of_n_weights(count, n)
            order = np.argsort(table, axis=1, kind="stable")
            rows.append(
                {
                    "step": float(step),
                    "n": float(n),
                    "reward": float((np.take_along_axis(table, order, 1) @ weights).mean()),
                    "kl": kl_bound(n),
                    "length": float((np.take_along_axis(lengths, order, 1) @ weights).mean()),
                }
            )
        return rows


def kl_bound(n: int) -> float:
    """Upper bound of the KL of best-of-n to its base policy: log n − (n − 1)/n nats."""
    return math.log(n) - (n - 1) / n


def best_of_n_weights(count: int, n: int) -> FloatArray:
    """(count,) weights of the sorted samples, smallest first, whose weighted mean is the unbiased E[max of n].

    The i-th smallest (i from 1) is the largest of a random n-subset with probability C(i−1, n−1)/C(count, n).
    """
    return np.array([math.comb(i, n - 1) / math.comb(count, n) for i in range(count)])


def _sizes(largest: int) -> list[int]:
    powers = [1 << i for i in range(largest.bit_length()) if 1 << i <= largest]
    return powers if powers[-1] == largest else [*powers, largest]


def _summary(metrics: Sequence[dict[str, float]], prompts: int, held_out: bool) -> dict[str, float]:
    first, last = metrics[0], metrics[-1]
    return {
        "n": last["n"],
        "probe_prompts": float(prompts),
        "probe_is_training": float(not held_out),
        "probe_reward_before": first["reward"],
        "probe_reward_after": last["reward"],
        "probe_kl_before": 0.0,
        "probe_kl_after": last["kl"],
        "probe_length_before": first["length"],
        "probe_length_after": last["length"],
    }
