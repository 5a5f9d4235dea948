"""The ``auto`` reward model: whichever candidate predicted the votes of the random arm best before it saw them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pairloop.errors import ConfigError, CorruptionDetected, DataError, Diverged, MissingExtra, UsageError
from pairloop.kit.atomic import write_atomic
from pairloop.kit.canonical import canonical_json, digest
from pairloop.kit.seeds import derive_seed
from pairloop.kit.versions import installed_versions
from pairloop.posterior import FloatArray, PreferencePosterior
from pairloop.protocols import BoolArray, Checkable, FitReport, ModelContext, RewardModel, TrainingData
from pairloop.records import ResponseView
from pairloop_reward.automatic.options import AutoOptions, Kind
from pairloop_reward.automatic.prequential import (
    Block,
    Choice,
    block_losses,
    blocks,
    choose_candidate,
    narrowed,
)
from pairloop_reward.cache import DiskCache, content_keys

CHOSEN = "auto.json"
FORMAT = 1
_SEED = derive_seed(0, "prequential")  # the same in every round, or no comparison would ever be found again
_UNUSABLE = (MissingExtra, ConfigError, DataError)
_LIBRARIES = ("torch", "transformers", "numpy", "scipy", "scikit-learn")


@dataclass(slots=True)
class Compared:
    """A comparison: losses by candidate on the same votes, and candidates that cannot be used, with the reason."""

    losses: dict[Kind, FloatArray] = field(default_factory=dict)
    unusable: dict[Kind, str] = field(default_factory=dict)
    predicted: int = 0
    choice: Choice | None = None


class AutoRewardModel:
    """Implements `pairloop.protocols.RewardModel` by one of several."""

    def __init__(self, options: AutoOptions, context: ModelContext) -> None:
        self._options, self._context = options, context
        self._cache = DiskCache(None if context.cache is None else context.cache / "auto")
        self._chosen: Kind = options.candidates[0]
        self._model: RewardModel | None = None

    def prior(self, responses: Sequence[ResponseView], trainable: BoolArray, *, seed: int) -> PreferencePosterior:
        """The prior of the first candidate that can be used."""
        for kind in self._options.candidates:
            try:
                model = self._make(kind)
                found = model.prior(responses, trainable, seed=seed)
            except _UNUSABLE:
                if kind == self._options.candidates[-1]:
                    raise
                continue
            self._chosen, self._model = kind, model
            return found
        raise UsageError("reward.options.candidates names none")

    def fit(self, data: TrainingData, *, seed: int) -> FitReport:
        """Compare, choose, and fit the chosen candidate on all votes.

        Raises:
            NoSignal: the votes hold nothing to learn from. Diverged: even the cheapest candidate diverged.
            ConfigError, DataError, MissingExtra: no candidate can be used.
        """
        compared = self._compare(data)
        kind = self._decided(compared)
        notes = [self._sentence(kind, compared)]
        notes += [f"{name} cannot be used: {reason}" for name, reason in compared.unusable.items()]
        while True:
            model = self._make(kind)
            try:
                report = model.fit(data, seed=seed)
                break
            except (*_UNUSABLE, Diverged) as error:
                rest = [each for each in self._usable(compared) if each != kind]
                if not rest:
                    raise
                notes.append(f"{kind} could not be fitted on all votes ({error.message}), so {rest[0]} was")
                compared.unusable[kind] = error.message
                kind = rest[0]
        self._chosen, self._model = kind, model
        numbers = {**report.numbers, **self._numbers(kind, compared)}
        return FitReport(report.n_votes, numbers, (*notes, *report.notes), report.annotators)

    @property
    def chosen(self) -> Kind:
        """The candidate in use."""
        return self._chosen

    def stand_in(self) -> RewardModel:
        """``tfidf``: comparisons of ways to choose votes fit many models."""
        from pairloop_reward.model import TfidfRewardModel

        return TfidfRewardModel(self._options.tfidf, self._context)

    def check(self) -> str:
        """Say which candidates can be used here, and why the others cannot.

        Raises:
            ConfigError, DataError, MissingExtra: none can.
        """
        said, problems = [], []
        for kind in self._options.candidates:
            try:
                model = self._make(kind)
                said.append(f"{kind}: {model.check()}" if isinstance(model, Checkable) else kind)
            except _UNUSABLE as error:
                problems.append(error)
                said.append(f"{kind} cannot be used: {error.message}")
        if len(problems) == len(self._options.candidates):
            raise problems[0]
        return "; ".join(said)

    def posterior(self, responses: Sequence[ResponseView]) -> PreferencePosterior:
        """That of the chosen candidate.

        Raises:
            UsageError: neither ``prior`` nor ``fit`` came before.
        """
        return self._ready().posterior(responses)

    def score(self, responses: Sequence[ResponseView]) -> tuple[FloatArray, FloatArray]:
        """That of the chosen candidate."""
        return self._ready().score(responses)

    def save(self, into: Path) -> None:
        """The chosen candidate's files, and ``auto.json``, which names it.

        Raises:
            UsageError: neither ``prior`` nor ``fit`` came before. StorageFull: the disk is full.
        """
        self._ready().save(into)
        body = {"format": FORMAT, "chosen": self._chosen, "options": self._options.model_dump(mode="json")}
        write_atomic(into / CHOSEN, canonical_json({**body, "sha256": digest(body)}) + "\n")

    @classmethod
    def load(cls, folder: Path, context: ModelContext) -> "AutoRewardModel":
        """The model in this folder; its posterior equals the saved model's bit for bit.

        Raises:
            CorruptionDetected: a file is missing, truncated or changed.
        """
        try:
            body = json.loads((folder / CHOSEN).read_text("utf-8"))
            if body.pop("sha256") != digest(body):
                raise ValueError("its checksum does not match")
            model = cls(AutoOptions.model_validate(body["options"]), context)
            kind: Kind = body["chosen"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptionDetected(
                f"the model file {folder / CHOSEN} is missing, truncated or was changed: {error}",
                "Restore it from a copy, or train again: the votes are all in the campaign's store.",
            ) from error
        model._chosen, model._model = kind, _part(kind, "load")(folder, context)
        return model

    # ------------------------------------------------------------------------------------------ comparison

    def _compare(self, data: TrainingData) -> Compared:
        """Losses of all candidates on all votes that were predicted."""
        out = Compared()
        found = blocks(data, self._options.first_votes, self._options.growth)
        out.predicted = sum(len(block.test) for block in found)
        if out.predicted < self._options.fewest_predicted or len(self._options.candidates) == 1:
            return out
        for kind in self._options.candidates:
            try:
                out.losses[kind] = np.concatenate([self._losses(kind, data, i, block) for i, block in enumerate(found)])
            except _UNUSABLE as error:
                out.unusable[kind] = error.message
        if out.losses:
            group = np.concatenate([data.group[block.test] for block in found])
            out.choice = choose_candidate(list(out.losses.values()), group)
        return out

    def _losses(self, kind: Kind, data: TrainingData, number: int, block: Block) -> FloatArray:
        """`block_losses`, or what they were when the same votes were predicted before."""
        key = digest([FORMAT, kind, self._described(kind), _content(data, block), installed_versions(_LIBRARIES)])[:32]
        place = f"losses-{kind}-{number}"
        known = self._cache.read(place, key)
        if known is not None:
            return np.asarray(known["losses"])
        losses = block_losses(lambda: self._make(kind), data, block, seed=_SEED)
        self._cache.write(place, key, {"losses": losses})
        return losses

    def _decided(self, compared: Compared) -> Kind:
        if compared.choice is None:
            return (self._usable(compared) or list(self._options.candidates))[0]
        return list(compared.losses)[compared.choice.index]

    def _usable(self, compared: Compared) -> list[Kind]:
        return [kind for kind in self._options.candidates if kind not in compared.unusable]

    def _sentence(self, kind: Kind, compared: Compared) -> str:
        if compared.choice is None:
            if len(self._options.candidates) == 1:
                return f"auto chose {kind}: it is the only candidate"
            return (
                f"auto chose {kind}: {compared.predicted} votes of the random arm were predicted by earlier fits, "
                f"{self._options.fewest_predicted} are needed to compare"
            )
        table = ", ".join(
            f"{name} {loss:.4f}" for name, loss in zip(compared.losses, compared.choice.losses, strict=True)
        )
        why = "the best"
        if compared.choice.behind > 0:
            why = f"{compared.choice.behind:.4f} ± {compared.choice.error:.4f} behind the best, and cheaper"
        return (
            f"auto chose {kind}, {why}: log-loss of {compared.predicted} votes of the random arm before they were "
            f"trained on (nats): {table}"
        )

    def _numbers(self, kind: Kind, compared: Compared) -> dict[str, float]:
        numbers = {"auto_chosen": float(self._options.candidates.index(kind)), "auto_votes": float(compared.predicted)}
        if compared.choice is not None:
            losses = zip(compared.losses, compared.choice.losses, strict=True)
            numbers |= {f"auto_log_loss_{name}": loss for name, loss in losses}
        return numbers

    def _described(self, kind: Kind) -> dict[str, Any]:
        options: Any = getattr(self._options, kind)
        return dict(options.model_dump(mode="json"))

    def _make(self, kind: Kind) -> RewardModel:
        return _part(kind, "make")(getattr(self._options, kind), self._context)

    def _ready(self) -> RewardModel:
        if self._model is None:
            raise UsageError("the reward model is not fitted yet", "Call prior() or fit(), or load a saved one.")
        return self._model


def _content(data: TrainingData, block: Block) -> str:
    """Hash of the votes and texts of a block."""
    train = narrowed(data, block)
    hasher = hashlib.sha256(b"".join(content_keys(train.responses)))
    hasher.update(canonical_json([view.prompt_id for view in train.responses]).encode("utf-8", "surrogatepass"))
    names = np.array(train.annotators, dtype=np.str_)[train.annotator].tolist() if len(train) else []
    hasher.update(canonical_json(names).encode("utf-8", "surrogatepass"))
    for array in (
        train.trainable, train.left, train.right, train.outcome, train.weight, train.control, train.prelabel_shown,
        _renumbered(train.group), data.outcome[block.test],
    ):  # fmt: skip
        hasher.update(np.ascontiguousarray(array).astype(np.float64).tobytes())
    keys = content_keys([data.responses[i] for side in (data.left, data.right) for i in side[block.test].tolist()])
    hasher.update(b"".join(keys))
    return hasher.hexdigest()


def _renumbered(group: Any) -> Any:
    """Group numbers by first appearance: those of the pool change when it grows."""
    number: dict[int, int] = {}
    return np.array([number.setdefault(each, len(number)) for each in group.tolist()])


def _part(kind: Kind, verb: Literal["make", "load"]) -> Callable[..., RewardModel]:
    """The function of a candidate's plugin module."""
    home = "pairloop_reward.finetuned.plugin" if kind == "finetuned" else "pairloop_reward.plugin"
    found: Callable[..., RewardModel] = getattr(import_module(home), f"{verb}_{kind}")
    return found
