"""TUNING: raise the learned reward of the policy within its KL budget, against a reference that never moves."""

from collections.abc import Sequence
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree
from typing import Any

from pairloop.errors import ContractViolation, ModelError
from pairloop.kit.atomic import TEMPORARY, disk_errors
from pairloop.kit.canonical import digest
from pairloop.kit.failpoints import failpoint
from pairloop.kit.seeds import generator
from pairloop.pool import Pool
from pairloop.protocols import PolicyJob, PolicyPrompt, PolicyResult, RewardModel
from pairloop.states import RoundState
from pairloop.steps.base import Advanced, Outcome, StepContext
from pairloop.steps.contract import calling, checked_numbers
from pairloop.store.models import ModelRow
from pairloop.store.rounds import Round


def run(ctx: StepContext, current: Round) -> Outcome:
    """Tune, store the checkpoint, then commit policy row and the new state together."""
    pool = ctx.pool()
    reference = _reference(ctx, current, pool)
    loaded = ctx.current_model()
    if loaded is None or reference.artifact is None:
        raise ModelError("there is no reward model to tune against")
    job = _job(ctx, current, pool, reference.artifact, loaded[0].artifact or "")
    if not job.prompts:
        return _without_prompts(ctx, current)
    result = _tuned(ctx, job, loaded[1])
    failpoint("tune.before_save")
    sha256, size = ctx.store.artifacts.store_bytes("policy", _copier(result.checkpoint))
    failpoint("tune.before_commit")
    with ctx.store.transaction():
        ctx.store.artifacts.add_row(sha256, "policy", size, {"round": current.number})
        ctx.store.models.add(
            "policy",
            current.number,
            sha256,
            votes=loaded[0].votes,
            last_seq=loaded[0].last_seq,
            report=_report(ctx, result, loaded[0], reference.artifact),
        )
        ctx.store.rounds.move(current, RoundState.GENERATING)
        ctx.store.events.add("policy_tuned", current.number, **{**result.summary, "stop": result.stop_reason})
    failpoint("tune.after_commit")
    rmtree(job.folder.parent, ignore_errors=True)
    return Advanced(current.number, RoundState.GENERATING, f"policy tuned: {result.stop_reason}")


def _tuned(ctx: StepContext, job: PolicyJob, scorer: RewardModel) -> PolicyResult:
    """What the tuner delivers, checked.

    Raises:
        ContractViolation: there is no checkpoint. Diverged: a number is not finite.
    """
    name = ctx.config.policy.tuner or ""
    with disk_errors(job.folder):
        for other in job.folder.parent.glob("tune-*"):
            if other != job.folder:
                rmtree(other)  # of a job that was given up
        job.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with calling("policy tuner", name):
        result = ctx.parts.tuner.tune(job, scorer, ctx.progress)
        if not result.checkpoint.is_dir():
            raise ContractViolation(f"policy tuner {name!r} delivered no checkpoint ({result.checkpoint})")
        summary = checked_numbers(result.summary, f"policy tuner {name!r}")
        metrics = [checked_numbers(row, f"policy tuner {name!r}") for row in result.metrics]
    return PolicyResult(result.checkpoint, metrics, str(result.stop_reason), summary)


def _without_prompts(ctx: StepContext, current: Round) -> Outcome:
    reason = "no prompt is left to tune on"
    with ctx.store.transaction():
        ctx.store.rounds.move(current, RoundState.CLOSED, reason)
        ctx.store.events.add("tuning_skipped", current.number, reason=reason)
    return Advanced(current.number, RoundState.CLOSED, reason)


def _reference(ctx: StepContext, current: Round, pool: Pool) -> ModelRow:
    """π0, made once and the same artifact ever after."""
    known = ctx.store.models.current("reference")
    if known is not None:
        return known
    corpus = [view for row, view in enumerate(pool.responses) if not (pool.holdout[row] or pool.excluded[row])]
    seed = ctx.seed("reference")

    def write(folder: Path) -> None:
        with calling("policy tuner", ctx.config.policy.tuner or ""):
            ctx.parts.tuner.prepare(ctx.parts.policy_model(), corpus, folder, seed=seed, progress=ctx.progress)

    sha256, size = ctx.store.artifacts.store_bytes("policy", write)
    with ctx.store.transaction():
        ctx.store.artifacts.add_row(sha256, "policy", size, {"reference": True})
        ctx.store.models.add("reference", current.number, sha256, votes=0, last_seq=0, report={"reference": True})
        ctx.store.events.add("reference_fixed", current.number, artifact=sha256, model=ctx.config.policy.model)
    failpoint("tune.prepared")
    found = ctx.store.models.current("reference")
    if found is None:
        raise ModelError("the reference policy was stored but is not there")
    return found


def _job(ctx: StepContext, current: Round, pool: Pool, reference: str, reward: str) -> PolicyJob:
    """The job, in a folder named after all that decides its result: checkpoints of any other job are never found."""
    settings = ctx.config.policy
    previous = ctx.store.models.current("policy") if settings.start_from == "previous" else None
    start = previous.artifact if previous is not None and previous.artifact is not None else reference
    prompts = draw_prompts(ctx, pool, settings.prompts + settings.probe_prompts, current.number, "tune")
    probe = prompts[: min(settings.probe_prompts, len(prompts) // 2)]
    seed = ctx.seed(current.number, "tune")
    decided_by = [start, reference, reward, [prompt.id for prompt in prompts], seed, settings.model_dump(mode="json")]
    return PolicyJob(
        folder=ctx.store.folder / "work" / f"tune-{current.number}-{digest(decided_by)[:16]}",
        policy=ctx.store.artifacts.path(start),
        reference=ctx.store.artifacts.path(reference),
        prompts=prompts[len(probe) :],
        probe=probe,
        kl_weight=settings.kl_weight,
        kl_budget=settings.kl_budget,
        conservatism=settings.conservatism,
        seed=seed,
        threads=ctx.config.resources.threads,
    )


def draw_prompts(ctx: StepContext, pool: Pool, n: int, number: int, purpose: str) -> list[PolicyPrompt]:
    """Up to ``n`` prompts of the training side that are not excluded, uniformly."""
    usable = {
        view.prompt_id: view for row, view in enumerate(pool.responses) if not (pool.holdout[row] or pool.excluded[row])
    }
    ids: Sequence[str] = list(usable)
    rng = generator(ctx.config.campaign.seed, number, "prompts", purpose)
    chosen = [ids[i] for i in rng.permutation(len(ids))[:n]]
    return [PolicyPrompt(id_, usable[id_].prompt, usable[id_].group) for id_ in chosen]


def _copier(source: Path) -> Any:
    """Copies all but what a kill in the middle of `write_atomic` left: it is no part of the policy."""

    def copy(folder: Path) -> None:
        copytree(source, folder, dirs_exist_ok=True, ignore=ignore_patterns(TEMPORARY))

    return copy


def _report(ctx: StepContext, result: PolicyResult, reward: ModelRow, reference: str) -> dict[str, Any]:
    return {
        "tuner": ctx.config.policy.tuner,
        "stop_reason": result.stop_reason,
        "metrics": [dict(row) for row in result.metrics],
        "summary": dict(result.summary),
        "reward_model": reward.artifact,
        "reference": reference,
        "kl_weight": ctx.config.policy.kl_weight,
        "kl_budget": ctx.config.policy.kl_budget,
    }
