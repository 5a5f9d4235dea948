"""The model's guesses: for a new batch, and again for the questions that are still open after it was trained."""

from collections.abc import Mapping, Sequence

import numpy as np

from pairloop.config import Config
from pairloop.errors import BackendError
from pairloop.kit.seeds import unit_interval
from pairloop.kit.threads import numeric_threads
from pairloop.pool import Pool
from pairloop.posterior import PreferencePosterior
from pairloop.protocols import TakesPrelabels
from pairloop.records import Arm, Assignment, Choice, Pair, Prelabel
from pairloop.states import AssignmentState
from pairloop.steps.base import StepContext
from pairloop.steps.contract import calling, checked_posterior
from pairloop.store.rounds import Round

_BLIND = (Arm.HOLDOUT, Arm.RANDOM, Arm.GOLD)


def guesses(
    config: Config,
    pool: Pool,
    posterior: PreferencePosterior,
    pairs: Mapping[str, Pair],
    assignments: Sequence[Assignment],
    model: str,
) -> dict[str, Prelabel]:
    """The model's guess for every assignment; holdout, control, gold and a random share stay blind when shown.

    Whether a question is blind depends on the seed, its round and its pair alone: a renewed guess changes nothing.
    """
    mode = config.backend.prelabels
    if mode == "off" or not assignments:
        return {}
    out: dict[str, Prelabel] = {}
    sides = [pairs[assignment.pair_id].displayed(assignment.flipped) for assignment in assignments]
    rows = np.array([[pool.row_of[left], pool.row_of[right]] for left, right in sides], dtype=np.int32).reshape(-1, 2)
    for assignment, p_left in zip(assignments, posterior.probability(rows).tolist(), strict=True):
        blind = assignment.arm in _BLIND or (
            unit_interval(config.campaign.seed, "blind", assignment.round, assignment.pair_id)
            < config.backend.prelabel_control
        )
        choice = Choice.LEFT if p_left >= 0.5 else Choice.RIGHT
        out[assignment.key] = Prelabel(choice, p_left, model, shown=mode == "shown" and not blind)
    return out


def renew(ctx: StepContext, current: Round) -> dict[str, Prelabel]:
    """New guesses at the open questions of earlier rounds, sent to a backend that takes them; {} where nothing is new.

    A backend that does not take them this time holds nothing up: they come with the next batch.
    """
    backend = ctx.parts.backend
    if not backend.capabilities.prelabels or not isinstance(backend, TakesPrelabels):
        return {}
    row = ctx.store.models.current("reward")
    still_open = [
        a for a in ctx.store.rounds.assignments() if a.round < current.number and a.state == AssignmentState.SENT
    ]
    if row is None or row.artifact is None or not still_open or ctx.config.backend.prelabels == "off":
        return {}
    made = _of_current_model(ctx, still_open, row.artifact)
    known = {k: g for number in {a.round for a in still_open} for k, g in ctx.store.rounds.prelabels(number).items()}
    made = {key: guess for key, guess in made.items() if key not in known or known[key].model != guess.model}
    if not made:
        return {}
    try:
        with calling("backend", backend.name):
            backend.renew(made)
    except BackendError as error:
        with ctx.store.transaction():
            ctx.store.events.add("prelabels_not_renewed", current.number, questions=len(made), reason=error.message)
        return {}
    return made


def _of_current_model(ctx: StepContext, asked: Sequence[Assignment], artifact: str) -> dict[str, Prelabel]:
    loaded = ctx.current_model()
    if loaded is None:
        return {}
    pool = ctx.pool()
    pairs = {pair.id: pair for pair, _ in ctx.store.pool.pairs()}
    with numeric_threads(ctx.config.resources.threads), calling("reward model", ctx.config.reward.model):
        posterior = checked_posterior(loaded[1].posterior(pool.responses), len(pool.responses))
    return guesses(ctx.config, pool, posterior, pairs, asked, artifact)
