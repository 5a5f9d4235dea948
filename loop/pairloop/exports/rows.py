"""The rows of an export, as JSON objects in order of arrival."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pairloop.aggregation import verdicts
from pairloop.kit.ids import content_json
from pairloop.records import AnnotatorKind, Choice, Pair, Prompt, Response, Verdict, Vote
from pairloop.store import Store
from pairloop.store.quality import GoldRow

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pool:
    """What rows look up: prompts with their reason of exclusion, responses and pairs by id."""

    prompts: Mapping[str, tuple[Prompt, str | None]]
    responses: Mapping[str, Response]
    pairs: Mapping[str, Pair]

    @classmethod
    def of(cls, store: Store) -> "Pool":
        """What a store has, read once."""
        return cls(
            {prompt.id: (prompt, excluded) for prompt, _, excluded in store.pool.prompts()},
            {response.id: response for response in store.pool.responses()},
            {pair.id: pair for pair, _ in store.pool.pairs()},
        )

    def prompt(self, pair: str) -> tuple[Prompt, str | None]:
        """The prompt of a pair, and why it is excluded if it is."""
        return self.prompts[self.pairs[pair].prompt_id]


def preference_rows(store: Store) -> list[Row]:
    """One row a pair: chosen is the response that more votes prefer; equal shares are a tie, first before second."""
    pool, votes = Pool.of(store), by_pair(store.annotations.votes())
    return [preference(pool, verdict, votes[verdict.pair_id]) for verdict in verdicts(store.annotations.votes())]


def preference(pool: Pool, verdict: Verdict, votes: list[Vote]) -> Row:
    """The row of a pair, by these votes and their verdict."""
    pair = pool.pairs[verdict.pair_id]
    prompt, excluded = pool.prompt(pair.id)
    swapped = verdict.p_first < 0.5
    chosen, rejected = (pair.second, pair.first) if swapped else (pair.first, pair.second)
    return {
        "prompt": content_json(prompt.content),
        "chosen": pool.responses[chosen].text,
        "rejected": pool.responses[rejected].text,
        "tie": verdict.p_first == 0.5,
        "both_bad": sum(vote.choice is Choice.BOTH_BAD for vote in votes),
        "p": 1.0 - verdict.p_first if swapped else verdict.p_first,
        "n": verdict.n,
        "disagreement": verdict.disagreement,
        "annotators": sorted({vote.annotator for vote in votes}),
        "kinds": sorted({vote.kind.value for vote in votes}),
        **where(votes),
        "group": prompt.group,
        "excluded": excluded,
        "pair": pair.id,
        "chosen_model": _models(pool.responses[chosen]),
        "rejected_model": _models(pool.responses[rejected]),
        "annotations": [annotation(vote, chosen) for vote in votes],
    }


def pair_rows(store: Store) -> list[Row]:
    """One row a pair with every vote that stands, in the form that the source ``jsonl`` reads.

    Votes of excluded annotators, votes on gold items and skips are among the annotations, with what they are.
    """
    pool, everything = Pool.of(store), by_pair(store.annotations.votes(), everything=True)
    return [_pair(pool, pool.pairs[pair], votes) for pair, votes in everything.items()]


def _pair(pool: Pool, pair: Pair, votes: list[Vote]) -> Row:
    prompt, excluded = pool.prompt(pair.id)
    first, second = pool.responses[pair.first], pool.responses[pair.second]
    return {
        "prompt": content_json(prompt.content),
        "response_a": first.text,
        "response_b": second.text,
        "model_a": _models(first),
        "model_b": _models(second),
        "annotations": [annotation(vote, pair.first) for vote in votes],
        "group": prompt.group,
        "metadata": dict(prompt.metadata),
        "metadata_a": dict(first.metadata),
        "metadata_b": dict(second.metadata),
        **where(votes),
        "excluded": excluded,
        "pair": pair.id,
    }


def annotation(vote: Vote, first: str) -> Row:
    """A vote as an annotation of the source ``jsonl``; "a" is the response with the id ``first``."""
    sides = ("a", "b") if vote.left == first else ("b", "a")
    preference = {Choice.LEFT: sides[0], Choice.RIGHT: sides[1]}.get(vote.choice, vote.choice.value)
    return {
        "annotator": vote.annotator,
        "type": vote.kind.value,
        "preference": preference,
        "strength": vote.strength,
        "reason": vote.reason,
        "seconds": vote.seconds,
        "prompt_rating": vote.prompt_rating,
        "displayed_left": sides[0],
        "prelabel_shown": vote.prelabel_shown,
        "arm": vote.arm.value,
        "round": vote.round,
        "excluded": vote.excluded,
    }


def verdict_rows(store: Store) -> list[Row]:
    """One row a pair, in the stored order of its responses."""
    pool, votes = Pool.of(store), by_pair(store.annotations.votes())
    return [_verdict(pool, verdict, votes[verdict.pair_id]) for verdict in verdicts(store.annotations.votes())]


def _verdict(pool: Pool, verdict: Verdict, votes: list[Vote]) -> Row:
    pair = pool.pairs[verdict.pair_id]
    prompt, _ = pool.prompt(pair.id)
    return {
        "pair": pair.id,
        "prompt": content_json(prompt.content),
        "first": pool.responses[pair.first].text,
        "second": pool.responses[pair.second].text,
        "p_first": verdict.p_first,
        "n": verdict.n,
        "disagreement": verdict.disagreement,
        **where(votes),
    }


def vote_rows(store: Store) -> list[Row]:
    """One row a vote that stands, skips included."""
    pool = Pool.of(store)
    return [_vote(pool, vote) for vote in store.annotations.votes()]


def _vote(pool: Pool, vote: Vote) -> Row:
    prompt, _ = pool.prompt(vote.pair_id)
    return {
        "key": vote.key,
        "pair": vote.pair_id,
        "round": vote.round,
        "arm": vote.arm.value,
        "prompt": content_json(prompt.content),
        "left": pool.responses[vote.left].text,
        "right": pool.responses[vote.right].text,
        "choice": vote.choice.value,
        "strength": vote.strength,
        "prompt_rating": vote.prompt_rating,
        "reason": vote.reason,
        "annotator": vote.annotator,
        "kind": vote.kind.value,
        "seconds": vote.seconds,
        "cost": vote.cost,
        "prelabel_shown": vote.prelabel_shown,
        "flipped": vote.flipped,
        "annotator_excluded": vote.excluded,
    }


def by_pair(votes: Iterable[Vote], *, everything: bool = False) -> dict[str, list[Vote]]:
    """Votes that judge and count by pair, in order of arrival; ``everything``: skips and excluded annotators too."""
    found: dict[str, list[Vote]] = {}
    for vote in votes:
        if everything or (vote.choice is not Choice.SKIP and not vote.excluded):
            found.setdefault(vote.pair_id, []).append(vote)
    return found


def where(votes: list[Vote]) -> Row:
    """Arm and round of the latest question about the pair."""
    last = max(votes, key=lambda vote: vote.round)
    return {"arm": last.arm.value, "round": last.round}


def _models(response: Response) -> str | None:
    """Names of the models that wrote this text."""
    names = sorted({origin.model for origin in response.provenance if origin.model})
    return ", ".join(names) or None


def disagreement_rows(store: Store) -> list[Row]:
    """Pairs on which people disagree with each other, with a gold answer or with a sure model; what matters most first.

    ``bits`` says how much: votes times the entropy of what people said; plus two for each vote against the gold answer;
    plus, for each vote, how much more it surprised the model than a coin would have.
    """
    pool, gold = Pool.of(store), {row.pair_id: row for row in store.quality.gold()}
    predicted = store.models.predictions()
    everything: dict[str, list[Vote]] = {}
    for vote in store.annotations.votes():
        if vote.choice is not Choice.SKIP:
            everything.setdefault(vote.pair_id, []).append(vote)
    rows = [_disagreement(pool, pair, votes, gold.get(pair), predicted) for pair, votes in everything.items()]
    return sorted((row for row in rows if row["with"]), key=lambda row: (-row["bits"], row["pair"]))


def _disagreement(
    pool: Pool, pair_id: str, votes: list[Vote], gold: GoldRow | None, predicted: Mapping[int, float]
) -> Row:
    pair, people = pool.pairs[pair_id], [v for v in votes if v.kind is not AnnotatorKind.MODEL and not v.excluded]
    said = [_preferred(vote) for vote in people]
    counts = Counter(said)
    spread = -sum(n * math.log2(n / len(said)) for n in counts.values())
    wrong = 0 if gold is None else sum(each != gold.answer for each in said)
    surprise = [_surprise(vote, predicted.get(vote.seq)) for vote in people]
    p_first = [1.0 - predicted[v.seq] if v.flipped else predicted[v.seq] for v in votes if v.seq in predicted]
    found = {"people": len(counts) > 1 and gold is None, "gold": wrong > 0, "model": max(surprise, default=0.0) > _SURE}
    return {
        "pair": pair_id,
        "bits": round((spread if gold is None else 0.0) + 2.0 * wrong + sum(surprise), 3),
        "with": [name for name, is_so in found.items() if is_so],
        "prompt": content_json(pool.prompt(pair_id)[0].content),
        "first": pool.responses[pair.first].text,
        "second": pool.responses[pair.second].text,
        "for_first": counts["first"],
        "for_second": counts["second"],
        "ties": counts["tie"],
        "gold": None if gold is None else gold.answer,
        "gold_reason": None if gold is None else gold.reason,
        "model_p_first": p_first[-1] if p_first else None,
        "votes": [
            {
                "annotator": vote.annotator,
                "kind": vote.kind.value,
                "preferred": _preferred(vote),
                "reason": vote.reason,
                "seconds": vote.seconds,
                "excluded": vote.excluded,
            }
            for vote in votes
        ],
        **where(votes),
    }


_SURE = -math.log2(0.3) - 1.0  # bits: the model gave the vote less than 30 %


def _preferred(vote: Vote) -> str:
    """first, second or tie, whatever was displayed on the left."""
    choice = vote.choice.mirrored() if vote.flipped else vote.choice
    return {Choice.LEFT: "first", Choice.RIGHT: "second"}.get(choice, "tie")


def _surprise(vote: Vote, p_left: float | None) -> float:
    """Bits beyond a coin by which the vote surprised the model that had not seen it; 0 where it expected it."""
    if p_left is None or not vote.choice.is_decisive:
        return 0.0
    given = p_left if vote.choice is Choice.LEFT else 1.0 - p_left
    return max(-math.log2(max(given, 1e-12)) - 1.0, 0.0)


ROWS: dict[str, Callable[[Store], list[Row]]] = {
    "preferences": preference_rows,
    "pairs": pair_rows,
    "verdicts": verdict_rows,
    "votes": vote_rows,
    "disagreements": disagreement_rows,
}

COLUMNS: dict[str, tuple[str, ...]] = {
    "preferences": (
        "prompt", "chosen", "rejected", "tie", "both_bad", "p", "n", "disagreement", "annotators", "kinds", "arm",
        "round", "group", "excluded", "pair", "chosen_model", "rejected_model",
    ),
    "pairs": (
        "prompt", "response_a", "response_b", "model_a", "model_b", "annotations", "group", "metadata", "metadata_a",
        "metadata_b", "arm", "round", "excluded", "pair",
    ),
    "verdicts": ("pair", "prompt", "first", "second", "p_first", "n", "disagreement", "arm", "round"),
    "votes": (
        "key", "pair", "round", "arm", "prompt", "left", "right", "choice", "strength", "prompt_rating", "reason",
        "annotator", "kind", "seconds", "cost", "prelabel_shown", "flipped",
        "annotator_excluded",
    ),
    "disagreements": (
        "pair", "bits", "with", "prompt", "first", "second", "for_first", "for_second", "ties", "gold", "gold_reason",
        "model_p_first", "votes", "arm", "round",
    ),
}  # fmt: skip
"""The columns of a CSV file, also of one without rows. Preferences as JSON have their annotations as well."""
