"""The facts of a campaign, for ``status``, plugins and reports: plain JSON values, read only."""

from collections.abc import Mapping
from typing import Any

from pairloop.anchoring import Anchoring, anchoring
from pairloop.budget import Spending, spending
from pairloop.config import Config
from pairloop.evaluation import as_json
from pairloop.judging.facts import judge_facts
from pairloop.metrics import Estimate
from pairloop.pool import load_pool
from pairloop.records import AnnotatorKind, Arm, Choice, Vote
from pairloop.store import Store
from pairloop.store.models import ModelRow

_ELSEWHERE = ("shadows", "selection", "outlook")  # of a report: raw numbers, and what has its own place


def status_facts(store: Store, config: Config) -> dict[str, Any]:
    """Where the campaign stands, as JSON values."""
    votes = store.annotations.votes()
    prompts, responses = store.pool.size()
    latest = store.rounds.latest()
    current = store.models.current("reward")
    return {
        "campaign": {"name": config.campaign.name, "id": store.get_meta("id"), "folder": str(store.folder)},
        "pool": {
            "prompts": prompts,
            "responses": responses,
            "excluded_prompts": sum(reason is not None for _, _, reason in store.pool.prompts()),
        },
        "round": None if latest is None else _round_facts(store, latest.number, latest.state.value, latest.reason),
        "rounds_done": sum(r.state.is_terminal for r in store.rounds.all()),
        "votes": _vote_facts(votes),
        "refused_files": store.refused_files(),
        "budget": budget_facts(spending(store, store.annotations.standing(), config.budget), config),
        "model": None if current is None else model_facts(current),
        "selection": selection_facts(store, config),
        "outlook": None if current is None else current.report.get("outlook"),
        "habits": {
            "position": _json(position_of({} if current is None else current.report)),
            **_anchoring_facts(store),
        },
        "judge": judge_facts(store, config, {} if current is None else current.report),
        "policy": _policy_facts(store),
    }


def _round_facts(store: Store, number: int, state: str, reason: str | None) -> dict[str, Any]:
    counts = {state.value: n for state, n in sorted(store.rounds.count(number).items())}
    return {"number": number, "state": state, "reason": reason, "assignments": counts}


def _vote_facts(votes: list[Vote]) -> dict[str, Any]:
    return {
        "total": len(votes),
        "by_choice": {choice.value: sum(v.choice is choice for v in votes) for choice in Choice},
        "by_arm": {arm.value: sum(v.arm is arm for v in votes) for arm in Arm},
        "by_kind": {kind.value: sum(v.kind is kind for v in votes) for kind in AnnotatorKind},
        "annotators": len({v.annotator for v in votes}),
        "excluded": sum(v.excluded for v in votes),
        "excluded_annotators": sorted({v.annotator for v in votes if v.excluded}),
    }


def budget_facts(spent: Spending, config: Config) -> dict[str, Any]:
    """Spent, reserved and allowed."""
    limits = config.budget
    return {
        "labels": {"spent": spent.labels, "reserved": spent.open_labels, "limit": limits.labels},
        "cost": {"spent": round(spent.cost, 6), "reserved": round(spent.open_cost, 6), "limit": limits.cost},
        "annotator_hours": {
            "spent": round(spent.hours, 6),
            "reserved": round(spent.open_hours, 6),
            "limit": limits.annotator_hours,
        },
        "until": None if limits.until is None else limits.until.isoformat(),
    }


def model_facts(row: ModelRow) -> dict[str, Any]:
    """The current reward model in numbers."""
    report = {key: value for key, value in row.report.items() if key not in _ELSEWHERE}
    return {"round": row.round, "artifact": row.artifact, "votes": row.votes, **report}


def selection_facts(store: Store, config: Config) -> dict[str, Any] | None:
    """Who chooses, and what the comparison with random choice proves so far; None where nothing is compared."""
    rows = store.models.all("reward")
    state: dict[str, Any] | None = rows[-1].report.get("selection") if rows else None
    return state if state is not None and state["strategy"] == config.selection.strategy else None


def position_of(report: Mapping[str, Any]) -> Estimate | None:
    """The pool's position bias as the reward model found it: log-odds of the left side between equals."""
    fit = report.get("fit") or {}
    if "position_bias" not in fit:
        return None
    votes = int(fit.get("decisive_votes", 0))
    return Estimate(fit["position_bias"], fit.get("position_low"), fit.get("position_high"), votes, votes)


def read_anchoring(store: Store) -> Anchoring | None:
    """Whether shown guesses sway annotators, over all votes; None where none was ever shown."""
    votes = store.annotations.votes()
    if not any(vote.prelabel_shown for vote in votes):
        return None
    pool = load_pool(store)
    rounds = sorted({vote.round for vote in votes})
    guesses = {key: guess for number in rounds for key, guess in store.rounds.prelabels(number).items()}
    return anchoring(votes, guesses, {r.id: int(g) for r, g in zip(pool.responses, pool.group, strict=True)})


def _anchoring_facts(store: Store) -> dict[str, Any]:
    found = read_anchoring(store)
    if found is None:
        return {"anchoring": None}
    names = ("shown", "blind", "difference")
    return {"anchoring": {name: _json(getattr(found, name)) for name in names}}


def _json(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else as_json(estimate)


def _policy_facts(store: Store) -> dict[str, Any] | None:
    row = store.models.current("policy")
    if row is None:
        return None
    report = {key: value for key, value in row.report.items() if key != "metrics"}
    return {"round": row.round, "artifact": row.artifact, **report}
