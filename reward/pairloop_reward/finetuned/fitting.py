"""From votes to members: whom to believe, the networks one after the other, their heads, and the temperature."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pairloop.kit.canonical import digest
from pairloop.kit.seeds import derive_seed
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray, ModelContext, TrainingData
from pairloop_reward.backbone.location import Location
from pairloop_reward.calibration import FEWEST_VOTES, Calibration, moderated_margins, temperature_of
from pairloop_reward.crossfit import group_folds
from pairloop_reward.finetuned.job import Job, JobVotes, flattened, new_job
from pairloop_reward.finetuned.lastlayer import fit_last_layer
from pairloop_reward.finetuned.launch import train
from pairloop_reward.finetuned.member import Fitted, Member, first_head, fit_member_head, posterior_factor
from pairloop_reward.finetuned.modes import merge
from pairloop_reward.finetuned.network import Network, load_network
from pairloop_reward.finetuned.options import FinetunedOptions
from pairloop_reward.finetuned.runtime import device_named
from pairloop_reward.finetuned.state import State
from pairloop_reward.finetuned.states import States
from pairloop_reward.finetuned.trust import Trust
from pairloop_reward.likelihood import TIE, Float64

_KEPT_JOBS = 8  # finished and unfinished ones; a round with an ensemble has as many as members
_FIRST_DIRECTIONS = 64


@dataclass(frozen=True, slots=True)
class Trained:
    """A member with what its fit found.

    Attributes:
        state: how training went. fitted: its head. held: (N,) the votes that it did not train on.
    """

    member: Member
    state: State
    fitted: Fitted
    held: BoolArray


@dataclass(frozen=True, slots=True)
class Start:
    """The pretrained network and what it says of the pool: where every member begins.

    Attributes:
        hidden: (R, d) last hidden states. cut: (R,) tokens that were cut. head: (d,) the linear fit on them.
    """

    network: Network
    states: States
    hidden: FloatArray
    cut: IntArray
    head: Float64


def pretrained(location: Location, options: FinetunedOptions, context: ModelContext) -> tuple[Network, States]:
    """The network before any vote, and its states."""
    network = load_network(location, device_named(options.device))
    return network, States(network, location.key, options.max_length, context, "pretrained")


def start_of(
    location: Location, data: TrainingData, trust: Trust, options: FinetunedOptions, context: ModelContext
) -> Start:
    """Where training begins: states of the responses that were voted on or may be learned from."""
    network, states = pretrained(location, options, context)
    hidden, cut = states.of(data.responses)
    return Start(network, states, hidden, cut, first_head(network, hidden, data, trust, _FIRST_DIRECTIONS))


def fit_members(
    location: Location,
    start: Start,
    data: TrainingData,
    trust: Trust,
    options: FinetunedOptions,
    context: ModelContext,
    *,
    seed: int,
) -> list[Trained]:
    """Train and fit every member.

    Raises:
        Diverged: a number is not finite.
    """
    parts = left_out_parts(data.group, options, seed)
    out = []
    for number in range(options.members):
        held = np.zeros(len(data), dtype=bool)
        if parts:
            held[parts[number % len(parts)]] = True
        job = new_job(
            location, options, derive_seed(seed, "member", number), context.threads,
            _job_votes(start, data, trust, held),
        )  # fmt: skip
        with _folder(context.cache, job.key) as folder:
            network, state = train(job, folder, context.progress)
        merge(network)
        out.append(_headed(network, job, state, data, trust, options, context, held))
    _prune(context.cache)
    return out


def left_out_parts(group: IntArray, options: FinetunedOptions, seed: int) -> list[IntArray]:
    """Rows that each member leaves out, whole groups of them; [] where nothing is to be left out, or all is one group.

    The parts are those of a cross-validation, so that members differ by their votes too (Krogh & Vedelsby 1995).
    """
    groups = len(np.unique(group))
    if options.left_out == 0 or groups < 2:
        return []
    wanted = max(options.members, round(1.0 / options.left_out))
    parts = group_folds(group, min(wanted, groups))
    first = derive_seed(seed, "left out") % len(parts)
    return parts[first:] + parts[:first]


def _job_votes(start: Start, data: TrainingData, trust: Trust, held: BoolArray) -> JobVotes:
    """The votes of positive weight, over the sequences that they are about; others would only cost time."""
    rows = np.flatnonzero(trust.weight > 0)
    used, index = np.unique(np.stack([data.left[rows], data.right[rows]]), return_inverse=True)
    left, right = index.reshape(2, len(rows)).astype(np.int64)
    tokens, ends = flattened([start.states.tokens(data.responses[i]).ids for i in used.tolist()])
    return JobVotes(
        tokens=tokens, ends=ends, left=left, right=right, outcome=data.outcome[rows].astype(np.int64),
        weight=trust.weight[rows], flip=trust.flip[rows], offset=trust.offset[rows] + trust.bias,
        held=held[rows].astype(np.int64), head=start.head, log_tie=trust.log_tie,
    )  # fmt: skip


def _headed(
    network: Network,
    job: Job,
    state: State,
    data: TrainingData,
    trust: Trust,
    options: FinetunedOptions,
    context: ModelContext,
    held: BoolArray,
) -> Trained:
    """The network with its posterior's head, which becomes the network's own."""
    states = States(network, digest([job.key, state.best_epoch]), options.max_length, context, "trained")
    hidden, _ = states.of(data.responses)
    own = network.head.weight[0].detach().cpu().numpy()
    layer = fit_last_layer(hidden, data.responses, data.trainable, own, options.dimensions)
    fitted = fit_member_head(layer, hidden, data, trust)
    # of float32, as the network holds them, so that both say the same
    weights = layer.weights(fitted.fit.weights).astype(np.float32).astype(np.float64)
    network.set_head(weights.astype(np.float32))
    return Trained(Member(network, states, weights, layer, posterior_factor(fitted.fit)), state, fitted, held)


def calibrated(trained: Sequence[Trained], data: TrainingData, trust: Trust) -> Calibration:
    """Temperature from votes that neither network nor head had a part in.

    Of these the votes of the random arm have the last word where they are enough; otherwise all of them: networks are
    too sure of themselves by more than selection is unfair.
    """
    rows_of, margins = [], []
    for each in trained:
        votes = each.fitted.votes
        rows = np.flatnonzero(each.held & (votes.outcome != TIE) & (votes.weight > 0) & ~data.prelabel_shown)
        if len(rows):
            rows_of.append(rows)
            margins.append(moderated_margins(votes.subset(~each.held), votes.difference[rows], each.fitted.fit))
    rows = np.concatenate(rows_of) if rows_of else np.zeros(0, dtype=np.intp)
    if len(rows) < FEWEST_VOTES:
        return Calibration(
            1.0, note=f"not calibrated: {len(rows)} decisive votes were left out of training, {FEWEST_VOTES} are needed"
        )
    control = data.control[rows]
    enough = int(control.sum()) >= FEWEST_VOTES
    votes = trained[0].fitted.votes.subset(rows)
    found = temperature_of(
        votes, np.concatenate(margins), control if enough else np.ones_like(control), trust.flip_rate
    )
    if enough:
        return found
    note = (
        f"calibrated on chosen pairs too: only {int(control.sum())} votes of the random arm were left out of training"
    )
    return Calibration(found.temperature, found.votes, found.log_loss_before, found.log_loss_after, note)


@contextmanager
def _folder(cache: Path | None, key: str) -> Iterator[Path]:
    """Where a job lives: in the cache, so that a killed one goes on; or for this call only."""
    if cache is not None:
        folder = cache / "finetuned" / "jobs" / key
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="pairloop-finetune-") as name:
        yield Path(name)


def _prune(cache: Path | None) -> None:
    if cache is None:
        return
    folders: list[Any] = sorted(
        (cache / "finetuned" / "jobs").glob("*"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for folder in folders[_KEPT_JOBS:]:
        shutil.rmtree(folder, ignore_errors=True)
