"""What may still be spent. Open assignments count as spent: a late vote costs as much as a prompt one."""

from dataclasses import dataclass
from datetime import UTC

from pairloop.config.models import BudgetConfig
from pairloop.kit.clock import now_time
from pairloop.records import Vote
from pairloop.store import Store


@dataclass(frozen=True, slots=True)
class Spending:
    """Votes, money and working time, given and reserved.

    Attributes:
        labels, cost, hours: of votes that were given (skips are paid like votes).
        open_labels, open_cost, open_hours: expected of assignments that may still bring a vote.
    """

    labels: int
    cost: float
    hours: float
    open_labels: int
    open_cost: float
    open_hours: float


def spending(store: Store, votes: list[Vote], config: BudgetConfig) -> Spending:
    """What the campaign has spent and reserved.

    ``votes``: all that stand (`AnnotationLog.standing`): a second vote of one person about one pair is paid too.
    """
    timed = [vote.seconds for vote in votes if vote.seconds is not None]
    seconds_per_vote = sum(timed) / len(timed) if timed else config.seconds_per_vote
    open_labels, open_cost = store.rounds.open_cost()
    hours = (sum(timed) + (len(votes) - len(timed)) * seconds_per_vote) / 3600.0
    return Spending(
        labels=len(votes),
        cost=sum(vote.cost for vote in votes),
        hours=hours,
        open_labels=open_labels,
        open_cost=open_cost,
        open_hours=open_labels * seconds_per_vote / 3600.0,
    )


def affordable(config: BudgetConfig, spent: Spending, wanted: int) -> tuple[int, str | None]:
    """(how many of the wanted assignments the budget allows, the limit that binds or None)."""
    limits: list[tuple[int, str]] = []
    if config.labels is not None:
        limits.append((config.labels - spent.labels - spent.open_labels, f"budget.labels = {config.labels}"))
    if config.cost is not None:
        rest = config.cost - spent.cost - spent.open_cost
        limits.append((int((rest + 1e-9) / config.cost_per_vote), f"budget.cost = {config.cost:g}"))
    if config.annotator_hours is not None:
        each = _hours_per_vote(config, spent)
        rest = config.annotator_hours - spent.hours - spent.open_hours
        limits.append((int((rest + 1e-9) / each), f"budget.annotator_hours = {config.annotator_hours:g}"))
    if config.until is not None and now_time() >= config.until.astimezone(UTC):
        limits.append((0, f"budget.until = {config.until.isoformat()}"))
    if not limits:
        return wanted, None
    n, name = min(limits)
    return (wanted, None) if n >= wanted else (max(n, 0), name)


def _hours_per_vote(config: BudgetConfig, spent: Spending) -> float:
    seconds = 3600.0 * spent.hours / spent.labels if spent.labels else config.seconds_per_vote
    return max(seconds, 1e-6) / 3600.0
