"""From votes on responses to comparisons of the models that wrote them.

A text that several models wrote is one response with several names, and a vote about it says the same of each of
them: the vote is divided equally among all pairs of names, so that it still counts once. Pairs of a name with itself
say nothing and are left out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pairloop.annotators.facts import first_judgements
from pairloop.kit.canonical import canonical_json
from pairloop.kit.ids import prompt_id
from pairloop.leaderboard.style import NAMES, counts
from pairloop.posterior import FloatArray, IntArray
from pairloop.protocols import BoolArray
from pairloop.records import AnnotatorKind, Arm, Assignment, Choice, JsonObject, Prompt, Provenance, SourceRow, Vote
from pairloop.store import Store

_POINTS = {Choice.LEFT: 1.0, Choice.RIGHT: 0.0, Choice.TIE: 0.5, Choice.BOTH_BAD: 0.5}
_UNIFORM = (Arm.RANDOM, Arm.HOLDOUT)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One vote about two texts and who wrote them, before it is divided among names."""

    authors: tuple[tuple[str, ...], tuple[str, ...]]
    texts: tuple[str, str]
    annotator: str
    kind: AnnotatorKind
    choice: Choice
    prompt: str
    metadata: JsonObject = field(default_factory=dict)
    arm: Arm | None = None
    excluded: bool = False


@dataclass(frozen=True)
class Ballots:
    """N comparisons of two of M models.

    Attributes:
        models: their names, sorted. a, b: (N,) numbers of the two. points: (N,) 1 where a won, ½ tie, 0 where b won.
        weight: (N,) parts of a vote: 1 but for texts of several models. vote: (N,) number of the vote it is part of.
        annotator, prompt: (N,) numbers of who judged and of the prompt's group.
        annotators: names; prompts: how many groups there are.
        style: (N, 2, K) what the two texts look like, see `pairloop.leaderboard.style`.
        arm: (N,) 0 chosen by a strategy, 1 drawn at random from the training side, 2 from the holdout side.
        simulated: votes that a simulator gave. ignored: votes that are not in, by reason.
        value: (N,) what the votes are divided by (see `parts`), "" where nothing was asked for.
    """

    models: tuple[str, ...]
    annotators: tuple[str, ...]
    prompts: int
    a: IntArray
    b: IntArray
    points: FloatArray
    weight: FloatArray
    vote: IntArray
    annotator: IntArray
    prompt: IntArray
    style: FloatArray
    arm: IntArray
    simulated: int
    ignored: Mapping[str, int]
    value: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.a)

    @property
    def votes(self) -> int:
        """How many votes stand behind it."""
        return len(np.unique(self.vote))

    def only(self, rows: BoolArray) -> "Ballots":
        """These rows; names and numbers stay."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        value = tuple(value for value, kept in zip(self.value, rows.tolist(), strict=True) if kept)
        return replace(self, **columns, value=value)

    def weighted(self, weight: FloatArray) -> "Ballots":
        """The same with other weights."""
        return replace(self, weight=weight)

    def parts(self) -> dict[str, "Ballots"]:
        """The ballots by value, sorted by it."""
        value = np.array(self.value, dtype=object)
        return {name: self.only(np.asarray(value == name, dtype=bool)) for name in sorted(set(self.value))}


_COLUMNS = ("a", "b", "points", "weight", "vote", "annotator", "prompt", "style", "arm")


def collect(judgements: Iterable[Judgement], *, judges: bool = False, by: str | None = None) -> Ballots:
    """Comparisons from judgements.

    Args:
        judges: count models that judge, instead of people.
        by: a key of the prompts' metadata to divide by.
    """
    ignored: dict[str, int] = {}
    kept: list[tuple[Judgement, list[tuple[str, str]]]] = []
    for each in judgements:
        names = [(one, other) for one in each.authors[0] for other in each.authors[1] if one != other]
        reason = _why_not(each, bool(names), judges)
        if reason is None:
            kept.append((each, names))
        else:
            ignored[reason] = ignored.get(reason, 0) + 1
    return _arrays(kept, dict(sorted(ignored.items())), by)


def _why_not(each: Judgement, differ: bool, judges: bool) -> str | None:
    """Why a judgement does not count; None where it does."""
    if (each.kind is AnnotatorKind.MODEL) is not judges:
        return "by a judge" if not judges else "by people"
    checks = (
        ("of an excluded annotator", each.excluded),
        ("on a gold item", each.arm is Arm.GOLD),
        ("skipped", each.choice is Choice.SKIP),
        ("without a model's name", not each.authors[0] or not each.authors[1]),
        ("between texts of the same model", not differ),
    )
    return next((name for name, holds in checks if holds), None)


def _arrays(
    kept: Sequence[tuple[Judgement, list[tuple[str, str]]]], ignored: Mapping[str, int], by: str | None
) -> Ballots:
    models = tuple(sorted({name for _, names in kept for pair in names for name in pair}))
    annotators = tuple(sorted({each.annotator for each, _ in kept}))
    prompts = {name: i for i, name in enumerate(sorted({each.prompt for each, _ in kept}))}
    number, person = _numbers(models), _numbers(annotators)
    rows = [
        (number[one], number[other], _POINTS[each.choice], 1.0 / len(names), vote, person[each.annotator],
         prompts[each.prompt], _ARM.get(each.arm, 0))
        for vote, (each, names) in enumerate(kept) for one, other in names
    ]  # fmt: skip
    looks: dict[str, list[float]] = {text: counts(text) for text in {text for each, _ in kept for text in each.texts}}
    style = [(looks[each.texts[0]], looks[each.texts[1]]) for each, names in kept for _ in names]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 8
    a, b, points, weight, vote, annotator, prompt, arm = columns
    return Ballots(
        models=models,
        annotators=annotators,
        prompts=len(prompts),
        a=np.array(a, dtype=np.int64),
        b=np.array(b, dtype=np.int64),
        points=np.array(points, dtype=np.float64),
        weight=np.array(weight, dtype=np.float64),
        vote=np.array(vote, dtype=np.int64),
        annotator=np.array(annotator, dtype=np.int64),
        prompt=np.array(prompt, dtype=np.int64),
        style=np.array(style, dtype=np.float64).reshape(-1, 2, len(NAMES)),
        arm=np.array(arm, dtype=np.int64),
        simulated=sum(each.kind is AnnotatorKind.SIMULATED for each, _ in kept),
        ignored=ignored,
        value=tuple(_value(each.metadata, by) for each, names in kept for _ in names),
    )


_ARM: dict[Arm | None, int] = {Arm.RANDOM: 1, Arm.HOLDOUT: 2}


def _numbers(names: Sequence[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


def _value(metadata: JsonObject, by: str | None) -> str:
    if by is None:
        return ""
    found = metadata.get(by)
    return found if isinstance(found, str) else ("(none)" if found is None else canonical_json(found))


# ------------------------------------------------------------------------------------------------ where votes come from


def authors(provenance: Iterable[Provenance]) -> tuple[str, ...]:
    """The names under which a text is on the board: of models, or of policies that have no name."""
    named = (item.model or (f"policy {item.policy[:12]}" if item.policy else None) for item in provenance)
    return tuple(sorted({name for name in named if name}))


def from_store(store: Store) -> list[Judgement]:
    """What people and judges said in a campaign: the first judgement of each on each pair."""
    prompts = {prompt.id: prompt for prompt, _, _ in store.pool.prompts()}
    responses = {response.id: response for response in store.pool.responses()}
    written = {name: authors(response.provenance) for name, response in responses.items()}

    def judgement(vote: Vote) -> Judgement:
        prompt: Prompt = prompts[responses[vote.left].prompt_id]
        return Judgement(
            (written[vote.left], written[vote.right]), (responses[vote.left].text, responses[vote.right].text),
            vote.annotator, vote.kind, vote.choice, prompt.group, prompt.metadata, vote.arm, vote.excluded,
        )  # fmt: skip

    told = [judgement(vote) for vote in first_judgements(store.annotations.votes())]
    return told + [judgement(vote) for vote in store.annotations.judged()]


def from_rows(rows: Iterable[SourceRow], is_excluded: Callable[[str], bool] = lambda name: False) -> list[Judgement]:
    """What came with the data, row by row: here a text has the one author that its row names."""
    out = []
    for row in rows:
        prompt = row.group if row.group is not None else prompt_id(row.prompt)
        for (i, j), vote in row.recorded:
            one, other = row.responses[i], row.responses[j]
            out.append(
                Judgement(
                    (authors([one.provenance]), authors([other.provenance])),
                    (one.text, other.text),
                    vote.annotator,
                    vote.kind,
                    vote.choice,
                    prompt,
                    row.metadata,
                    None,
                    is_excluded(vote.annotator),
                )
            )
    return out


def random_weights(ballots: Ballots, assignments: Iterable[Assignment]) -> FloatArray:
    """(N,) weights under which votes of the random arms stand for all pairs of the pool; mean 1 over them, 0 elsewhere.

    Within a side every pair had the same chance, but the holdout side is asked about more often than its size. A draw
    of k pairs with propensity p came from k/p pairs, so the stored propensities tell both sizes; each side's votes
    are weighted by size over votes (post-stratified inverse propensity, Holt & Smith 1979).
    """
    drawn: dict[tuple[int, Arm, float], set[str]] = {}
    for item in assignments:
        if item.arm in _UNIFORM and item.propensity:
            drawn.setdefault((item.round, item.arm, item.propensity), set()).add(item.pair_id)
    size = {arm: max((len(p) / key[2] for key, p in drawn.items() if key[1] is arm), default=0.0) for arm in _UNIFORM}
    weight = np.zeros(len(ballots))
    for arm in _UNIFORM:
        rows = ballots.arm == _ARM[arm]
        votes = float(ballots.weight[rows].sum())
        if votes > 0:
            weight[rows] = ballots.weight[rows] * (size[arm] if all(size.values()) else votes) / votes
    total, parts = float(weight.sum()), float(ballots.weight[weight > 0].sum())
    return weight * (parts / total) if total > 0 else weight
