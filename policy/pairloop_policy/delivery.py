"""What an RL job says about its result: why it ended, and numbers before and after."""

from pairloop.protocols import PolicyJob
from pairloop_policy.options import RLOOOptions
from pairloop_policy.probe import Probe
from pairloop_policy.training import Training


def reason(state: Training, job: PolicyJob, probes: int) -> str:
    """Why it ended, which step was kept, and by what it was judged."""
    what = "probe prompts" if job.probe else "training prompts, as there are no probe prompts"
    said = (
        f"{state.stopped}; kept step {state.best_step}, the best mean − {job.conservatism:g}·std of the reward model "
        f"on {probes} {what}"
    )
    return said + (f"; damaged checkpoints were passed over: {state.damaged}" if state.damaged else "")


def summary(
    state: Training, job: PolicyJob, options: RLOOOptions, trained: int, probes: int, before: Probe, after: Probe
) -> dict[str, float]:
    """Numbers of the start and of the delivered policy on the probe prompts.

    ``before`` and ``after`` come from samples that took no part in choosing the step, so there is no winner's curse;
    the reward is still the one that was optimised (conservative, by the reward model), not a gold one.
    """
    numbers = {
        "steps": float(state.step),
        "kept_step": float(state.best_step),
        "probe_prompts": float(probes),
        "probe_samples": float(options.probe_samples),
        "probe_is_training": float(not job.probe),
        "reward_scale": state.scale,
        "trained_parameters": float(trained),
        "truncated_prompts": sum(row.get("truncated_prompts", 0.0) for row in state.metrics),
    }
    for name in ("reward", "std", "kl", "length", "unfinished"):
        numbers[f"probe_{name}_before"] = getattr(before, name)
        numbers[f"probe_{name}_after"] = getattr(after, name)
    return numbers
