"""The members of a pool, and which of them gets a task."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from pairloop.kit.seeds import derive_seed, unit_interval
from pairloop_plugins.simulated.options import AnnotatorOptions

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Annotator:
    """One simulated person; ``ability`` is β, infinite for the perfectly rational."""

    id: str
    kind: AnnotatorOptions
    ability: float


def normal(u: float) -> float:
    """The standard normal quantile of ``u`` in [0, 1), kept finite."""
    return _NORMAL.inv_cdf(min(max(u, 1e-12), 1 - 1e-12))


def make_pool(kinds: Sequence[AnnotatorOptions], seed: int) -> tuple[Annotator, ...]:
    """All members, numbered through the whole pool so that ids differ."""
    members: list[Annotator] = []
    for kind in kinds:
        for _ in range(kind.count):
            name = f"{kind.name}-{len(members) + 1}"
            ability = math.inf if kind.ability is None else kind.ability
            if kind.ability_spread > 0:
                ability *= math.exp(kind.ability_spread * normal(unit_interval(seed, "ability", name)))
            members.append(Annotator(name, kind, ability))
    return tuple(members)


def assign(
    pool: Sequence[Annotator], seed: int, round_number: int, pair: str, replica: int, not_for: Collection[str] = ()
) -> Annotator | None:
    """The annotator of a replica: another one for each replica of a pair in a round, None when all had it.

    ``not_for``: who had it in an earlier round. It depends on nothing but the arguments, so a task that is created
    again goes to the same person.
    """
    free = [i for i in range(len(pool)) if pool[i].id not in not_for]
    if replica >= len(free):
        return None
    order = sorted(free, key=lambda i: (derive_seed(seed, "queue", round_number, pair, i), i))
    return pool[order[replica]]
