"""What a fit says about itself."""

from collections.abc import Sequence

import numpy as np

from pairloop.posterior import IntArray
from pairloop.protocols import TrainingData
from pairloop_reward.calibration import Calibration
from pairloop_reward.finetuned.fitting import Trained
from pairloop_reward.finetuned.trust import Trust
from pairloop_reward.likelihood import TIE
from pairloop_reward.signal import stuck_annotators


def numbers_of(
    trained: Sequence[Trained], data: TrainingData, trust: Trust, calibration: Calibration, cut: IntArray
) -> dict[str, float]:
    """Finite numbers for the manifest; where there are several members, their means."""
    ties = int((data.outcome == TIE).sum())
    fits = [each.fitted.fit for each in trained]
    spread = 1.96 * float(np.mean([fit.position_deviation for fit in fits]))
    bias = float(np.mean([fit.position_bias for fit in fits]))
    found = {
        "decisive_votes": float(len(data) - ties),
        "tied_votes": float(ties),
        "members": float(len(trained)),
        "steps": float(np.mean([each.state.step for each in trained])),
        "best_epoch": float(np.mean([each.state.best_epoch for each in trained])),
        "left_out_votes": float(np.mean([each.held.sum() for each in trained])),
        "prior_margin_own": float(np.mean([each.fitted.taus[0] for each in trained])),
        "prior_margin_directions": float(np.mean([each.fitted.taus[1] for each in trained])),
        "flip_rate": trust.flip_rate,
        "tie": float(np.mean([fit.tie for fit in fits])),
        "position_bias": bias,
        "position_low": bias - spread,
        "position_high": bias + spread,
        "log_likelihood": float(np.mean([fit.log_likelihood for fit in fits])),
        "temperature": calibration.temperature,
        "calibration_votes": float(calibration.votes),
        **_cuts(data, cut),
        **trust.numbers,
    }
    if all(each.held.any() for each in trained):
        found["left_out_loss_before"] = float(np.mean([each.state.epoch_losses[0] for each in trained]))
        found["left_out_loss"] = float(np.mean([min(each.state.epoch_losses) for each in trained]))
    if trained[0].state.train_losses:
        found["train_loss_first"] = float(np.mean([each.state.train_losses[0] for each in trained]))
        found["train_loss_last"] = float(np.mean([each.state.train_losses[-1] for each in trained]))
    if calibration.votes:
        found["calibration_log_loss_before"] = calibration.log_loss_before
        found["calibration_log_loss"] = calibration.log_loss_after
    return found


def notes_of(
    trained: Sequence[Trained], data: TrainingData, calibration: Calibration, cut: IntArray
) -> tuple[str, ...]:
    """Sentences for people."""
    notes = [*stuck_annotators(data)]
    if calibration.note:
        notes.append(calibration.note)
    cuts = _cuts(data, cut)
    if cuts["responses_truncated"]:
        notes.append(
            f"{cuts['responses_truncated']:.0f} responses or their prompts were longer than the model takes, in "
            f"{cuts['votes_truncated']:.0f} votes: {cuts['tokens_cut']:.0f} tokens were cut, no vote was dropped"
        )
    idle = sum(each.state.best_epoch == 0 and len(each.state.epoch_losses) > 1 for each in trained)
    if idle:
        notes.append(
            "fine-tuning did not help: left-out votes were predicted best before it"
            + (f" ({idle} of {len(trained)} members)" if len(trained) > 1 else "")
        )
    damaged = [name for each in trained for name in each.state.damaged]
    if damaged:
        notes.append(f"damaged checkpoints were passed over: {'; '.join(damaged)}")
    return tuple(notes)


def _cuts(data: TrainingData, cut: IntArray) -> dict[str, float]:
    either = (cut[data.left] > 0) | (cut[data.right] > 0)
    return {
        "responses_truncated": float((cut > 0).sum()),
        "votes_truncated": float(either.sum()),
        "tokens_cut": float(cut.sum()),
    }
