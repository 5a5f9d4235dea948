"""The rows of an export, as JSON objects in order of arrival."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pairloop.aggregation import verdicts
from pairloop.kit.ids import content_json
from pairloop.records import Choice, Pair, Prompt, Response, Verdict, Vote
from pairloop.store import Store

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Pool:
    """What rows look up: prompts with their reason of exclusion, responses and pairs by id."""

    prompts: Mapping[str, tuple[Prompt, str | None]]
    responses: Mapping[str, Response]
    pairs: Mapping[str, Pair]

    @classmethod
    def of(cls, store: Store) -> "_Pool":
        return cls(
            {prompt.id: (prompt, excluded) for prompt, _, excluded in store.pool.prompts()},
            {response.id: response for response in store.pool.responses()},
            {pair.id: pair for pair, _ in store.pool.pairs()},
        )

    def prompt(self, pair: str) -> tuple[Prompt, str | None]:
        return self.prompts[self.pairs[pair].prompt_id]


def preference_rows(store: Store) -> list[Row]:
    """One row a pair: chosen is the response that more votes prefer; equal shares are a tie, first before second."""
    pool, votes = _Pool.of(store), _by_pair(store)
    return [_preference(pool, verdict, votes[verdict.pair_id]) for verdict in verdicts(store.annotations.votes())]


def _preference(pool: _Pool, verdict: Verdict, votes: list[Vote]) -> Row:
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
        **_where(votes),
        "group": prompt.group,
        "excluded": excluded,
        "pair": pair.id,
        "chosen_model": _models(pool.responses[chosen]),
        "rejected_model": _models(pool.responses[rejected]),
    }


def verdict_rows(store: Store) -> list[Row]:
    """One row a pair, in the stored order of its responses."""
    pool, votes = _Pool.of(store), _by_pair(store)
    return [_verdict(pool, verdict, votes[verdict.pair_id]) for verdict in verdicts(store.annotations.votes())]


def _verdict(pool: _Pool, verdict: Verdict, votes: list[Vote]) -> Row:
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
        **_where(votes),
    }


def vote_rows(store: Store) -> list[Row]:
    """One row a vote that stands, skips included."""
    pool = _Pool.of(store)
    return [_vote(pool, vote) for vote in store.annotations.votes()]


def _vote(pool: _Pool, vote: Vote) -> Row:
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
    }


def _by_pair(store: Store) -> dict[str, list[Vote]]:
    """Votes that judge, by pair."""
    found: dict[str, list[Vote]] = {}
    for vote in store.annotations.votes():
        if vote.choice is not Choice.SKIP:
            found.setdefault(vote.pair_id, []).append(vote)
    return found


def _where(votes: list[Vote]) -> Row:
    """Arm and round of the latest question about the pair."""
    last = max(votes, key=lambda vote: vote.round)
    return {"arm": last.arm.value, "round": last.round}


def _models(response: Response) -> str | None:
    """Names of the models that wrote this text."""
    names = sorted({origin.model for origin in response.provenance if origin.model})
    return ", ".join(names) or None


ROWS: dict[str, Callable[[Store], list[Row]]] = {
    "preferences": preference_rows,
    "verdicts": verdict_rows,
    "votes": vote_rows,
}

COLUMNS: dict[str, tuple[str, ...]] = {
    "preferences": (
        "prompt", "chosen", "rejected", "tie", "both_bad", "p", "n", "disagreement", "annotators", "kinds", "arm",
        "round", "group", "excluded", "pair", "chosen_model", "rejected_model",
    ),
    "verdicts": ("pair", "prompt", "first", "second", "p_first", "n", "disagreement", "arm", "round"),
    "votes": (
        "key", "pair", "round", "arm", "prompt", "left", "right", "choice", "strength", "prompt_rating", "reason",
        "annotator", "kind", "seconds", "cost", "prelabel_shown", "flipped",
    ),
}  # fmt: skip
"""The keys of every row; a CSV file without rows has its header too."""
