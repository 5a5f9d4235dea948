"""The campaign in one sentence."""

from pairloop.report.estimates import side_of
from pairloop.report.facts import Facts
from pairloop.report.numbers import interval, percent, plural
from pairloop.steps.generate import INITIAL


def verdict(facts: Facts) -> str:
    """The campaign in one sentence."""
    if not facts.votes:
        return "There are no votes yet, so there is nothing to report."
    done = f"After {plural(len(facts.rounds), 'round')} and {plural(facts.votes, 'vote')} "
    parts = [done + _quality(facts), _selection(facts), _policy(facts)]
    return "; ".join(part for part in parts if part) + "."


def _quality(facts: Facts) -> str:
    model = facts.model
    if model is None:
        return "there is no usable reward model yet"
    if model.accuracy is None:
        return "the reward model has not been measured yet, for want of decisive holdout votes"
    said = f"the reward model agrees with {percent(model.accuracy)} of the decisive holdout votes"
    better = {1: "better than a coin", 0: "which may still be chance", -1: "worse than a coin"}
    return f"{said} {interval(model.accuracy)}, {better[side_of(model.accuracy, 0.5)]}"


def _selection(facts: Facts) -> str:
    if facts.contest is not None and facts.contest.random_chooses:
        return "random choice has taken over, because active selection did not pay"
    if facts.contest is not None and facts.contest.state["verdict"] in ("worse", "gain"):
        return {"worse": "active selection does worse than random choice", "gain": "active selection pays"}[
            facts.contest.state["verdict"]
        ]
    return {
        "pays": "active selection pays",
        "costs": "active selection does worse than random choice",
        "open": "whether active selection pays cannot be told yet",
    }.get(facts.arms_verdict, "")


def _policy(facts: Facts) -> str:
    duel = next((d for d in reversed(facts.duels) if d.opponent == INITIAL and d.share is not None), None)
    if duel is None or duel.share is None:
        return "the policy has been tuned, its responses are not judged yet" if facts.tunings else ""
    said = {
        1: "annotators prefer",
        -1: "annotators do not prefer",
        0: "it is open whether annotators prefer",
    }
    return f"{said[side_of(duel.share, 0.5)]} the tuned policy's responses to the initial ones"
