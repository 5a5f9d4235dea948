"""Records for Argilla, as the reader of the backends ``jsonl`` and ``csv`` takes them back.

One record a pair, its responses in the stored order; everybody's last answer about it. Argilla names people by UUID:
a name becomes one by hashing (`annotator_id`), and the metadata say who is who.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from pairloop.exports.rows import Pool, Row, by_pair, where
from pairloop.kit.text import plain
from pairloop.records import Vote
from pairloop.store import Store


def annotator_id(name: str) -> str:
    """The UUID by which Argilla knows an annotator: the name itself where it is one, else a hash of it."""
    try:
        return str(UUID(name))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, f"pairloop:annotator:{name}"))


def argilla_records(store: Store, arms: Collection[str] = (), names: Mapping[str, str] | None = None) -> list[Row]:
    """Records of all pairs with a vote, skips included; votes of excluded annotators are left out.

    Args:
        arms: only pairs whose last question was of one of these; empty: all.
        names: what annotators are called, where not by their name.
    """
    pool, votes = Pool.of(store), [vote for vote in store.annotations.votes() if not vote.excluded]
    if names is not None:
        votes = [replace(vote, annotator=names[vote.annotator]) for vote in votes]
    pairs = by_pair(votes, everything=True)
    return [_record(pool, pair, found) for pair, found in pairs.items() if not arms or where(found)["arm"] in arms]


def _record(pool: Pool, pair_id: str, votes: list[Vote]) -> Row:
    pair = pool.pairs[pair_id]
    last = list({vote.annotator: vote for vote in votes}.values())
    who = {annotator_id(vote.annotator): vote.annotator for vote in last}
    return {
        "id": pair_id,
        "fields": {
            "prompt": plain(pool.prompt(pair_id)[0].content),
            "left": pool.responses[pair.first].text,
            "right": pool.responses[pair.second].text,
        },
        "metadata": {**where(votes), "annotators": [f"{user}: {name}" for user, name in sorted(who.items())]},
        "suggestions": {},
        "responses": _responses(last),
    }


def _responses(votes: Sequence[Vote]) -> dict[str, list[Row]]:
    choices = ((vote, (vote.choice.mirrored() if vote.flipped else vote.choice).value) for vote in votes)
    found = {
        "choice": _answers(choices),
        **{
            name: _answers((vote, getattr(vote, name)) for vote in votes)
            for name in ("strength", "prompt_rating", "reason")
        },
    }
    return {name: answers for name, answers in found.items() if answers}


def _answers(values: Iterable[tuple[Vote, Any]]) -> list[Row]:
    return [{"value": value, "user_id": annotator_id(vote.annotator)} for vote, value in values if value is not None]
