"""TRAINING: fit on all votes, measure on the holdout, keep the model if it is sound, and decide what comes next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pairloop.errors import CorruptionDetected, Diverged, ModelError
from pairloop.evaluation import compare_arms, measure
from pairloop.gate import tuning_reason
from pairloop.kit.failpoints import failpoint
from pairloop.kit.threads import numeric_threads
from pairloop.pool import Pool
from pairloop.posterior import PreferencePosterior
from pairloop.protocols import RewardModel, TrainingData
from pairloop.records import Choice, Vote
from pairloop.states import RoundState
from pairloop.steps import judge
from pairloop.steps.base import Advanced, Outcome, StepContext
from pairloop.steps.contest import by_strategy, contest, news
from pairloop.steps.contract import calling, checked_annotators, checked_numbers, checked_posterior
from pairloop.steps.outlook import outlook
from pairloop.store.pool import GOLD_ONLY
from pairloop.store.rounds import Round
from pairloop.votes import MeasuredVotes, holdout_votes, measured, training_data, training_votes


@dataclass(frozen=True, slots=True)
class Fit:
    """A sound model with its numbers, or the reason why there is none."""

    model: RewardModel | None
    report: dict[str, Any]
    posterior: PreferencePosterior | None = None


def run(ctx: StepContext, current: Round) -> Outcome:
    """Fit, store the bytes, then commit model row, predictions, exclusions and the new state together."""
    pool = ctx.pool()
    judging = judge.run(ctx, current, pool)
    if judging is not None:
        pool = ctx.pool()  # pairs that only the judge was asked about have a row by now
    last_seq = ctx.store.annotations.last_seq()
    votes = ctx.store.annotations.votes(up_to=last_seq)
    ctx.progress.start("training the reward model")
    with numeric_threads(ctx.config.resources.threads):
        predictions = _predictions(ctx, pool, votes)
        fit = _fit(ctx, current, pool, votes)
        fit.report.update(contest(ctx, current, pool, votes))
        if fit.posterior is not None:
            known, before = (predictions[1], predictions[2]) if predictions is not None else ([], None)
            ahead = outlook(ctx, current, pool, votes, fit.posterior, before, fit.report, known)
            fit.report["outlook"] = ahead
    ctx.progress.finish()
    failpoint("train.before_save")
    stored = None if fit.model is None else _save(ctx, fit.model)
    excluded = _exclusions(ctx, pool, votes)
    reason = _tuning_reason(ctx, len(_given(votes)), fit.report)
    to = RoundState.TUNING if reason is not None else RoundState.CLOSED
    told = news(ctx, fit.report)
    failpoint("train.before_commit")
    with ctx.store.transaction():
        if stored is not None:
            ctx.store.artifacts.add_row(stored[0], "reward", stored[1], {"round": current.number})
        ctx.store.models.add(
            "reward",
            current.number,
            stored[0] if stored is not None else None,
            votes=len(_given(votes)),
            last_seq=last_seq,
            report=fit.report,
        )
        if predictions is not None:
            ctx.store.models.add_predictions(*predictions[:2])
        changed = ctx.store.pool.set_excluded(excluded)
        ctx.store.rounds.move(current, to, reason)
        kind = "model_trained" if stored is not None else "model_rejected"
        ctx.store.events.add(kind, current.number, votes=len(votes), excluded_prompts=changed, **_headline(fit.report))
        if told is not None:
            ctx.store.events.add("selection_changed", current.number, **told)
    failpoint("train.after_commit")
    note = fit.report.get("rejected") or _sentence(fit.report)
    more = [part for part in (judging, None if told is None else told["sentence"]) if part]
    return Advanced(current.number, to, "; ".join([note, *more]))


def _save(ctx: StepContext, model: RewardModel) -> tuple[str, int]:
    with calling("reward model", ctx.config.reward.model):
        return ctx.store.artifacts.store_bytes("reward", model.save)


def _given(votes: Sequence[Vote]) -> list[Vote]:
    return [vote for vote in votes if vote.choice is not Choice.SKIP]


def _fit(ctx: StepContext, current: Round, pool: Pool, votes: Sequence[Vote]) -> Fit:
    """Fit and measure; a fit that raises a `ModelError` or is not finite is rejected with its reason."""
    train = training_votes(pool, votes)
    held = measured(pool, holdout_votes(pool, votes))
    _check_no_leak(pool, train)
    counts = {"train_votes": len(train), "holdout_votes": len(held), "holdout_groups": len(np.unique(held.group))}
    data = training_data(pool, train)
    model, name = ctx.parts.new_reward_model(), ctx.config.reward.model
    try:
        with calling("reward model", name):
            both, trust = judge.with_judge(ctx, current.number, pool, data)
            fitted = model.fit(both, seed=ctx.seed(current.number, "fit"))
            numbers = checked_numbers(fitted.numbers, f"reward model {name!r}")
            annotators = checked_annotators(fitted.annotators, f"reward model {name!r}")
            posterior = checked_posterior(model.posterior(pool.responses), len(pool.responses))
    except ModelError as error:
        return Fit(None, {**counts, "rejected": str(error)})
    report: dict[str, Any] = {
        **counts,
        "fit": numbers,
        "notes": [str(note) for note in fitted.notes],
        "annotators": annotators,
        "judge": trust,
        "holdout": measure(posterior, held, seed=ctx.seed(current.number, "ece")),
        "arms": _arms(ctx, current, data, train, held),
        "flip_rate": posterior.flip_rate,
        "tie": posterior.tie,
        "temperature": posterior.temperature,
    }
    return Fit(model, report, posterior)


def _arms(
    ctx: StepContext, current: Round, data: TrainingData, train: Sequence[Vote], held: MeasuredVotes
) -> dict[str, Any] | None:
    if not ctx.config.selection.compare_arms:
        return None
    active = by_strategy(ctx, train)
    return compare_arms(ctx.parts.comparison_model, data, active, held, seed=ctx.seed(current.number, "arms"))


def _check_no_leak(pool: Pool, train: Sequence[Vote]) -> None:
    """The last line of defence: no vote on a holdout group may train."""
    leaked = [vote.pair_id for vote in train if pool.holdout[pool.row_of[vote.left]]]
    if leaked:
        raise Diverged(
            f"{len(leaked)} votes on holdout prompts were about to train (first pair: {leaked[0]})",
            "The campaign's database is inconsistent; run: pairloop doctor",
        )


def _predictions(
    ctx: StepContext, pool: Pool, votes: Sequence[Vote]
) -> tuple[str, list[tuple[int, float]], PreferencePosterior] | None:
    """What the current model says about votes that it has not seen (prequential), and its posterior.

    A damaged model has nothing to say, and must not stand in the way of the fit that replaces it.
    """
    row = ctx.store.models.current("reward")
    unseen = [vote for vote in votes if row is not None and vote.seq > row.last_seq and vote.choice.is_decisive]
    if row is None or row.artifact is None or not unseen:
        return None
    try:
        loaded = ctx.current_model()
    except CorruptionDetected as error:
        with ctx.store.transaction():
            ctx.store.events.add("model_damaged", row.round, artifact=row.artifact, problem=error.message)
        return None
    if loaded is None:
        return None
    model = loaded[1]
    with calling("reward model", ctx.config.reward.model):
        posterior = checked_posterior(model.posterior(pool.responses), len(pool.responses))
    p_left = posterior.probability(measured(pool, unseen).pairs)
    return row.artifact, [(vote.seq, float(p)) for vote, p in zip(unseen, p_left, strict=True)], posterior


def _exclusions(ctx: StepContext, pool: Pool, votes: Sequence[Vote]) -> dict[str, str | None]:
    """Prompts whose mean rating is too low, and prompts whose ratings changed or went so that they come back."""
    settings = ctx.config.prompts
    ratings: dict[str, list[int]] = {}
    for vote in votes:
        if vote.prompt_rating is not None:
            prompt = pool.responses[pool.row_of[vote.left]].prompt_id
            ratings.setdefault(prompt, []).append(vote.prompt_rating)
    prompts = ctx.store.pool.prompts()
    out: dict[str, str | None] = {prompt.id: None for prompt, _, reason in prompts if reason}
    for prompt, values in ratings.items():
        mean = sum(values) / len(values)
        bad = (
            settings.exclude_below is not None and len(values) >= settings.min_ratings and mean < settings.exclude_below
        )
        out[prompt] = f"rated {mean:.1f} of 5 by {len(values)}" if bad else None
    return out | {prompt.id: GOLD_ONLY for prompt, _, reason in prompts if reason == GOLD_ONLY}


def _tuning_reason(ctx: StepContext, labels: int, report: Mapping[str, Any]) -> str | None:
    """Ask plugins first, then the gate of the config; without a sound model nothing is tuned."""
    if "rejected" in report or ctx.config.policy.tuner is None:
        return None
    with calling("an observer plugin's hook", "pairloop_should_tune"):
        asked: bool | None = ctx.parts.registry.hook.pairloop_should_tune(facts={"labels": labels, **report})
    if asked is not None:
        return "a plugin asked for it" if asked else None
    last = ctx.store.models.current("policy")
    accuracy = report.get("holdout", {}).get("accuracy", {}).get("low")
    return tuning_reason(ctx.config.policy, labels, last.votes if last is not None else None, accuracy)


def _headline(report: Mapping[str, Any]) -> dict[str, Any]:
    accuracy = report.get("holdout", {}).get("accuracy", {}).get("value")
    return {"accuracy": accuracy, "rejected": report.get("rejected")}


def _sentence(report: Mapping[str, Any]) -> str:
    accuracy = report["holdout"].get("accuracy")
    if accuracy is None:
        return f"trained on {report['train_votes']} votes; no holdout votes yet"
    spread = f" [{accuracy['low']:.3f}, {accuracy['high']:.3f}]" if accuracy["low"] is not None else ""
    return f"trained on {report['train_votes']} votes, holdout accuracy {accuracy['value']:.3f}{spread}"
