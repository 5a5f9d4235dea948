"""When a round closes, when the policy is tuned, when the campaign ends: small criteria, pure functions of facts."""

from collections.abc import Mapping

from pairloop.config.models import PolicyConfig, RoundConfig
from pairloop.states import AssignmentState

_DONE = (AssignmentState.ANSWERED, AssignmentState.SKIPPED)


def closing_reason(config: RoundConfig, counts: Mapping[AssignmentState, int], hours: float) -> str | None:
    """Why a round closes now, or None while it waits.

    ``counts``: assignments by state; ``hours``: since it was published. Refused and withdrawn ones cannot be answered
    and do not count.
    """
    done = sum(counts.get(state, 0) for state in _DONE)
    still_open = sum(n for state, n in counts.items() if state.is_open)
    wanted = done + still_open
    if wanted == 0:
        return "nothing left to answer"
    if config.close_count is not None and done >= min(config.close_count, wanted):
        return f"{done} answers reached close_count = {config.close_count}"
    if done >= config.close_share * wanted - 1e-9:  # 0.55 * 100 is a little more than 55
        return f"{done} of {wanted} answered"
    if config.close_after_hours is not None and hours >= config.close_after_hours and done > 0:
        return f"deadline of {config.close_after_hours:g} hours passed with {done} of {wanted} answered"
    return None


def tuning_reason(
    config: PolicyConfig, labels: int, labels_at_last_tuning: int | None, accuracy_low: float | None
) -> str | None:
    """Why the policy is tuned after this round, or None.

    ``accuracy_low``: lower end of the holdout accuracy's interval, None when unknown.
    """
    if config.tuner is None:
        return None
    if labels_at_last_tuning is not None:
        more = labels - labels_at_last_tuning
        return f"{more} labels since the last tuning" if more >= config.every_labels else None
    if config.start_labels is not None and labels >= config.start_labels:
        return f"{labels} labels reached start_labels = {config.start_labels}"
    if config.start_accuracy is not None and accuracy_low is not None and accuracy_low >= config.start_accuracy:
        return f"holdout accuracy is at least {accuracy_low:.3f} ≥ start_accuracy = {config.start_accuracy}"
    return None
