"""What there is to say about the judge: for ``status``, the report and plugins. None of it is counted among people."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pairloop import metrics
from pairloop.config import Config
from pairloop.judging.votes import Judgement, judgements
from pairloop.protocols import JudgeSpent
from pairloop.records import AnnotatorKind, Arm, Vote
from pairloop.store import Store


def judge_spent(votes: Sequence[Vote]) -> JudgeSpent:
    """What these answers of the judge cost."""
    return JudgeSpent(sum(vote.cost for vote in votes), len(votes))


def judge_facts(store: Store, config: Config, report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Everything about the judge beside people, as JSON values; None where there is none and was none.

    ``report``: of the current reward model, {} before the first.
    """
    votes = store.annotations.judged()
    if config.judge.kind is None and not votes:
        return None
    found = judgements(votes)
    given = [each for each in found if each.answered]
    people = [v for v in store.annotations.votes() if v.kind is not AnnotatorKind.MODEL and v.arm is not Arm.GOLD]
    spent = judge_spent(votes)
    names = sorted({vote.annotator for vote in votes})
    return {
        "annotators": names,
        "pairs": len(found),
        "votes": len(given),
        "abstained": len(found) - len(given),
        "consistency": sum(each.consistent for each in given) / len(given) if given else None,
        "agreement": agreement(store, given, people),
        "reliability": {name: report.get("annotators", {}).get(name) for name in names},
        "trust": report.get("judge"),
        "questions": spent.questions,
        "cost": round(spent.cost, 6),
        "limits": {"budget": config.judge.budget, "max_questions": config.judge.max_questions},
        "problem": _problem(store),
    }


def agreement(store: Store, found: Sequence[Judgement], people: Sequence[Vote]) -> dict[str, Any] | None:
    """Share of the people's decisive votes that say what the judge says, over pairs on which it is decisive.

    The interval is clustered by group of prompts. None without a common pair.
    """
    said = {each.straight.pair_id: each.choice for each in found if each.choice.is_decisive}
    common = [vote for vote in people if vote.choice.is_decisive and vote.pair_id in said]
    if not common:
        return None
    prompts = {prompt.id: prompt.group for prompt, _, _ in store.pool.prompts()}
    groups = {pair.id: prompts[pair.prompt_id] for pair, _ in store.pool.pairs()}
    names = {name: number for number, name in enumerate(sorted(set(prompts.values())))}
    # outcome 0: the person chose "first"; p: the judge's word for it
    p = np.array([1.0 if said[vote.pair_id].value == "left" else 0.0 for vote in common])
    outcome = np.array(
        [int((vote.choice.mirrored() if vote.flipped else vote.choice).value != "left") for vote in common]
    )
    cluster = np.array([names[groups[vote.pair_id]] for vote in common])
    share = metrics.accuracy(p, outcome, cluster)
    return {"value": share.value, "low": share.low, "high": share.high, "n": share.n, "clusters": share.clusters}


def judge_sentence(facts: Mapping[str, Any]) -> str:
    """The facts in one line."""
    parts = [f"{facts['votes']} votes on {facts['pairs']} pairs, none of them counted as people's"]
    for reliability in facts["reliability"].values():
        if reliability is not None:
            spread = (
                f" [{reliability['flip_low']:.2f}, {reliability['flip_high']:.2f}]" if "flip_low" in reliability else ""
            )
            parts.append(f"flip rate {reliability['flip_rate']:.2f}{spread}" if "flip_rate" in reliability else "")
    if facts["consistency"] is not None:
        parts.append(f"the two orders agree on {facts['consistency']:.0%}")
    if facts["agreement"] is not None:
        share = facts["agreement"]
        spread = "" if share["low"] is None else f" [{share['low']:.2f}, {share['high']:.2f}]"
        parts.append(f"agrees with people {share['value']:.2f}{spread} on {share['n']} votes")
    if facts["abstained"]:
        parts.append(f"{facts['abstained']} abstentions")
    parts.append(f"cost {facts['cost']:g}")
    if facts["trust"] is not None:
        parts.append(f"a vote weighs {facts['trust']['power']:.2f}: {facts['trust']['reason']}")
    if facts["problem"] is not None:
        parts.append(f"last problem: {facts['problem']}")
    return "; ".join(part for part in parts if part)


def _problem(store: Store) -> str | None:
    """Why the judge could not be asked the last time, or None when it could."""
    told = store.events.last("pairs_judged")
    return None if told is None else told.body.get("problem") or told.body.get("limit")
