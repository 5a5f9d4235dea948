"""The leaderboard: tables of comparable models, and in words what they leave open."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata

from pairloop.errors import Diverged
from pairloop.leaderboard import legacy
from pairloop.leaderboard.ballots import Ballots
from pairloop.leaderboard.bootstrap import pigeonhole
from pairloop.leaderboard.fitting import Fitted, fitted
from pairloop.leaderboard.graph import Part, parts
from pairloop.leaderboard.influence import influences
from pairloop.leaderboard.likelihood import Ties
from pairloop.leaderboard.style import NAMES
from pairloop.metrics import Estimate
from pairloop.posterior import FloatArray

POINTS = 400.0 / np.log(10.0)
"""Rating points a unit of log-odds: 400 points are ten to one, as in Elo's scale."""
CENTRE = 1000.0
_FEWEST = 5  # votes a model, on average, for a second table to stand beside the first
_LISTED = 100  # models in a table whose pairs are all listed


@dataclass(frozen=True, slots=True)
class Standing:
    """One model.

    Attributes:
        votes, wins, ties, losses: in votes; parts of votes where texts have several authors.
        score: log-odds of beating the average of the table, with a 95 % interval where there is one.
        strength: e^score over their sum in the table, as published tables give it.
        rank, rank_low, rank_high: in the table, with a 95 % interval.
        styled, styled_rank: the score, and rank with interval, at equal length and markdown.
        random: the score by votes on randomly drawn pairs only. judge: by what judges said.
        bootstrap: 95 % interval of the score by the bootstrap. legacy: ratings by system.
        note: why there is no interval.
    """

    model: str
    votes: float
    wins: float
    ties: float
    losses: float
    score: Estimate
    strength: float
    rank: int
    rank_low: int | None
    rank_high: int | None
    styled: Estimate | None = None
    styled_rank: tuple[int, int, int] | None = None
    random: Estimate | None = None
    judge: float | None = None
    bootstrap: tuple[float, float] | None = None
    legacy: Mapping[str, float] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Versus:
    """Two models: difference of their scores, its standard error, p adjusted for all pairs of the table at once."""

    better: str
    worse: str
    difference: float
    error: float
    p: float


@dataclass(frozen=True, slots=True)
class Weight:
    """What leaving out an annotator changes: see `pairloop.leaderboard.influence.Influence`."""

    annotator: str
    votes: float
    model: str
    change: float
    first: str | None
    refitted: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Models that can be compared, best first.

    Attributes:
        tie: Davidson's ν. effects: of style, log-odds a standard unit, by name.
        pairs: all pairs, smallest adjusted p first. influence: annotators, most influence first.
        gradient, steps: how exactly the likelihood was maximised. random_votes, judge_votes: behind those columns.
    """

    rows: tuple[Standing, ...]
    votes: int
    annotators: int
    prompts: int
    tie: float | None
    effects: Mapping[str, Estimate]
    pairs: tuple[Versus, ...]
    influence: tuple[Weight, ...]
    gradient: float
    steps: int
    random_votes: int
    judge_votes: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A leaderboard.

    Attributes:
        tables: connected components of the votes, most votes first; scores of different tables cannot be compared.
        ignored: votes that are not in, by reason. simulated: votes of simulators among those that are.
        ties: how ties count.
    """

    tables: tuple[Table, ...]
    votes: int
    simulated: int
    ignored: Mapping[str, int]
    ties: Ties
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values, with ratings beside scores."""
        found = asdict(self)
        for table in found["tables"]:
            for row in table["rows"]:
                row["rating"] = {name: rating(row["score"][name]) for name in ("value", "low", "high")}
        return found


def rating(score: float | None) -> float | None:
    """A score on the familiar scale: 1000 is the average of the table."""
    return None if score is None else CENTRE + POINTS * score


def leaderboard(
    people: Ballots, judges: Ballots | None = None, random: FloatArray | None = None, *, ties: Ties = "half",
    style: bool = False, systems: Sequence[str] = (), draws: int = 0, seed: int = 0,
) -> Board:  # fmt: skip
    """The leaderboard of people's votes.

    Args:
        judges: what judges said, for a column beside the people's. random: (N,) weights of the votes on randomly drawn
            pairs, 0 for the others. style: also at equal length and markdown. systems: "elo", "harkness".
        draws: of the bootstrap; 0 for none.
    """
    made = [
        _table(people, part, judges, random, ties, style, systems, draws, seed)
        for part in parts(people.a, people.b, people.points, people.weight, len(people.models))
    ]
    notes = []
    if len(made) > 1:
        notes.append(
            f"The votes fall into {len(made)} groups of models that were never compared with each other, not even by"
            " way of others: each has a table of its own, and scores of different tables say nothing about each other."
        )
    return Board(tuple(made), people.votes, people.simulated, people.ignored, ties, tuple(notes))


def _table(
    people: Ballots, part: Part, judges: Ballots | None, random: FloatArray | None, ties: Ties, style: bool,
    systems: Sequence[str], draws: int, seed: int,
) -> Table:  # fmt: skip
    notes: list[str] = []
    found = _with_ties(people, part, ties, seed, notes)
    problem, models = found.fit.problem, [people.models[i] for i in found.members]
    rows = _standings(found, models)
    effects: Mapping[str, Estimate] = {}
    if style:
        rows, effects = _styled(people, part, ties, seed, rows, notes)
    rows, random_votes = _at_random(people, random, found, seed, rows, notes)
    rows, judge_votes = _judged(judges, seed, rows, notes)
    for system in systems:
        rows = _legacy(system, found, rows, notes)
    if draws:
        rows = _bootstrapped(found, draws, seed, rows, notes)
    _sparse_notes(found, rows, notes)
    inside = np.isin(people.a, found.members) & (people.weight > 0)
    return Table(
        rows=tuple(sorted(rows, key=lambda row: (row.rank, row.model))),
        votes=len(np.unique(people.vote[inside])),
        annotators=len(np.unique(found.annotator)),
        prompts=len(np.unique(found.prompt)),
        tie=float(np.exp(found.fit.at[-1])) if problem.ties == "davidson" else None,
        effects=effects,
        pairs=_pairs(found, models),
        influence=_influence(found, people, models, notes),
        gradient=found.fit.gradient,
        steps=found.fit.steps,
        random_votes=random_votes,
        judge_votes=judge_votes,
        notes=tuple(notes),
    )


def _with_ties(people: Ballots, part: Part, ties: Ties, seed: int, notes: list[str]) -> Fitted:
    tied = people.points[np.isin(people.a, part.models)] == 0.5
    if ties == "davidson" and (tied.all() or not tied.any()):
        notes.append("Davidson's model needs ties and decided votes: here a tie counts half a win of each.")
        ties = "half"
    return fitted(people, part, ties=ties, seed=seed)


def _standings(found: Fitted, models: Sequence[str]) -> list[Standing]:
    problem, m = found.fit.problem, len(models)
    a, b, points, w = problem.a, problem.b, problem.points, problem.weight
    wins = np.bincount(a, w * (points == 1), m) + np.bincount(b, w * (points == 0), m)
    losses = np.bincount(a, w * (points == 0), m) + np.bincount(b, w * (points == 1), m)
    ties = np.bincount(a, w * (points == 0.5), m) + np.bincount(b, w * (points == 0.5), m)
    strength = np.exp(found.fit.scores - found.fit.scores.max())
    strength /= strength.sum()
    order = rankdata(-found.fit.scores.round(12), method="min")
    out = []
    for i, model in enumerate(models):
        score = found.score(i)
        told = found.ranks is not None and score.low is not None
        out.append(
            Standing(
                model,
                _count(wins[i] + ties[i] + losses[i]),
                _count(wins[i]),
                _count(ties[i]),
                _count(losses[i]),
                score,
                float(strength[i]),
                int(order[i]),
                int(found.ranks.low[i]) if told and found.ranks is not None else None,
                int(found.ranks.high[i]) if told and found.ranks is not None else None,
                note=_why_no_interval(found, i),
            )
        )
    return out


def _count(value: float) -> float:
    """Sums of thirds and sevenths of votes without their rounding errors."""
    return round(float(value), 9)


def _why_no_interval(found: Fitted, number: int) -> str | None:
    problem = found.fit.problem
    if number in problem.pseudo:
        return "won or lost every comparison that links it with the others: placed by one imaginary tie with their mean"
    if found.spread is None:
        return "all votes are of one annotator on one prompt"
    if found.spread.degrees[number] < 1:
        return "its place rests on one annotator or one prompt"
    return None


def _styled(
    people: Ballots, part: Part, ties: Ties, seed: int, rows: list[Standing], notes: list[str]
) -> tuple[list[Standing], Mapping[str, Estimate]]:
    try:
        found = _with_ties_styled(people, part, ties, seed)
    except Diverged:
        notes.append("Style could not be taken out: length and markdown explain the votes, or one model, completely.")
        return rows, {}
    out = []
    for i, row in enumerate(rows):
        order = int((found.fit.scores > found.fit.scores[i] + 1e-12).sum()) + 1
        score = found.score(i)
        place = None
        if found.ranks is not None and score.low is not None:
            place = (order, int(found.ranks.low[i]), int(found.ranks.high[i]))
        out.append(replace(row, styled=score, styled_rank=place))
    used = np.abs(found.fit.problem.covariates).sum(axis=0) > 0
    effects = {name: each for name, each, any_ in zip(NAMES, found.effects(), used, strict=True) if any_}
    return out, effects


def _with_ties_styled(people: Ballots, part: Part, ties: Ties, seed: int) -> Fitted:
    tied = people.points[np.isin(people.a, part.models)] == 0.5
    usable: Ties = "half" if tied.all() or not tied.any() else ties
    return fitted(people, part, ties=usable, style=True, seed=seed)


def _at_random(
    people: Ballots, random: FloatArray | None, found: Fitted, seed: int, rows: list[Standing], notes: list[str]
) -> tuple[list[Standing], int]:
    """Scores by votes on randomly drawn pairs only, and what differs."""
    if random is None:
        return rows, 0
    inside = np.isin(people.a, found.members) & (random > 0)
    drawn = people.weighted(random).only(inside)
    chosen = len(np.unique(people.vote[np.isin(people.a, found.members)])) - drawn.votes
    if chosen == 0:
        if drawn.votes:
            notes.append("All pairs were drawn at random.")
        return rows, drawn.votes
    second = _same_models(drawn, found.members, seed)
    if second is None:
        notes.append(
            f"{chosen} of the votes are on pairs that a strategy chose, which can tilt a table. Those on randomly drawn"
            f" pairs ({drawn.votes}) are too few to say by how much."
        )
        return rows, drawn.votes
    out = [replace(row, random=second.score(i)) for i, row in enumerate(rows)]
    most = max(range(len(out)), key=lambda i: abs(float(second.fit.scores[i] - found.fit.scores[i])))
    first = (rows[int(np.argmax(found.fit.scores))].model, rows[int(np.argmax(second.fit.scores))].model)
    leads = f"{first[0]} is first in both" if first[0] == first[1] else f"{first[1]} is first instead of {first[0]}"
    shift = POINTS * float(second.fit.scores[most] - found.fit.scores[most])
    notes.append(
        f"{chosen} of the votes are on pairs that a strategy chose. By the {drawn.votes} on randomly drawn pairs alone,"
        f" weighted so that both sides of the split count by their size, {leads}; {rows[most].model} moves most, by"
        f" {shift:+.0f} points."
    )
    return out, drawn.votes


def _judged(judges: Ballots | None, seed: int, rows: list[Standing], notes: list[str]) -> tuple[list[Standing], int]:
    """Scores by what judges said about the same models; they are never part of the people's table."""
    if judges is None or not len(judges):
        return rows, 0
    wanted = np.array([judges.models.index(row.model) if row.model in judges.models else -1 for row in rows])
    inside = np.isin(judges.a, wanted) & np.isin(judges.b, wanted)
    same = None if (wanted < 0).any() else _same_models(judges.only(inside), np.sort(wanted), seed)
    if same is None:
        return rows, 0
    scores = dict(zip((judges.models[i] for i in same.members), same.fit.scores.tolist(), strict=True))
    notes.append(f"Judges: {', '.join(judges.annotators)}. What they say is in their column only.")
    return [replace(row, judge=scores[row.model]) for row in rows], judges.only(inside).votes


def _same_models(ballots: Ballots, members: Any, seed: int) -> Fitted | None:
    """A fit of other votes on the same models; None where they are too few, or do not tie them all together."""
    if ballots.votes < _FEWEST * len(members):
        return None
    part = next(parts(ballots.a, ballots.b, ballots.points, ballots.weight, len(ballots.models)), None)
    if part is None or not np.array_equal(part.models, members) or not part.anchored.all():
        return None
    return fitted(ballots, part, seed=seed)


def _legacy(system: str, found: Fitted, rows: list[Standing], notes: list[str]) -> list[Standing]:
    problem = found.fit.problem
    if system == "elo":
        ratings = legacy.elo([row.model for row in rows], problem.a, problem.b, problem.points)
        notes.append(
            "Elo: K = 4, in the order of the votes; another order gives other ratings, and there is no interval."
        )
    else:
        start = np.full(len(rows), legacy.START["harkness"])
        ratings = legacy.harkness(start, problem.a, problem.b, problem.points, problem.weight)
        notes.append("Harkness: one tournament that everybody enters at 1500; it does not see who played whom.")
    return [replace(row, legacy={**row.legacy, system: float(value)}) for row, value in zip(rows, ratings, strict=True)]


def _bootstrapped(found: Fitted, draws: int, seed: int, rows: list[Standing], notes: list[str]) -> list[Standing]:
    drawn = pigeonhole(found.fit, found.annotator, found.prompt, draws, seed=seed)
    if len(drawn) < max(draws // 2, 2):
        notes.append(f"Only {len(drawn)} of {draws} bootstrap draws determine all scores: no bootstrap intervals.")
        return rows
    if len(drawn) < draws:
        notes.append(f"{draws - len(drawn)} of {draws} bootstrap draws do not determine all scores and are left out.")
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return [replace(row, bootstrap=(float(low[i]), float(high[i]))) for i, row in enumerate(rows)]


def _pairs(found: Fitted, models: Sequence[str]) -> tuple[Versus, ...]:
    if found.ranks is None or len(models) > _LISTED:
        return ()
    scores, out = found.fit.scores, []
    for i in range(len(models)):
        for j in range(len(models)):
            if (scores[i], -i) > (scores[j], -j):
                out.append(
                    Versus(models[i], models[j], float(scores[i] - scores[j]), float(found.ranks.error[i, j]),
                           float(found.ranks.p[i, j]))
                )  # fmt: skip
    return tuple(sorted(out, key=lambda each: (each.p, -each.difference)))


def _influence(found: Fitted, people: Ballots, models: Sequence[str], notes: list[str]) -> tuple[Weight, ...]:
    names, number = np.unique(found.annotator, return_inverse=True)
    if found.spread is None or len(names) < 2:
        return ()
    out = tuple(
        Weight(
            people.annotators[names[each.annotator]],
            each.votes,
            models[each.model],
            each.change,
            None if each.first is None else models[each.first],
            each.refitted,
        )
        for each in influences(found.fit, number, found.spread.by_annotator)
    )
    turning = [each for each in out if each.first is not None]
    if turning:
        notes.append(
            f"The first rank hangs on single annotators: without {turning[0].annotator}, {turning[0].first} is first"
            + (f" (and {len(turning) - 1} more annotators turn it)." if len(turning) > 1 else ".")
        )
    else:
        notes.append("Whichever annotator is left out, the same model is first.")
    return out


def _sparse_notes(found: Fitted, rows: Sequence[Standing], notes: list[str]) -> None:
    if len(found.fit.problem.pseudo):
        names = [rows[i].model for i in found.fit.problem.pseudo.tolist()]
        notes.append(
            f"{len(names)} of {len(rows)} models won or lost every comparison that links them with the others; maximum"
            " likelihood would put them infinitely far away. Each has one imaginary tie with the mean of the others,"
            " and no interval."
        )
    if found.spread is not None and found.spread.overall < 5:
        notes.append(
            f"Intervals rest on {found.spread.overall + 1} annotators or prompts only: they are wide, and rough."
        )
