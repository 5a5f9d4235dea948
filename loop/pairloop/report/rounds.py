"""Facts about the running of the campaign: rounds, what came late, what was spent, what is left to ask."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pairloop.budget import Spending
from pairloop.config import Config
from pairloop.pool import Pool
from pairloop.records import Arm, Assignment, Event
from pairloop.report.table import ARMS, CHOICES, VoteTable
from pairloop.states import AssignmentState
from pairloop.store.rounds import Round

ALL = 10**9  # events: all of them
_ARRIVALS = ("new", "revised", "retracted", "late", "unknown")


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """One round: questions asked, votes by arm and by choice (names as keys), median seconds a vote."""

    number: int
    state: str
    reason: str | None
    asked: int
    open: int
    refused: int
    votes: int
    by_arm: dict[str, int]
    by_choice: dict[str, int]
    cost: float
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What became of what the backend reported: as counted when it arrived."""

    new: int
    revised: int
    retracted: int
    late: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Spent:
    """One kind of budget; ``limit`` None means no limit."""

    name: str
    unit: str
    spent: float
    reserved: float
    limit: float | None

    @property
    def share(self) -> float | None:
        """Spent and reserved over the limit, in [0, 1]."""
        return None if not self.limit else min((self.spent + self.reserved) / self.limit, 1.0)


@dataclass(frozen=True, slots=True)
class Supply:
    """What there is to ask about.

    Attributes:
        pairs: pairs of the training side whose prompts are not excluded; asked: those that were asked already.
        holdout_pairs, holdout_asked: the same of the holdout side. Other numbers count the pool.
    """

    prompts: int
    responses: int
    groups: int
    holdout_groups: int
    excluded: tuple[tuple[str, int], ...]
    pairs: int
    asked: int
    holdout_pairs: int
    holdout_asked: int

    @property
    def excluded_prompts(self) -> int:
        """Prompts that left the campaign."""
        return sum(n for _, n in self.excluded)


def round_facts(rounds: Sequence[Round], assignments: Sequence[Assignment], table: VoteTable) -> tuple[RoundFacts, ...]:
    """Every round in order; a late vote counts in the round that asked."""
    states: dict[int, Counter[AssignmentState]] = {}
    for assignment in assignments:
        states.setdefault(assignment.round, Counter())[AssignmentState(assignment.state)] += 1
    out = []
    for current in rounds:
        rows = table.round == current.number
        known = table.seconds[rows & ~np.isnan(table.seconds)]
        found = states.get(current.number, Counter())
        out.append(
            RoundFacts(
                number=current.number,
                state=current.state.value,
                reason=current.reason,
                asked=found.total(),
                open=sum(n for state, n in found.items() if state.is_open),
                refused=found[AssignmentState.REFUSED],
                votes=int(rows.sum()),
                by_arm={arm.value: int((table.arm[rows] == i).sum()) for i, arm in enumerate(ARMS)},
                by_choice={choice.value: int((table.choice[rows] == i).sum()) for i, choice in enumerate(CHOICES)},
                cost=float(table.cost[rows].sum()),
                seconds=float(np.median(known)) if len(known) else None,
            )
        )
    return tuple(out)


def arrivals(events: Sequence[Event]) -> Arrivals:
    """Sums over the pages that were received."""
    received = [event.body for event in events if event.kind == "annotations_received"]
    return Arrivals(**{name: sum(int(body.get(name, 0)) for body in received) for name in _ARRIVALS})


def spent_facts(spent: Spending, config: Config) -> tuple[Spent, ...]:
    """Votes, money and working time; money only where votes cost something."""
    limits = config.budget
    money = [Spent("money", "", spent.cost, spent.open_cost, limits.cost)]
    return (
        Spent("votes", "votes", spent.labels, spent.open_labels, limits.labels),
        *(money if spent.cost > 0 or limits.cost is not None else []),
        Spent("working time", "hours", spent.hours, spent.open_hours, limits.annotator_hours),
    )


def supply(
    pool: Pool, reasons: Sequence[str | None], assignments: Sequence[Assignment], sides: Sequence[bool]
) -> Supply:
    """How much of the pool was asked.

    Args:
        reasons: why each prompt left the campaign, None where it did not.
        assignments: all of them; sides: for each of them, whether its pair is on the holdout side.
    """
    asked = {
        a.pair_id: held
        for a, held in zip(assignments, sides, strict=True)
        if a.state != "withdrawn" and a.arm is not Arm.GOLD
    }
    kinds = Counter("rated too low" if reason.startswith("rated") else reason for reason in reasons if reason)
    held_of_group = dict(zip(pool.group.tolist(), pool.holdout.tolist(), strict=True))
    return Supply(
        prompts=len(pool.prompts),
        responses=len(pool.responses),
        groups=len(held_of_group),
        holdout_groups=sum(held_of_group.values()),
        excluded=tuple(sorted(kinds.items())),
        pairs=_pairs(pool, holdout=False),
        asked=sum(not held for held in asked.values()),
        holdout_pairs=_pairs(pool, holdout=True),
        holdout_asked=sum(asked.values()),
    )


def _pairs(pool: Pool, *, holdout: bool) -> int:
    """Pairs of one side that may be asked, without listing those that are implied by their prompt."""
    usable = ~pool.excluded & (pool.holdout == holdout)
    implied = sum(len(block) * (len(block) - 1) // 2 for block in pool.all_pairs if usable[block[0]])
    if not len(pool.listed):
        return implied
    first = pool.listed[:, 0]
    return implied + int((usable[first] & pool.listed_only[pool.prompt[first]]).sum())
