"""The facts of a campaign, for ``status``, plugins and reports: plain JSON values, read only."""

from typing import Any

from pairloop.budget import Spending, spending
from pairloop.config import Config
from pairloop.records import AnnotatorKind, Arm, Choice, Vote
from pairloop.store import Store
from pairloop.store.models import ModelRow


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
        "budget": budget_facts(spending(store, store.annotations.standing(), config.budget), config),
        "model": None if current is None else model_facts(current),
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
    return {"round": row.round, "artifact": row.artifact, "votes": row.votes, **row.report}


def _policy_facts(store: Store) -> dict[str, Any] | None:
    row = store.models.current("policy")
    if row is None:
        return None
    report = {key: value for key, value in row.report.items() if key != "metrics"}
    return {"round": row.round, "artifact": row.artifact, **report}
