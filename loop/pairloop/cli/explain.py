"""``pairloop explain``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairloop.cli.options import debug_option, folder_argument, json_option

if TYPE_CHECKING:
    from pairloop.records import Assignment, Pair, Vote
    from pairloop.store import Store

Facts = dict[str, Any]


@click.command()
@click.argument("pair_or_key")
@folder_argument
@json_option
@debug_option
def explain(pair_or_key: str, folder: Path, as_json: bool) -> None:
    """Say why a pair was asked, and what came back.

    PAIR_OR_KEY is the id of a pair or the key of an assignment, as exports and the annotation backend show them; the
    first characters are enough when they fit only one.
    """
    from pairloop.cli.opening import open_store
    from pairloop.cli.output import emit_json

    with open_store(folder) as (store, _):
        facts = _facts(store, _find(store, pair_or_key))
    emit_json(facts) if as_json else _tell(facts)


def _find(store: "Store", wanted: str) -> "Pair":
    """The pair with this id or assignment key, or the only one that begins so.

    Raises:
        UsageError: none fits, or several do.
    """
    from pairloop.errors import UsageError

    pairs = {pair.id: pair for pair, _ in store.pool.pairs()}
    every = [*store.rounds.assignments(), *store.rounds.judged()]
    by_name = {**{key: key for key in pairs}, **{a.key: a.pair_id for a in every}}
    if wanted in by_name:
        return pairs[by_name[wanted]]
    fitting = sorted({pair for name, pair in by_name.items() if wanted and name.startswith(wanted)})
    if len(fitting) == 1:
        return pairs[fitting[0]]
    if fitting:
        raise UsageError(f"{wanted!r} fits {len(fitting)} pairs", "Give more characters of the id or key.")
    raise UsageError(
        f"no pair or assignment is called {wanted!r}", "Ids and keys are in: pairloop export --votes --format csv"
    )


def _facts(store: "Store", pair: "Pair") -> Facts:
    from pairloop.kit.ids import content_json

    prompt, excluded = next((p, why) for p, _, why in store.pool.prompts() if p.id == pair.prompt_id)
    texts = {r.id: r for r in store.pool.responses() if r.id in (pair.first, pair.second)}
    votes = [vote for vote in (*store.annotations.votes(), *store.annotations.judged()) if vote.pair_id == pair.id]
    predicted = store.models.predictions()
    put_to_judges = [a for a in store.rounds.judged() if a.pair_id == pair.id]
    assignments = [*store.rounds.asked().get(pair.id, []), *put_to_judges]
    return {
        "pair": pair.id,
        "prompt": content_json(prompt.content),
        "group": prompt.group,
        "split": store.pool.groups()[prompt.group].value,
        "excluded": excluded,
        "first": {"id": pair.first, "text": texts[pair.first].text},
        "second": {"id": pair.second, "text": texts[pair.second].text},
        "assignments": [_assignment(store, assignment) for assignment in assignments],
        "votes": [_vote(vote, predicted.get(vote.seq)) for vote in votes],
    }


def _assignment(store: "Store", assignment: "Assignment") -> Facts:
    guess = store.rounds.prelabels(assignment.round).get(assignment.key)
    shown = None if guess is None else {"choice": guess.choice.value, "p_left": guess.p_left, "shown": guess.shown}
    return {
        "key": assignment.key,
        "round": assignment.round,
        "replica": assignment.replica,
        "state": assignment.state,
        "arm": assignment.arm.value,
        "strategy": assignment.strategy,
        "score": assignment.score,
        "rank": assignment.rank,
        "propensity": assignment.propensity,
        "model": assignment.model,
        "flipped": assignment.flipped,
        "cost": assignment.cost,
        "prelabel": shown,
    }


def _vote(vote: "Vote", predicted: float | None) -> Facts:
    return {
        "key": vote.key,
        "annotator": vote.annotator,
        "kind": vote.kind.value,
        "choice": vote.choice.value,
        "preferred": {"left": vote.left, "right": vote.right}.get(vote.choice.value),
        "predicted_p_left": predicted,
        "reason": vote.reason,
        "seconds": vote.seconds,
        "excluded": vote.excluded,
    }


def _tell(facts: Facts) -> None:
    from pairloop.cli.output import facts as write
    from pairloop.cli.output import line
    from pairloop.kit.ids import content_from_json
    from pairloop.kit.text import plain

    write(
        {
            "pair": facts["pair"],
            "prompt": _short(plain(content_from_json(facts["prompt"]))),
            "first": f"{facts['first']['id']}  {_short(facts['first']['text'])}",
            "second": f"{facts['second']['id']}  {_short(facts['second']['text'])}",
            "side": f"{facts['split']} (group {facts['group']})",
        }
    )
    if facts["excluded"]:
        line(f"The prompt is excluded: {facts['excluded']}.")
    if not facts["assignments"]:
        line("It was never asked.")
    for assignment in facts["assignments"]:
        line()
        line(_why(assignment))
        for vote in facts["votes"]:
            if vote["key"] == assignment["key"]:
                line("  " + _what(vote))


def _why(assignment: Facts) -> str:
    """The reason for one assignment, as sentences."""
    arms = {
        "active": f"the strategy {assignment['strategy']} picked it",
        "fresh": f"the strategy {assignment['strategy']} picked it among pairs with new responses of the policy",
        "random": "it was drawn at random from the training side, as control",
        "holdout": "it was drawn at random from the held-out side, to measure",
        "gold": "it is a gold item: its right answer is known, and it checks annotators",
        "judge": "it was put to the judge beside people, in this order",
    }
    parts = [f"Round {assignment['round']}, key {assignment['key']}: {arms[assignment['arm']]}"]
    if assignment["score"] is not None:
        parts.append(f"with score {assignment['score']:.4g}")
    if assignment["propensity"] is not None:
        parts.append(f"with probability {assignment['propensity']:.3g}")
    shown = "second on the left" if assignment["flipped"] else "first on the left"
    if assignment["arm"] == "judge":
        return f"{' '.join(parts)}. Displayed {shown}."
    model = f"model {assignment['model'][:12]}" if assignment["model"] else "the prior, before any model"
    text = f"{' '.join(parts)}; rank {assignment['rank']}, by {model}. Displayed {shown}; {assignment['state']}."
    guess = assignment["prelabel"]
    if guess is not None:
        seen = "shown" if guess["shown"] else "hidden"
        text += f" The model guessed {guess['choice']} (p = {guess['p_left']:.2f} for left, {seen})."
    return text


def _what(vote: Facts) -> str:
    preferred = f" ({vote['preferred']})" if vote["preferred"] else ""
    expected = (
        "" if vote["predicted_p_left"] is None else f"; the model expected left with {vote['predicted_p_left']:.2f}"
    )
    reason = f": {vote['reason']}" if vote["reason"] else ""
    excluded = "; excluded, counts for nothing" if vote["excluded"] else ""
    return f"{vote['annotator']} ({vote['kind']}{excluded}) said {vote['choice']}{preferred}{reason}{expected}"


def _short(text: str) -> str:
    from pairloop.kit.text import for_terminal

    return for_terminal(" ".join(text.split()), 100)
